"""Checking a value against a Type value (lashlang.md 5.4), with the path of the first mismatch.

A Type value is the one-key record `{"$lash_type": schema}`. The check is structural and never converts anything: the
value comes back unchanged, extra fields are accepted, and a present optional field must match.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from lashlang.machine.fault import type_error, value_error
from lashlang.machine.values import MAX_DEPTH, Value, kind, preview

if TYPE_CHECKING:
    from lashlang.machine.meter import Meter

TYPE_KEY: Final = "$lash_type"

_NAMES: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "object": "dict",
    "null": "null",
    "array": "list",
}


def validate(h: Meter, value: Value, expected: Value) -> Value:
    """`validate(value, Type)`: `value` itself.

    Raises:
        Fault: `value_error` with `$.path[0].field: reason` for the first mismatch; `type_error` when `expected` is
            not a Type value.
    """
    if type(expected) is not dict or len(expected) != 1 or type(expected.get(TYPE_KEY)) is not dict:
        raise type_error(f"`validate` requires a Type as the second argument, got {kind(expected)}; "
                         "write one as Type { field: str }")  # fmt: skip
    found = mismatch(h, value, expected[TYPE_KEY], "$", 0)
    if found is not None:
        raise value_error(f"`validate`: {found}")
    return value


def mismatch(h: Meter, value: Value, schema: Value, path: str, depth: int) -> str | None:
    """`path: reason` of the first place where `value` does not match `schema`, or None."""
    h.work(1)
    if depth > MAX_DEPTH:
        raise value_error(f"`validate`: {path}: nested deeper than {MAX_DEPTH} levels")
    options = schema.get("anyOf")
    if type(options) is list:
        return _any_of(h, value, options, path, depth)
    wanted = schema.get("type")
    if wanted == "object" and type(schema.get("properties")) is dict:
        return _object(h, value, schema, path, depth)
    if wanted == "array" and type(schema.get("items")) is dict:
        return _array(h, value, schema["items"], path, depth)
    if type(wanted) is str and wanted in _NAMES:
        return _scalar(value, wanted, schema, path)
    return None


def _scalar(value: Value, wanted: str, schema: dict[str, Value], path: str) -> str | None:
    t = type(value)
    number = t is int or (t is float and math.isfinite(value))
    matches = {
        "string": t is str,
        "integer": number and value == int(value),
        "number": number,
        "boolean": t is bool,
        "null": value is None,
        "array": t is list,
        "object": kind(value) in ("record", "image", "resource"),
    }[wanted]
    if not matches:
        return f"{path}: expected {short_name(schema)}, got {_shown(value)}"
    allowed = schema.get("enum")
    if type(allowed) is list and value not in allowed:
        return f"{path}: expected one of {', '.join(preview(item) for item in allowed)}, got {preview(value)}"
    return None


def _object(h: Meter, value: Value, schema: dict[str, Value], path: str, depth: int) -> str | None:
    if type(value) is not dict:
        return f"{path}: expected a record, got {_shown(value)}"
    required = schema.get("required")
    for name, inner in schema["properties"].items():
        if name not in value:
            if type(required) is list and name in required:
                return f"{path}.{name}: missing required field"
        elif type(inner) is dict:
            found = mismatch(h, value[name], inner, f"{path}.{name}", depth + 1)
            if found is not None:
                return found
    return None


def _array(h: Meter, value: Value, item: dict[str, Value], path: str, depth: int) -> str | None:
    if type(value) is not list:
        return f"{path}: expected a list, got {_shown(value)}"
    for at, element in enumerate(value):
        found = mismatch(h, element, item, f"{path}[{at}]", depth + 1)
        if found is not None:
            return found
    return None


def _any_of(h: Meter, value: Value, options: list[Value], path: str, depth: int) -> str | None:
    schemas = [option for option in options if type(option) is dict]
    if any(mismatch(h, value, option, path, depth + 1) is None for option in schemas):
        return None
    names = " or ".join(short_name(option) for option in schemas)
    return f"{path}: expected {names}, got {_shown(value)}"


def short_name(schema: dict[str, Value]) -> str:
    """How a schema is called in a message: the word that a program writes for it."""
    allowed = schema.get("enum")
    if type(allowed) is list:
        return "one of " + ", ".join(preview(item) for item in allowed)
    if type(schema.get("anyOf")) is list:
        return " or ".join(short_name(option) for option in schema["anyOf"] if type(option) is dict)
    wanted = schema.get("type")
    if wanted == "object" and "properties" in schema:
        return "record"
    return _NAMES.get(wanted, "any") if type(wanted) is str else "any"


def _shown(value: Value) -> str:
    if type(value) in (int, float, bool) or value is None:
        return preview(value)
    return f"the string {preview(value)}" if type(value) is str else kind(value)
