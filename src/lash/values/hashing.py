"""Identity by content: SHA-256 over canonical JSON, in one place (rules R-1 and R-2)."""

from __future__ import annotations

import hashlib
from typing import Any

from lash.values.canonical import canonical_json
from lash.values.record import plain


def stable_hash(value: Any) -> str:
    """Return the lower-case hex SHA-256 of a value's canonical JSON.

    Args:
        value: A JSON value, a record, or a structure of both. Tuples hash as JSON arrays, which is how
            an identity of several components is framed (R-2).

    Raises:
        LashError: `json_not_representable`, see `canonical_json`.
    """
    return hashlib.sha256(canonical_json(plain(value))).hexdigest()


def bytes_hash(data: bytes) -> str:
    """Return the lower-case hex SHA-256 of raw bytes: the id of a blob or an attachment."""
    return hashlib.sha256(data).hexdigest()
