"""SHA-256 digests in half the room: 32 bytes for the 64 digits that callers know.

A digest that somebody made otherwise is kept as the text that it is.
"""

from __future__ import annotations

import re

from lash.backends.sql.session_rows import corrupt

_IS_SHA256 = re.compile(r"[0-9a-f]{64}\Z").match
_PACKED, _AS_IS = b"#", b"="


def packed_digest(digest: str) -> bytes:
    """Return a digest as it is stored; equal digests, equal bytes."""
    return _PACKED + bytes.fromhex(digest) if _IS_SHA256(digest) else _AS_IS + digest.encode()


def unpacked_digest(stored: bytes, *, table: str, what: str) -> str:
    """Return the digest that `packed_digest` stored.

    Args:
        stored: The bytes.
        table: Where they are, for the error.
        what: Whose digest it is, for the error.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    kind, rest = stored[:1], stored[1:]
    if kind == _PACKED and len(rest) == 32:
        return rest.hex()
    if kind == _AS_IS:
        try:
            return rest.decode()
        except UnicodeDecodeError:
            pass  # reported like any other bytes that were not stored here
    raise corrupt(table, what, "its digest is none")
