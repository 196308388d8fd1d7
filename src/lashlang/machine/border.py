"""What crosses between host and program is rebuilt here, in both directions, and never shared.

Inwards only the exact JSON types pass (a subclass, a lazy mapping or an object with behaviour is refused); outwards a
program's values become plain JSON. Both copies are bounded in depth and size, so that neither side can hand the
other a structure that explodes when it is walked.
"""

from __future__ import annotations

import math
from typing import Any, Final

from lashlang.machine.fault import Fault, Halt, value_error
from lashlang.machine.meter import ENTRY_COST, ITEM_COST, LIST_COST, RECORD_COST, TEXT_COST, Meter
from lashlang.machine.values import (
    I64_MAX,
    I64_MIN,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_TEXT,
    U64_MAX,
    Image,
    Resource,
    Value,
)

PLAIN: Final = frozenset({str, bool, int, type(None)})
"""Types whose values cross outwards as they are."""
_SMALL: Final = 16
"""Entries up to which a record of scalars is copied without a walk."""
_SHORT: Final = 64
"""Characters up to which a text in such a record is taken as it is."""
_MARKS: Final = frozenset({"type", "__resource__"})
"""Keys of records that may be something else."""
_IMAGE_KEYS: Final = frozenset({"type", *Image.FIELDS})
_RESOURCE_KEYS: Final = frozenset({"__resource__", "type", "alias"})


def invalid(reason: str) -> Fault:
    """The error for a host value that is not plain data."""
    return Fault("invalid_host_value", f"the host handed over a value that is not plain data: {reason}")


def from_host(h: Meter, value: Any) -> Value:  # Any: a host may hand over anything at all
    """A host's value as a program's value: rebuilt, charged, and refused (`invalid_host_value`) when it is not JSON."""
    t = type(value)
    if t is dict and len(value) <= _SMALL:
        for key, item in value.items():
            if type(key) is not str or key in _MARKS or not key.isascii():
                break
            u = type(item)
            if u is int:
                if not I64_MIN <= item <= I64_MAX:
                    break
            elif u is str:
                if len(item) > _SHORT or not item.isascii():
                    break
            elif item is not None and u is not bool and u is not float:
                break
        else:
            h.fuel -= 1 + len(value)
            h.mem -= RECORD_COST + 3 * ENTRY_COST * len(value)
            if h.mem < 0:
                h.settle()
            return value.copy()
    if value is None or t is bool or (t is int and I64_MIN <= value <= I64_MAX):
        return value
    budget = [MAX_ITEMS, 0]
    copy = _import(value, budget, 0, authorities=True)
    h.work(MAX_ITEMS - budget[0])
    h.take(budget[1])
    return copy


def from_json(h: Meter, value: object) -> Value:
    """Parsed JSON text as a value: like `from_host`, but a text cannot make an image or an authority."""
    budget = [MAX_ITEMS, 0]
    copy = _import(value, budget, 0, authorities=False)
    h.work(MAX_ITEMS - budget[0])
    h.take(budget[1])
    return copy


def _import(value: object, budget: list[int], depth: int, *, authorities: bool) -> Value:
    t = type(value)
    if t is str:
        return _text(value, budget)  # type: ignore[arg-type]  # the exact type was just tested
    if value is None or t is bool or t is float or t is Resource or t is Image:
        return value
    if t is int:
        return _integer(value)  # type: ignore[arg-type]  # the exact type was just tested
    if t is not list and t is not tuple and t is not dict:
        raise invalid(f"it holds a {t.__name__}")
    if depth >= MAX_DEPTH:
        raise invalid(f"it is nested deeper than {MAX_DEPTH} levels")
    size = len(value)  # type: ignore[arg-type]  # a list, tuple or dict
    budget[0] -= size
    if budget[0] < 0:
        raise invalid(f"it has more than {MAX_ITEMS} parts")
    if t is dict:
        return _record(value, budget, depth, authorities=authorities)  # type: ignore[arg-type]  # as tested
    budget[1] += LIST_COST + ITEM_COST * size
    return [_import(item, budget, depth + 1, authorities=authorities) for item in value]  # type: ignore[attr-defined]  # as tested


def _record(value: dict[object, object], budget: list[int], depth: int, *, authorities: bool) -> Value:
    budget[1] += RECORD_COST + ENTRY_COST * len(value)
    record: dict[str, Value] = {}
    for key, item in value.items():
        if type(key) is not str:
            raise invalid(f"a record key is a {type(key).__name__}")
        record[_text(key, budget)] = _import(item, budget, depth + 1, authorities=authorities)
    if (
        authorities
        and len(record) == 3
        and record.keys() == _RESOURCE_KEYS
        and record["__resource__"] is True
    ):
        if type(record["type"]) is str and type(record["alias"]) is str:
            return Resource(record["type"], record["alias"])
    elif authorities and record.get("type") == "image" and record.keys() == _IMAGE_KEYS:
        return Image(tuple(record[name] for name in Image.FIELDS))
    return record


def _text(text: str, budget: list[int]) -> str:
    budget[1] += TEXT_COST + len(text)
    if len(text) > MAX_TEXT:
        raise invalid(f"a string has more than {MAX_TEXT} characters")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise invalid("a string holds half of a surrogate pair") from None
    return text


def _integer(number: int) -> int | float:
    if I64_MIN <= number <= I64_MAX:
        return number
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def to_host(h: Meter, value: Value) -> Value:
    """A program's value as plain JSON: whole floats become ints, NaN and infinities null, authorities records."""
    t = type(value)
    if t in PLAIN:
        return value
    if t is float:
        return _outward(value)
    if t is dict and len(value) <= _SMALL:
        for item in value.values():
            if type(item) not in PLAIN:
                break
        else:
            h.fuel -= 1 + len(value)
            return value.copy()
    return _export(h, value, [MAX_ITEMS], 0)


def _export(h: Meter, value: Value, budget: list[int], depth: int) -> Value:
    t = type(value)
    if t in PLAIN:
        return value
    if t is float:
        return _outward(value)
    if t is list or t is dict:
        if depth >= MAX_DEPTH:
            raise value_error(f"the value is nested deeper than {MAX_DEPTH} levels")
        h.work(1 + len(value))
        budget[0] -= len(value)
        if budget[0] < 0:
            raise Halt("value_too_large", f"a value of more than {MAX_ITEMS} parts cannot leave the program")
        if t is list:
            return [item if type(item) in PLAIN else _export(h, item, budget, depth + 1) for item in value]
        return {
            key: item if type(item) in PLAIN else _export(h, item, budget, depth + 1)
            for key, item in value.items()
        }
    if t is Image:
        return {"type": "image", **value.fields()}
    return {"__resource__": True, "type": value.type_name, "alias": value.alias}


def _outward(number: float) -> int | float | None:
    if number != number or number in (math.inf, -math.inf):
        return None
    return int(number) if I64_MIN <= number <= U64_MAX and number == int(number) else number
