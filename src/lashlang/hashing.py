"""Canonical bytes and hashes: equal data has equal bytes on every machine and Python version.

The canonical form is JSON with sorted keys, no blanks, raw (not escaped) Unicode, floats as Python spells them. It is
our own encoder because a hash that is stored must not change when a library does.
"""

from __future__ import annotations

import math
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Final

from lashlang.errors import LangError

_MAX_DEPTH: Final = 400


def canonical_json(value: object) -> bytes:
    """The canonical bytes of plain data (None, bool, int, float, str, list, tuple, dict with text keys).

    Raises:
        LangError: `not_canonical` for anything else, for NaN and infinities, and for data nested too deeply.
    """
    parts: list[str] = []
    _write(value, parts, 0)
    return "".join(parts).encode()


def content_hash(value: object) -> str:
    """The SHA-256 of the canonical bytes of plain data, as 64 hex digits."""
    return sha256(canonical_json(value)).hexdigest()


def _write(value: object, parts: list[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise LangError("not_canonical", f"the data is nested deeper than {_MAX_DEPTH} levels")
    match value:
        case None:
            parts.append("null")
        case bool():
            parts.append("true" if value else "false")
        case str():
            parts.append(encode_basestring(value))
        case int():
            parts.append(int.__repr__(value))
        case float():
            if not math.isfinite(value):
                raise LangError("not_canonical", f"{value!r} has no canonical form")
            parts.append(float.__repr__(value))
        case list() | tuple():
            parts.append("[")
            for at, item in enumerate(value):
                parts.append("," if at else "")
                _write(item, parts, depth + 1)
            parts.append("]")
        case dict():
            _write_record(value, parts, depth)
        case _:
            raise LangError("not_canonical", f"a {type(value).__name__} has no canonical form")


def _write_record(record: dict[object, object], parts: list[str], depth: int) -> None:
    for key in record:
        if not isinstance(key, str):
            raise LangError("not_canonical", f"a key is a {type(key).__name__}, not text")
    parts.append("{")
    for at, key in enumerate(sorted(record, key=str)):
        parts.append(("," if at else "") + encode_basestring(str(key)) + ":")
        _write(record[key], parts, depth + 1)
    parts.append("}")
