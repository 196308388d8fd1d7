"""Host values that a program reads without holding them.

A `Projected` names one: its reference, its kind and size. A program reads it like a list, record or string, and each
read asks the host's resolver for the part that is read; whatever else it does with it takes a copy, charged like any
host value. A frame holds the reference alone. Reads are no effects: they are not recorded, so equal references have to
stand for equal content for as long as a run may be resumed or replayed.

Invariant: a `Projected` is never inside another value and never in a variable that a program assigns. Only bindings,
unfinished reads of them (`doc.rows`, before `[0]`) and the sources of loops hold one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from lashlang.machine import access
from lashlang.machine.border import from_host
from lashlang.machine.effects import HostError
from lashlang.machine.fault import Fault, type_error, value_error
from lashlang.machine.meter import Meter
from lashlang.machine.values import MAX_ITEMS, Projected, Value, kind, to_index, to_text

Want = Literal["whole", "field", "item", "part", "keys"]


class Reading(msgspec.Struct, frozen=True):
    """One read of a projected value.

    Attributes:
        ref: the reference of the value that is read.
        want: `whole` for all of it; `field` for the value at `key` of a record, or None; `item` for the item `start`
            of a list (in range); `part` for the items or characters from `start` up to `stop` (in range); `keys` for
            the keys of a record.
    """

    ref: str
    want: Want
    key: str = ""
    start: int = 0
    stop: int = 0


Resolver = Callable[[Reading], object]
"""Gives what is read as JSON data, or as another `Projected` where that is large; `HostError` fails the read."""

_CHUNK: Final = 64
"""Items that a loop asks for at once."""


def ask(
    h: Meter, source: Projected, want: Want, key: str = "", start: int = 0, stop: int = 0
) -> Value | Projected:
    """One read, charged by what it gives.

    Raises:
        Fault: `value_error` when the host cannot resolve it, `invalid_host_value` when what it gives is no data.
    """
    h.work(1)
    given = _given(h, source, Reading(source.ref, want, key, start, stop))
    return given if type(given) is Projected else from_host(h, given)


def _given(h: Meter, source: Projected, reading: Reading) -> object:
    if h.resolver is None:
        raise value_error(f"the projected value {source.ref!r} cannot be read: the host gave no resolver")
    try:
        return h.resolver(reading)
    except HostError as error:
        raise value_error(f"the projected value {source.ref!r} cannot be read: {error}") from None


def whole(h: Meter, value: Value | Projected) -> Value:
    """A plain value as it is, a projected one as a copy of all of it."""
    return _copied(h, value) if type(value) is Projected else value


def _copied(h: Meter, source: Projected) -> Value:
    for _ in range(8):
        made = ask(h, source, "whole")
        if type(made) is not Projected:
            return made
        source = made
    raise value_error(f"the projected value {source.ref!r} never becomes data")


def reach_field(h: Meter, target: Value | Projected, name: str) -> Value | Projected:
    """`target.name` of a binding or of a part of one."""
    if type(target) is not Projected:
        return access.field(target, name)
    if target.kind != "record":
        raise type_error(f"can't read `.{name}` from {target.kind}")
    return ask(h, target, "field", name)


def reach_index(h: Meter, target: Value | Projected, at: Value) -> Value | Projected:
    """`target[at]` of a binding or of a part of one."""
    if type(target) is not Projected:
        return access.index(target, at)
    if target.kind == "record":
        return ask(h, target, "field", to_text(at, "a record key"))
    place = to_index(at, f"an index into a {target.kind}")
    place += target.length if place < 0 else 0
    if not 0 <= place < target.length:
        return None
    if target.kind == "list":
        return ask(h, target, "item", start=place)
    return ask(h, target, "part", start=place, stop=place + 1)


def call(h: Meter, name: str, function: Callable[..., Value], *args: Value | Projected) -> Value:
    """A builtin whose first argument may be projected: answered by reading what it needs, else by a copy."""
    source = args[0]
    if type(source) is not Projected:
        return function(h, *args)
    match name, source.kind:
        case "len", _:
            return source.length
        case "empty", _:
            return source.length == 0
        case "keys", "record":
            return function(h, dict.fromkeys(_texts(ask(h, source, "keys"))))
        case "contains", "record":
            key = to_text(args[1], "a record key in `contains`")
            return key in _texts(ask(h, source, "keys"))
        case "slice", "list" | "string":
            bounds = [None if arg is None else to_index(arg, "a bound of `slice`") for arg in args[1:]]
            start, stop, _ = slice(*bounds).indices(source.length)
            if start >= stop:
                return [] if source.kind == "list" else ""
            return whole(h, ask(h, source, "part", start=start, stop=stop))
        case _:
            return function(h, _copied(h, source), *args[1:])


def _texts(keys: Value | Projected) -> list[str]:
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise Fault("invalid_host_value", "the keys of a projected record are not a list of texts")
    return keys


LAZY: Final = frozenset({"len", "empty", "keys", "contains", "slice"})
"""Builtins that need less than the whole of a projected first argument."""


class Rows:
    """What a loop over a projected list runs over. Items are imported and charged one by one."""

    __slots__ = ("_chunk", "_first", "_h", "source")

    def __init__(self, h: Meter, source: Projected) -> None:
        self.source = source
        self._h = h
        self._first = 0
        self._chunk: list[object] = []

    def __len__(self) -> int:
        return min(self.source.length, MAX_ITEMS)

    def __getitem__(self, at: int) -> Value:
        place = at - self._first
        if not 0 <= place < len(self._chunk):
            self._chunk, self._first, place = self._ask(at), at, 0
        self._h.work(1)
        item = self._chunk[place]
        return _copied(self._h, item) if type(item) is Projected else from_host(self._h, item)

    def __iter__(self) -> Iterator[Value]:
        return (self[at] for at in range(len(self)))

    def _ask(self, at: int) -> list[object]:
        stop = min(at + _CHUNK, self.source.length)
        given = _given(self._h, self.source, Reading(self.source.ref, "part", start=at, stop=stop))
        if type(given) is not list or len(given) != stop - at:
            raise Fault(
                "invalid_host_value",
                f"the items {at} to {stop} of {self.source.ref!r} are not a list of so many",
            )
        return given


def rows(h: Meter, value: Value | Projected) -> Value | Rows:
    """What `for` runs over: a list, or a projected one."""
    if type(value) is not Projected:
        return access.iterable(value)
    if value.kind != "list":
        raise Fault("non_list_iteration", f"`for` expects a list, got {kind(value)}")
    if value.length > MAX_ITEMS:
        raise value_error(f"`for` over {value.length} projected items; at most {MAX_ITEMS} are possible")
    return Rows(h, value)
