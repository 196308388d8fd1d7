"""Checking a value against a Type value (lashlang.md 5.4), with the path of the first mismatch.

A Type value is the one-key record `{"$lash_type": schema}`. The check is structural and never converts anything: the
value comes back unchanged, extra fields are accepted, and a present optional field must match. Values and schemas may
share their parts (a program can make a schema by hand), so every pair of them is checked once and charged as often as
it is met.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from lashlang.machine.equality import equal
from lashlang.machine.fault import type_error, value_error
from lashlang.machine.values import MAX_DEPTH, Value, kind, preview

if TYPE_CHECKING:
    from lashlang.machine.meter import Meter

TYPE_KEY: Final = "$lash_type"
_SHOWN_OPTIONS: Final = 12
"""So many options of a type are named in a message."""

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
        raise type_error(
            f"`validate` requires a Type as the second argument, got {kind(expected)}; "
            "write one as Type { field: str }"
        )
    found = _Check(h).mismatch(value, expected[TYPE_KEY], 0)
    if found is not None:
        raise value_error(f"`validate`: ${found}")
    return value


class _Check:
    """One validation. A mismatch is told as the path below the value, a colon and the reason."""

    def __init__(self, h: Meter) -> None:
        self._h = h
        self._spent = 0
        self._deepest = 0
        self._known: dict[tuple[int, int], tuple[int, int, str | None]] = {}

    def mismatch(self, value: Value, schema: Value, depth: int) -> str | None:
        """`path: reason` of the first place where `value` does not match `schema`, or None."""
        pair = (id(value), id(schema))
        known = self._known.get(pair)
        if known is not None:
            cost, height, found = known
            self._work(cost)
            self._reach(depth + height)
            return found
        before, outer = self._spent, self._deepest
        self._deepest = depth
        self._reach(depth)
        self._work(1)
        found = self._mismatch(value, schema, depth)
        self._known[pair] = (self._spent - before, self._deepest - depth, found)
        self._deepest = max(outer, self._deepest)
        return found

    def _work(self, units: int) -> None:
        self._spent += units
        self._h.work(units)

    def _reach(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise value_error(f"`validate`: the value is nested deeper than {MAX_DEPTH} levels")
        self._deepest = max(self._deepest, depth)

    def _mismatch(self, value: Value, schema: Value, depth: int) -> str | None:
        options = schema.get("anyOf")
        if type(options) is list:
            return self._any_of(value, options, depth)
        wanted = schema.get("type")
        if wanted == "object" and type(schema.get("properties")) is dict:
            return self._object(value, schema, depth)
        if wanted == "array" and type(schema.get("items")) is dict:
            return self._array(value, schema["items"], depth)
        if type(wanted) is str and wanted in _NAMES:
            return self._scalar(value, wanted, schema)
        return None

    def _scalar(self, value: Value, wanted: str, schema: dict[str, Value]) -> str | None:
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
            return f": expected {short_name(schema)}, got {_shown(value)}"
        allowed = schema.get("enum")
        if type(allowed) is list:
            self._work(len(allowed))
            if not any(equal(self._h, value, item) for item in allowed):
                return f": expected {_one_of(allowed)}, got {preview(value)}"
        return None

    def _object(self, value: Value, schema: dict[str, Value], depth: int) -> str | None:
        if type(value) is not dict:
            return f": expected a record, got {_shown(value)}"
        required = schema.get("required")
        needed = {name for name in required if type(name) is str} if type(required) is list else set()
        for name, inner in schema["properties"].items():
            if name not in value:
                if name in needed:
                    return f".{_named(name)}: missing required field"
            elif type(inner) is dict:
                found = self.mismatch(value[name], inner, depth + 1)
                if found is not None:
                    return f".{_named(name)}{found}"
        return None

    def _array(self, value: Value, item: dict[str, Value], depth: int) -> str | None:
        if type(value) is not list:
            return f": expected a list, got {_shown(value)}"
        for at, element in enumerate(value):
            found = self.mismatch(element, item, depth + 1)
            if found is not None:
                return f"[{at}]{found}"
        return None

    def _any_of(self, value: Value, options: list[Value], depth: int) -> str | None:
        schemas = [option for option in options if type(option) is dict]
        if any(self.mismatch(value, option, depth + 1) is None for option in schemas):
            return None
        return f": expected {_either(schemas)}, got {_shown(value)}"


def short_name(schema: dict[str, Value], *, inner: bool = False) -> str:
    """How a schema is called in a message: the word that a program writes for it."""
    if type(schema.get("enum")) is list:
        return _one_of(schema["enum"])
    options = schema.get("anyOf")
    if type(options) is list:
        return "a union" if inner else _either([option for option in options if type(option) is dict])
    wanted = schema.get("type")
    if wanted == "object" and "properties" in schema:
        return "record"
    return _NAMES.get(wanted, "any") if type(wanted) is str else "any"


def _one_of(allowed: list[Value]) -> str:
    more = ", …" if len(allowed) > _SHOWN_OPTIONS else ""
    return "one of " + ", ".join(preview(item) for item in allowed[:_SHOWN_OPTIONS]) + more


def _either(schemas: list[dict[str, Value]]) -> str:
    more = " or …" if len(schemas) > _SHOWN_OPTIONS else ""
    return " or ".join(short_name(option, inner=True) for option in schemas[:_SHOWN_OPTIONS]) + more


def _named(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:79]}…"


def _shown(value: Value) -> str:
    if type(value) in (int, float, bool) or value is None:
        return preview(value)
    return f"the string {preview(value)}" if type(value) is str else kind(value)
