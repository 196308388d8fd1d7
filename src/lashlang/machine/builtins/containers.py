"""Builtins on lists, records and values of any kind (lashlang.md 6)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from lashlang.machine.border import from_json
from lashlang.machine.equality import equal
from lashlang.machine.fault import Fault, type_error, value_error
from lashlang.machine.meter import Meter
from lashlang.machine.sizes import ENTRY_COST, ITEM_COST, LIST_COST, RECORD_COST
from lashlang.machine.texts import compact_json, scalar_json, stringify
from lashlang.machine.values import MAX_DEPTH, Value, kind, to_index, to_text


def length(h: Meter, value: Value) -> int:
    """`len(x)`: characters, items or keys; 0 for null."""
    t = type(value)
    if t is str or t is list or t is dict:
        return len(value)
    if value is None:
        return 0
    raise type_error(f"`len` requires a string, list or record, got {kind(value)}")


def empty(h: Meter, value: Value) -> bool:
    """`empty(x)`: whether there is nothing in it."""
    t = type(value)
    if t is str or t is list or t is dict:
        return not value
    if value is None:
        return True
    raise type_error(f"`empty` requires a string, list or record, got {kind(value)}")


def keys(h: Meter, record: Value) -> list[Value]:
    """`keys(record)`, in insertion order."""
    entries = _entries("keys", record)
    h.items(len(entries))
    return list[Value](entries)


def values(h: Meter, record: Value) -> list[Value]:
    """`values(record)`, in insertion order."""
    entries = _entries("values", record)
    h.items(len(entries))
    return list[Value](entries.values())


def _entries(name: str, record: Value) -> dict[str, Value]:
    if type(record) is dict:
        return record
    if record is None:
        return {}
    raise type_error(f"`{name}` requires a record, got {kind(record)}")


def contains(h: Meter, haystack: Value, needle: Value) -> bool:
    """`contains(x, needle)`: a part of a string, an item of a list, a key of a record."""
    t = type(haystack)
    if t is str:
        h.work(len(haystack) >> 6)
        return to_text(needle, "text to look for in `contains`") in haystack
    if t is list:
        h.work(len(haystack))
        return any(equal(h, item, needle) for item in haystack)
    if t is dict:
        return to_text(needle, "a record key in `contains`") in haystack
    if haystack is None:
        return False
    raise type_error(f"`contains` requires a string, list or record, got {kind(haystack)}")


def cut(h: Meter, value: Value, start: Value, end: Value) -> Value:
    """`slice(x, start, end)`: null bounds are open, negative ones count from the end."""
    if type(value) is not str and type(value) is not list:
        raise type_error(f"`slice` requires a string or list, got {kind(value)}")
    begin = None if start is None else to_index(start, "the start of `slice`")
    stop = None if end is None else to_index(end, "the end of `slice`")
    size = len(range(*slice(begin, stop).indices(len(value))))
    if type(value) is str:
        h.text(size)
    else:
        h.items(size)
    return value[begin:stop]


def push(h: Meter, items: Value, item: Value) -> list[Value]:
    """`push(list, item)`: a new list."""
    if type(items) is not list:
        raise type_error(f"`push` requires a list as the first argument, got {kind(items)}")
    h.items(len(items) + 1)
    return [*items, item]


def to_string(h: Meter, value: Value) -> str:
    """`to_string(x)`: a string as it is, anything else as it prints."""
    if type(value) is str:
        return value
    text = stringify(h, value)
    if type(value) is not list and type(value) is not dict:
        h.text(len(text))
    return text


def to_json(h: Meter, value: Value) -> str:
    """`to_json(x)`: compact JSON with sorted keys, strings quoted."""
    if type(value) is list or type(value) is dict:
        return compact_json(h, value)
    if type(value) is str:
        h.work(len(value) >> 6)
    text = scalar_json(value)
    h.text(len(text))
    return text


def json_parse(h: Meter, text: Value) -> Value:
    """`json_parse(text)`: strict JSON in document order; numbers that do not fit 64 bits become floats."""
    source = to_text(text, "text for `json_parse`")
    h.work(len(source) >> 3)
    if len(source) > _LONG_JSON:
        h.take(_parsed_bytes(source))
    try:
        parsed = json.loads(source, parse_constant=_no_constant, parse_int=_integer)
        return from_json(h, parsed)
    except RecursionError:
        raise value_error(f"`json_parse`: the value is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:  # its own words differ between Python versions
        place = f"line {error.lineno}, column {error.colno}"
        raise value_error(f"`json_parse`: the text is not JSON at {place}") from None
    except ValueError as error:
        raise value_error(f"`json_parse`: {error}") from None
    except Fault as error:
        reason = error.message.partition(": ")[2]
        raise value_error(f"`json_parse`: {reason}") from None


_LONG_JSON = 65_536
"""Up to this many characters a text is parsed before what it holds is charged."""
_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def _parsed_bytes(source: str) -> int:
    """What the containers of a JSON text will take, known before they are made."""
    bare = _STRINGS.sub("", source)
    return (
        LIST_COST * bare.count("[") + RECORD_COST * bare.count("{")
        + ENTRY_COST * bare.count(":") + ITEM_COST * bare.count(",")
    )  # fmt: skip


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 19 else float(digits)


def _same_kind(name: str, items: Value, what: Callable[[int], str]) -> list[Value]:
    """`items` if they are all numbers or all strings; a type error that names the first pair otherwise."""
    if type(items) is not list:
        raise type_error(f"`{name}` requires a list, got {kind(items)}")
    for at, item in enumerate(items):
        if type(item) not in (int, float, str):
            raise type_error(f"`{name}` compares numbers or strings, but {what(at)} is {kind(item)}")
        if kind(item) != kind(items[0]):
            raise type_error(
                f"`{name}` compares items of one kind: {what(0)} is {kind(items[0])}, {what(at)} is {kind(item)}"
            )
        if item != item:
            raise type_error(f"`{name}` cannot order NaN, but {what(at)} is NaN")
    return items


def _charge_sort(h: Meter, count: int) -> None:
    h.work(count * max(1, count.bit_length()))
    h.items(count)


def sort(h: Meter, items: Value) -> list[Value]:
    """`sort(list)`: ascending and stable, of numbers only or strings only."""
    found = _same_kind("sort", items, lambda at: f"item {at}")
    _charge_sort(h, len(found))
    return sorted(found)


def sort_by(h: Meter, items: Value, path: Value) -> list[Value]:
    """`sort_by(list, "a.b")`: by a field of its records; the path names it."""
    from lashlang.machine.access import field

    if type(items) is not list:
        raise type_error(f"`sort_by` requires a list, got {kind(items)}")
    if type(path) is not str:
        raise type_error(f"`sort_by` requires the name of a field, got {kind(path)}")
    names = path.split(".")
    h.work(len(items) * len(names))
    found: list[Value] = []
    for item in items:
        for name in names:
            item = field(item, name)
        found.append(item)
    _same_kind("sort_by", found, lambda at: f"`{path}` of item {at}")
    _charge_sort(h, len(found))
    order = sorted(range(len(items)), key=found.__getitem__)
    return [items[at] for at in order]


def least(h: Meter, *args: Value) -> Value:
    """`min(list)`, `min(a, b, …)`: of numbers only or strings only."""
    return _extreme(h, "min", args, min)


def most(h: Meter, *args: Value) -> Value:
    """`max(list)`, `max(a, b, …)`: of numbers only or strings only."""
    return _extreme(h, "max", args, max)


def _extreme(h: Meter, name: str, args: tuple[Value, ...], pick: Callable[[Any], Value]) -> Value:
    several = len(args) > 1
    found = _same_kind(
        name, list(args) if several else args[0], lambda at: f"{'argument' if several else 'item'} {at}"
    )
    if not found:
        raise value_error(f"`{name}` of an empty list")
    h.work(len(found))
    return pick(found)


def unique(h: Meter, items: Value) -> list[Value]:
    """`unique(list)`: the first of each group of equal items."""
    if type(items) is not list:
        raise type_error(f"`unique` requires a list, got {kind(items)}")
    h.items(len(items))
    scalars: set[tuple[str, Value]] = set()
    containers: list[Value] = []
    made: list[Value] = []
    for item in items:
        if type(item) in (list, dict):
            h.work(len(containers))
            if any(equal(h, item, other) for other in containers):
                continue
            containers.append(item)
        elif item == item:
            key = (kind(item), item)
            if key in scalars:
                continue
            scalars.add(key)
        made.append(item)
    return made


def reverse(h: Meter, value: Value) -> Value:
    """`reverse(x)`: a list or a string from its end."""
    if type(value) is list:
        h.items(len(value))
    elif type(value) is str:
        h.text(len(value))
    else:
        raise type_error(f"`reverse` requires a list or string, got {kind(value)}")
    return value[::-1]


def merge(h: Meter, *records: Value) -> dict[str, Value]:
    """`merge(a, b, …)`: the entries of all records; a later one wins, a key keeps its first position."""
    for at, record in enumerate(records, 1):
        if type(record) is not dict:
            raise type_error(f"`merge` requires records, but argument {at} is {kind(record)}")
    h.entries(sum(map(len, records)))
    made: dict[str, Value] = {}
    for record in records:
        made.update(record)
    return made


def remove(h: Meter, value: Value, place: Value) -> Value:
    """`remove(x, place)`: a record without a key, or a list without the item at an index."""
    if type(value) is dict:
        key = to_text(place, "a record key in `remove`")
        h.entries(len(value))
        return {name: item for name, item in value.items() if name != key}
    if type(value) is not list:
        raise type_error(f"`remove` requires a record or list, got {kind(value)}")
    at = to_index(place, "the index of `remove`")
    if not -len(value) <= at < len(value):
        raise value_error(f"`remove`: index {at} is outside the list of {len(value)}")
    h.items(len(value))
    copy = value.copy()
    del copy[at]
    return copy


def type_of(h: Meter, value: Value) -> str:
    """`type_of(x)`: the name of its kind."""
    return kind(value)
