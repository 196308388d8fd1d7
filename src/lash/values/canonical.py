"""Canonical JSON (rule R-1): the one byte form that identities are hashed over.

UTF-8, keys sorted by code point, no white space, integers exact, floats in Python's shortest
round-trip spelling, negative zero folded. Everything that JSON cannot say exactly is refused.
"""

from __future__ import annotations

import json
from typing import Any

from lash.errors import LashError

_INT_MIN = -(2**63)
_INT_MAX = 2**64 - 1
_DEPTH_MAX = 200  # well below the recursion limit of the C encoder

_encode = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
).encode


def canonical_json(value: Any) -> bytes:
    """Return the canonical bytes of a JSON value.

    Args:
        value: None, bool, int, float, str, and lists, tuples and str-keyed dicts of these.

    Raises:
        LashError: `json_not_representable` for NaN and infinities, lone surrogates, keys that are no
            strings, integers outside [-2^63, 2^64-1], other types, and nesting beyond 200 levels.
    """
    try:
        return _encode(_checked(value, 0)).encode("utf-8")
    except UnicodeEncodeError as problem:
        raise _refused("a string holds a lone surrogate") from problem


def _checked(value: Any, depth: int) -> Any:
    """Return `value` with negative zeros folded; raise if it is not JSON. Copies only where it must."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is int:
        if _INT_MIN <= value <= _INT_MAX:
            return value
        raise _refused(f"the integer {value} is outside [-2^63, 2^64-1]")
    if kind is float:
        if value != value or value in (float("inf"), float("-inf")):
            raise _refused(f"{value} is not a JSON number")
        return value if value else 0.0
    if depth >= _DEPTH_MAX:
        raise _refused(f"it is nested deeper than {_DEPTH_MAX} levels")
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise _refused(f"the key {key!r} is not a string")
        return {key: _checked(item, depth + 1) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_checked(item, depth + 1) for item in value]
    return _checked(_builtin(value), depth)


def _builtin(value: Any) -> Any:
    """Return the plain form of a subclass of a JSON type (an enum, say), or refuse it."""
    match value:
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case dict():
            return dict(value)
        case list() | tuple():
            return list(value)
    raise _refused(f"a {type(value).__name__} is not a JSON value")


def _refused(why: str) -> LashError:
    return LashError("json_not_representable", f"the value cannot be kept as JSON: {why}", why=why)
