"""Program values as canonical bytes that keep sharing.

Lists and records are shared under value semantics, so a plain tree encoding could be exponentially large
(`x = [x, x]`) and would make the memory meter drift after a resume. A container that is reached twice is written once,
into a table, and referred to by number; where nothing is shared the bytes are plain msgpack of the tree.

Invariant: `decode_values(encode_values(v))` gives equal values with the same sharing, and nothing but the closed value
set ever comes out of `decode_values`, whatever the bytes were.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import msgspec

from lashlang.errors import LangError
from lashlang.machine.values import (
    I64_MAX,
    I64_MIN,
    MAX_DEPTH,
    Image,
    Resource,
    Value,
)

_REFERENCE: Final = 1
_RESOURCE: Final = 2
_IMAGE: Final = 3
_RANGE: Final = 4
_SCALARS: Final = frozenset({type(None), bool, int, float, str})
_PLAIN: Final = _SCALARS | {Resource, Image, range}
_encoder = msgspec.msgpack.Encoder()


def encode_values(values: list[Value], plain: Sequence[Value] = ()) -> bytes:
    """`[table, values]` as msgpack; the table is empty when nothing is shared.

    `plain` are values known to be texts and numbers; they come first and are not looked at.

    Raises:
        LangError: `value_too_large` for a value nested deeper than 64 levels.
    """
    stack: list[tuple[Value, int]] = [(value, 0) for value in values if type(value) not in _SCALARS]
    if not stack:
        return _encoder.encode([[], [*plain, *values]])
    seen: set[int] = set()
    shared: dict[int, int] = {}
    special = False
    while stack:
        value, depth = stack.pop()
        t = type(value)
        if t is list or t is dict:
            if id(value) in seen:
                shared[id(value)] = -1
                continue
            if depth >= MAX_DEPTH:
                raise _too_deep()
            seen.add(id(value))
            inner = value.values() if t is dict else value
            stack += [(item, depth + 1) for item in inner if type(item) not in _SCALARS]
        elif t not in _SCALARS:
            special = True
    if not shared and not special:
        return _encoder.encode([[], [*plain, *values]])
    writer = _Writer(shared)
    top = [writer.write(value, 0)[0] for value in values]
    return _encoder.encode([writer.table, [*plain, *top]])


class _Writer:
    """Writes values in which containers are shared: each of those once, inner ones first."""

    def __init__(self, shared: dict[int, int]) -> None:
        self.table: list[Any] = []  # Any: msgspec takes extension values
        self._shared = shared
        self._heights: dict[int, int] = {}

    def write(self, value: Value, depth: int) -> tuple[Any, int]:  # Any: an extension value
        """`value` with references into `table`, and how deeply it nests."""
        t = type(value)
        if t in _SCALARS:
            return value, 0
        if t is Resource:
            return _ext(_RESOURCE, [value.type_name, value.alias]), 0
        if t is Image:
            return _ext(_IMAGE, list(value.fields().values())), 0
        if t is range:
            return _ext(_RANGE, [value.start, value.stop, value.step]), 0
        number = self._shared.get(id(value))
        if number is not None and number >= 0:
            return _reference(number), self._heights[id(value)]
        if depth >= MAX_DEPTH:
            raise _too_deep()
        pairs = [self.write(item, depth + 1) for item in (value.values() if t is dict else value)]
        height = 1 + max((tall for _, tall in pairs), default=0)
        if height > MAX_DEPTH:
            raise _too_deep()
        items = [made for made, _ in pairs]
        made = dict(zip(value, items, strict=True)) if t is dict else items
        if number is None:
            return made, height
        self._shared[id(value)] = len(self.table)
        self._heights[id(value)] = height
        self.table.append(made)
        return _reference(len(self.table) - 1), height


def _too_deep() -> LangError:
    return LangError("value_too_large", f"a value is nested deeper than {MAX_DEPTH} levels")


def _reference(number: int) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_REFERENCE, struct.pack(">I", number))


def _ext(code: int, fields: list[Value]) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, _encoder.encode(fields))


def decode_values(data: bytes | memoryview) -> list[Value]:
    """The values of `encode_values`.

    Raises:
        LangError: `frame_codec` for anything that this module did not write.
    """
    table: list[Value] = []
    heights: dict[int, int] = {}
    decoder = msgspec.msgpack.Decoder(ext_hook=lambda code, body: _extension(code, body, table))
    try:
        entries, top = msgspec.msgpack.decode(data, type=tuple[list[msgspec.Raw], msgspec.Raw])
        for entry in entries:
            value = decoder.decode(entry)
            heights[id(value)] = _height(value, 0, heights)
            table.append(value)
        values = decoder.decode(top)
    except (msgspec.DecodeError, ValueError, IndexError, RecursionError, struct.error) as error:
        raise LangError("frame_codec", f"the bytes hold no values: {error}") from None
    if type(values) is not list:
        _refuse(f"a {type(values).__name__} where a list should be")
    for value in values:
        _height(value, 0, heights)
    return values


def _extension(code: int, body: memoryview, table: list[Value]) -> Value:
    if code == _REFERENCE:
        return table[struct.unpack(">I", body)[0]]
    if code == _RESOURCE:
        fields = msgspec.msgpack.decode(body, type=list[str])
        return Resource(fields[0], fields[1])
    if code == _RANGE:
        return range(*msgspec.msgpack.decode(body, type=tuple[int, int, int]))
    if code == _IMAGE:
        parts = msgspec.msgpack.decode(body, type=list[str | int | float | bool | None])
        return Image(tuple(parts)) if len(parts) == len(Image.FIELDS) else _refuse("an image of other fields")
    return _refuse(f"an extension {code}")


def _refuse(what: str) -> NoReturn:
    raise LangError("frame_codec", f"the bytes hold {what}")


def _height(value: Value, depth: int, known: dict[int, int]) -> int:
    """How deeply a value of the closed set nests; `known` are the heights of containers that were looked at."""
    t = type(value)
    if t is int:
        return 0 if I64_MIN <= value <= I64_MAX else _refuse("a number of more than 64 bits")
    if t is not list and t is not dict:
        return 0 if t in _PLAIN else _refuse(f"a {t.__name__}")
    height = known.get(id(value))
    if height is None:
        if depth >= MAX_DEPTH:
            _refuse(f"a value nested deeper than {MAX_DEPTH} levels")
        if t is dict and not all(type(key) is str for key in value):
            _refuse("a key that is not text")
        height = 1
        for item in value.values() if t is dict else value:
            if type(item) is not str and item is not None:
                height = max(height, 1 + _height(item, depth + 1, known))
    if depth + height > MAX_DEPTH:
        _refuse(f"a value nested deeper than {MAX_DEPTH} levels")
    return height
