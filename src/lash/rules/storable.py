"""The gate before storage: what is not JSON is refused whole, never bent into shape (rule R-1).

The fast encoder writes NaN as null and number keys as text. A record that went past this gate unchecked
would come back as another one.
"""

from __future__ import annotations

from lash.errors import LashError
from lash.values import canonical_json, encode_record, plain


def storable_bytes(value: object, *, what: str) -> bytes:
    """Return the stored form of a record.

    Args:
        value: A record, or a sequence of records.
        what: Names it in the error.

    Raises:
        LashError: `json_not_representable`.
    """
    check_storable(value, what=what)
    return encode_record(value)


def check_storable(value: object, *, what: str) -> None:
    """Refuse a value that JSON cannot say exactly.

    Raises:
        LashError: `json_not_representable`.
    """
    try:
        canonical_json(plain(value))
    except LashError as refused:
        raise LashError(refused.code, f"{what}: {refused.message}", what=what, **refused.facts) from refused
