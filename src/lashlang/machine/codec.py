"""Program values as canonical bytes that keep sharing.

Lists and records are shared under value semantics, so a plain tree encoding could be exponentially large
(`x = [x, x]`) and would make the memory meter drift after a resume. A container that is reached twice is written once,
into a table, and referred to by number; where nothing is shared the bytes are plain msgpack of the tree.

Invariant: `decode_values(encode_values(v))` gives equal values with the same sharing, and nothing but the closed value
set ever comes out of `decode_values`, whatever the bytes were.
"""

from __future__ import annotations

import struct
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
MAX_BYTES: Final = 256 * 1024 * 1024
"""Largest encoding that is read: a frame cannot be larger than what a run may hold."""

_encoder = msgspec.msgpack.Encoder()


def encode_values(values: list[Value]) -> bytes:
    """`[table, values]` as msgpack; the table is empty when nothing is shared.

    Raises:
        LangError: `value_too_large` for a value nested deeper than 64 levels.
    """
    if all(type(value) in _SCALARS for value in values):
        return _encoder.encode([[], values])
    seen: set[int] = set()
    shared: dict[int, int] = {}
    special = False
    stack: list[tuple[Value, int]] = [(value, 0) for value in values]
    while stack:
        value, depth = stack.pop()
        t = type(value)
        if t is list or t is dict:
            if id(value) in seen:
                shared[id(value)] = -1
                continue
            if depth >= MAX_DEPTH:
                raise LangError("value_too_large", f"a value is nested deeper than {MAX_DEPTH} levels")
            seen.add(id(value))
            for item in value.values() if t is dict else value:
                if type(item) not in _SCALARS:
                    stack.append((item, depth + 1))
        elif t not in _SCALARS:
            special = True
    if not shared and not special:
        return _encoder.encode([[], values])
    table: list[Any] = []  # Any: msgspec takes extension values
    return _encoder.encode([table, [_referring(value, shared, table, 0) for value in values]])


def _referring(value: Value, shared: dict[int, int], table: list[Any], depth: int) -> Any:  # Any: an extension value
    """`value` with shared containers as references into `table`, each entered once, inner ones first."""
    t = type(value)
    if t in _SCALARS:
        return value
    if t is Resource:
        return _ext(_RESOURCE, [value.type_name, value.alias])
    if t is Image:
        return _ext(_IMAGE, list(value.fields().values()))
    if t is range:
        return _ext(_RANGE, [value.start, value.stop, value.step])
    number = shared.get(id(value))
    if number is not None and number >= 0:
        return msgspec.msgpack.Ext(_REFERENCE, struct.pack(">I", number))
    if depth > MAX_DEPTH:
        raise LangError("value_too_large", f"a value is nested deeper than {MAX_DEPTH} levels")
    made: Any
    if t is list:
        made = [_referring(item, shared, table, depth + 1) for item in value]
    else:
        made = {key: _referring(item, shared, table, depth + 1) for key, item in value.items()}
    if number is None:
        return made
    shared[id(value)] = len(table)
    table.append(made)
    return msgspec.msgpack.Ext(_REFERENCE, struct.pack(">I", len(table) - 1))


def _ext(code: int, fields: list[Value]) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, _encoder.encode(fields))


def decode_values(data: bytes | memoryview) -> list[Value]:
    """The values of `encode_values`.

    Raises:
        LangError: `frame_codec` for anything that this module did not write.
    """
    table: list[Value] = []
    try:
        raw = msgspec.msgpack.decode(data, type=tuple[list[msgspec.Raw], msgspec.Raw])
        if raw[0]:
            decoder = msgspec.msgpack.Decoder(list[Any], ext_hook=lambda code, body: _extension(code, body, table))
            one = msgspec.msgpack.Decoder(ext_hook=lambda code, body: _extension(code, body, table))
            for entry in raw[0]:
                table.append(_checked(one.decode(entry), 0, set()))
        else:
            decoder = msgspec.msgpack.Decoder(list[Any], ext_hook=lambda code, body: _extension(code, body, table))
        values: list[Value] = decoder.decode(raw[1])
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError, IndexError, RecursionError) as error:
        raise LangError("frame_codec", f"the bytes hold no values: {error}") from None
    known = {id(entry) for entry in table}
    return [_checked(value, 0, known) for value in values]


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


def _checked(value: Value, depth: int, known: set[int]) -> Value:
    """`value` if it is of the closed set; containers in `known` were checked before."""
    t = type(value)
    if t is int:
        return value if I64_MIN <= value <= I64_MAX else _refuse("a number of more than 64 bits")
    if t is list or t is dict:
        if id(value) in known:
            return value
        if depth >= MAX_DEPTH:
            _refuse(f"a value nested deeper than {MAX_DEPTH} levels")
        if t is dict and any(type(key) is not str for key in value):
            _refuse("a key that is not text")
        for item in value.values() if t is dict else value:
            if type(item) is not str and item is not None:
                _checked(item, depth + 1, known)
        return value
    if t not in (type(None), bool, float, str, Resource, Image, range):
        _refuse(f"a {t.__name__}")
    return value
