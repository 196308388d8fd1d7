"""What crosses between host and program is rebuilt here, in both directions, and never shared.

Inwards only the exact JSON types pass (a subclass, a lazy mapping or an object with behaviour is refused); outwards a
program's values become plain JSON. Both copies are bounded in depth, parts and bytes *as trees*, part by part while
they are made: values share their containers, so `x = [x, x]` is small inside and exponential outside. Neither side can
hand the other a structure that explodes when it is walked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from lashlang.machine.fault import Fault, Halt, value_error
from lashlang.machine.meter import SHORT_TEXT, Meter
from lashlang.machine.sizes import (
    ENTRY_COST,
    ITEM_COST,
    LIST_COST,
    RECORD_COST,
    TEXT_COST,
    container_bytes,
    scalar_bytes,
    weigh,
)
from lashlang.machine.texts import CHECKED_PARTS
from lashlang.machine.values import (
    I64_MAX,
    I64_MIN,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_TEXT,
    U64_MAX,
    Image,
    Projected,
    Resource,
    Value,
)

PLAIN: Final = frozenset({str, bool, int, type(None)})
"""Types whose values cross outwards as they are."""
_SMALL: Final = 16
"""Entries up to which a record of scalars is copied without a walk."""
_SHORT: Final = 64
"""Characters up to which a text or key in such a record is taken as it is."""
_MARKS: Final = frozenset({"type", "__resource__"})
"""Keys of records that may be something else."""
_MOST_MET: Final = 4_096
_met: set[str] = set()
"""Keys that were found plain before: the same few come with every answer of a tool."""
_IMAGE_KEYS: Final = frozenset({"type", *Image.FIELDS})
_RESOURCE_KEYS: Final = frozenset({"__resource__", "type", "alias"})


def invalid(reason: str) -> Fault:
    """The error for a host value that is not plain data."""
    return Fault("invalid_host_value", f"the host handed over a value that is not plain data: {reason}")


class Crossing:
    """What one crossing of the border may still carry; several values that cross together share one."""

    __slots__ = ("bytes_left", "limit_bytes", "parts_left", "root", "taken_bytes", "texts", "unchecked")

    def __init__(self, h: Meter) -> None:
        self.parts_left = MAX_ITEMS
        self.bytes_left = self.limit_bytes = h.limits.memory_bytes
        self.taken_bytes = 0
        self.texts = 0
        self.root: Value = None
        self.unchecked = CHECKED_PARTS

    def spend(self, size_bytes: int) -> None:
        """Account for something that is about to be made."""
        self.bytes_left -= size_bytes
        if self.bytes_left < 0:
            self._refuse(large=True)

    def part(self, count: int, size_bytes: int) -> None:
        """Account for a container of `count` parts that is about to leave; many parts in, look at all of `root`."""
        self.unchecked -= count
        if self.unchecked < 0 and self.root is not None:
            parts, whole, _ = weigh(self.root, {})
            self.root = None
            self._refuse(many=parts - 1 > MAX_ITEMS, large=whole > self.limit_bytes)
        self.parts_left -= count
        self._refuse(many=self.parts_left < 0)
        self.spend(size_bytes)

    def _refuse(self, *, many: bool = False, large: bool = False) -> None:
        if many:
            raise Halt("value_too_large", f"a value of more than {MAX_ITEMS} parts cannot leave the program")
        if large:
            raise Halt(
                "memory_exhausted", "a value that crosses the border is larger than the program may be"
            )

    def charge(self, h: Meter) -> None:
        """Charge the meter for what was spent since the last time."""
        spent = self.limit_bytes - self.bytes_left
        h.work(self.texts >> 6)
        h.take(spent - self.taken_bytes)
        self.taken_bytes, self.texts = spent, 0


def from_host(h: Meter, value: Any, crossing: Crossing | None = None) -> Value:  # Any: anything may come in
    """A host's value as a program's value: rebuilt, charged, and refused (`invalid_host_value`) when it is not JSON."""
    t = type(value)
    if t is dict and len(value) <= _SMALL and crossing is None:
        for key, item in value.items():
            if type(key) is not str or (key not in _met and not _plain_key(key)):
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
    return _imported(h, value, crossing or Crossing(h), authorities=True)


def _plain_key(key: str) -> bool:
    """Whether a key is short ASCII and no mark; such keys are remembered, up to a bound."""
    if key in _MARKS or len(key) > _SHORT or not key.isascii():
        return False
    if len(_met) < _MOST_MET:
        _met.add(key)
    return True


def from_json(h: Meter, value: object) -> Value:
    """Parsed JSON text as a value: like `from_host`, but a text cannot make an image or an authority."""
    return _imported(h, value, Crossing(h), authorities=False)


def _imported(h: Meter, value: object, crossing: Crossing, *, authorities: bool) -> Value:
    before = crossing.parts_left
    copy = _import(value, crossing, 0, authorities=authorities)
    h.work(before - crossing.parts_left)
    crossing.charge(h)
    return copy


def _import(value: object, crossing: Crossing, depth: int, *, authorities: bool) -> Value:
    t = type(value)
    if t is str:
        crossing.spend(TEXT_COST + len(value))  # type: ignore[arg-type]  # the exact type was just tested
        return _text(value)  # type: ignore[arg-type]  # the exact type was just tested
    if value is None or t is bool or t is float:
        return value
    if t is int:
        return _integer(value)  # type: ignore[arg-type]  # the exact type was just tested
    if t is Resource or t is Image:
        crossing.spend(scalar_bytes(value))
        return value
    if t is not list and t is not tuple and t is not dict:
        raise invalid(f"it holds a {t.__name__}")
    if depth >= MAX_DEPTH:
        raise invalid(f"it is nested deeper than {MAX_DEPTH} levels")
    size = len(value)  # type: ignore[arg-type]  # a list, tuple or dict
    crossing.parts_left -= size
    if crossing.parts_left < 0:
        raise invalid(f"it has more than {MAX_ITEMS} parts")
    if t is dict:
        return _record(value, crossing, depth, authorities=authorities)  # type: ignore[arg-type]  # as tested
    crossing.spend(LIST_COST + ITEM_COST * size)
    return [_import(item, crossing, depth + 1, authorities=authorities) for item in value]  # type: ignore[attr-defined]  # as tested


def _record(value: dict[object, object], crossing: Crossing, depth: int, *, authorities: bool) -> Value:
    crossing.spend(RECORD_COST + ENTRY_COST * len(value))
    record: dict[str, Value] = {}
    for key, item in value.items():
        if type(key) is not str:
            raise invalid(f"a record key is a {type(key).__name__}")
        crossing.spend(len(key))
        record[_text(key)] = _import(item, crossing, depth + 1, authorities=authorities)
    if (
        authorities
        and len(record) == 3
        and record.keys() == _RESOURCE_KEYS
        and record["__resource__"] is True
    ):
        if type(record["type"]) is str and type(record["alias"]) is str:
            return Resource(record["type"], record["alias"])
    elif authorities and record.get("type") == "image" and record.keys() == _IMAGE_KEYS:
        fields = tuple([record[name] for name in Image.FIELDS])
        if all(type(field) in PLAIN or type(field) is float for field in fields):
            return Image(fields)
    return record


def _text(text: str) -> str:
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


def to_host(h: Meter, value: Value, crossing: Crossing | None = None) -> Value:
    """A program's value as plain JSON: whole floats become ints, NaN and infinities null, authorities records."""
    t = type(value)
    if t in PLAIN:
        if t is str and (len(value) > SHORT_TEXT or crossing is not None):
            return _exported(h, value, crossing or Crossing(h))
        return value
    if t is float:
        return _outward(value)
    if t is dict and len(value) <= _SMALL and crossing is None:
        for key, item in value.items():
            u = type(item)
            if u not in PLAIN or (u is str and len(item) > _SHORT) or len(key) > _SHORT:
                break
        else:
            h.fuel -= 1 + len(value)  # a copy of at most a few hundred bytes, gone with the effect: no memory
            return value.copy()
    return _exported(h, value, crossing or Crossing(h))


def written(h: Meter, value: Value) -> tuple[Value, int]:
    """`to_host`, and the estimated bytes of what it made."""
    crossing = Crossing(h)
    copy = _exported(h, value, crossing)
    return copy, crossing.taken_bytes


def _exported(h: Meter, value: Value, crossing: Crossing) -> Value:
    crossing.root = value
    copy = _export(h, value, crossing, 0)
    crossing.root = None
    crossing.charge(h)
    return copy


def _export(h: Meter, value: Value, crossing: Crossing, depth: int) -> Value:
    t = type(value)
    if t is str:
        crossing.texts += len(value)
        crossing.spend(TEXT_COST + len(value))
        return value
    if t in PLAIN:
        return value
    if t is float:
        return _outward(value)
    if t is Projected:
        raise value_error(
            f"the projected value {value.ref!r} can't leave the program; only what is read of it can"
        )
    if t is not list and t is not dict:
        crossing.spend(scalar_bytes(value))
        if t is Image:
            return {"type": "image", **value.fields()}
        return {"__resource__": True, "type": value.type_name, "alias": value.alias}
    if depth >= MAX_DEPTH:
        raise value_error(f"the value is nested deeper than {MAX_DEPTH} levels")
    h.work(1 + len(value))
    size_bytes = container_bytes(value)
    crossing.part(len(value), size_bytes)
    if t is dict:
        crossing.texts += size_bytes - RECORD_COST
    copy = value.copy()
    for at, item in enumerate(value) if t is list else value.items():
        u = type(item)
        if u is str:
            crossing.texts += len(item)
            crossing.spend(TEXT_COST + len(item))
        elif u not in PLAIN:
            copy[at] = _export(h, item, crossing, depth + 1)
    return copy


def _outward(number: float) -> int | float | None:
    if number != number or number in (math.inf, -math.inf):
        return None
    return int(number) if I64_MIN <= number <= U64_MAX and number == int(number) else number


def keepable(values: Mapping[str, Value], limit_bytes: int) -> set[str]:
    """The names of those `values` that a host can take as they are, written out as trees: not nested too deeply, not
    of too many parts, and together not larger than `limit_bytes`.
    """
    known: dict[int, tuple[int, int, int]] = {}
    kept: set[str] = set()
    left = limit_bytes
    for name, value in values.items():
        parts, size, height = weigh(value, known)
        if parts <= MAX_ITEMS and size <= left and height <= MAX_DEPTH:
            kept.add(name)
            left -= size
    return kept
