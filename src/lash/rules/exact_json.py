"""The gate of `lash.rules.storable`, at the speed that a commit needs.

MessagePack keeps what JSON bends: NaN, keys that are numbers, and it refuses integers that are too large. So a
value is one that JSON can say exactly if it reads back the same from both. All four steps run in C. Whatever
is not plainly all right goes through the slow gate, which knows why.
"""

from __future__ import annotations

import msgspec

from lash.rules.storable import storable_bytes

_NESTING_MAX = 200  # so many openings cannot nest deeper than the slow gate allows
_to_json, _from_json = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
_to_msgpack, _from_msgpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


def exact_bytes(value: object, *, what: str) -> bytes:
    """Return the stored form of a record, exactly as `storable_bytes` does.

    Args:
        value: A record, or a sequence of records.
        what: Names it in the error.

    Raises:
        LashError: `json_not_representable`.
    """
    try:
        body = _to_json(value)
        is_flat = body.count(b"{") + body.count(b"[") <= _NESTING_MAX
        if is_flat and _from_json(body) == _from_msgpack(_to_msgpack(value)):
            return body
    except (TypeError, ValueError, OverflowError, RecursionError):  # lone surrogates are ValueErrors
        pass  # the slow gate says what is wrong
    return storable_bytes(value, what=what)
