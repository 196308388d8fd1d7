"""Program values as canonical bytes that keep sharing.

Lists and records are shared under value semantics, so a plain tree encoding could be exponentially large
(`x = [x, x]`) and would make the memory meter drift after a resume. A container that is reached twice is written once,
into a table, and referred to by number, and so is a long text: the bytes are never more than what is really held.
Where nothing is shared they are plain msgpack of the tree.

Invariant: `decode_values(encode_values(v))` gives equal values with the same sharing, and nothing but the closed value
set ever comes out of `decode_values`, whatever the bytes were.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, Literal, NoReturn

import msgspec

from lashlang.errors import LangError
from lashlang.machine.values import (
    I64_MAX,
    I64_MIN,
    MAX_DEPTH,
    Image,
    Projected,
    Resource,
    Value,
)

_REFERENCE: Final = 1
_RESOURCE: Final = 2
_IMAGE: Final = 3
_RANGE: Final = 4
_KEYED: Final = 5
"""A record with long keys, as its keys and values in turn."""
_PROJECTED: Final = 6
_LONG: Final = 64
"""A text of more characters than this is written once."""
_SMALL: Final = frozenset({type(None), bool, int, float})
_SPECIAL: Final = frozenset({Resource, Image, Projected, range})
_PLAIN: Final = _SMALL | _SPECIAL | {str}
_FEW: Final = 16
"""Entries, and records of so many, that are looked at before anything else is."""
_encoder = msgspec.msgpack.Encoder()


def encode_values(values: list[Value], plain: Sequence[Value] = ()) -> bytes:
    """`[table, values]` as msgpack; the table is empty when nothing is shared.

    `plain` are values known to be texts and numbers; they come first and are not looked at.

    Raises:
        LangError: `value_too_large` for a value nested deeper than 64 levels, `invalid_host_value` for something that
            is no value (a host's own variable, which no program has touched).
    """
    if _are_plain(values):
        return _encoded([[], [*plain, *values]])
    found = _Sharing()
    for value in values:
        found.look(value)
    if found.is_plain:
        return _encoded([[], [*plain, *values]])
    writer = _Writer(found)
    top = [writer.write(value, 0)[0] for value in values]
    return _encoded([writer.table, [*plain, *top]])


def _encoded(value: Any) -> bytes:  # Any: msgspec takes extension values
    try:
        return _encoder.encode(value)
    except OverflowError:
        raise LangError("invalid_host_value", "a number of more than 64 bits is no value") from None


def _are_plain(values: list[Value]) -> bool:
    """Whether nothing in `values` can be shared or special: scalars, and a few small flat records that differ."""
    records: list[int] = []
    for value in values:
        t = type(value)
        if t in _SMALL or (t is str and len(value) <= _LONG):
            continue
        if t is not dict or len(value) > _FEW or len(records) == _FEW or id(value) in records:
            return False
        records.append(id(value))
        for key, item in value.items():
            u = type(item)
            if (
                (u not in _SMALL and (u is not str or len(item) > _LONG))
                or type(key) is not str
                or len(key) > _LONG
            ):
                return False
    return True


class _Sharing:
    """What is reached more than once in some values, and whether anything in them is more than JSON."""

    def __init__(self) -> None:
        self.containers: set[int] = set()
        self.texts: set[str] = set()
        self.special = False
        self._seen: set[int] = set()
        self._read: set[str] = set()

    @property
    def is_plain(self) -> bool:
        """Whether the values are their own msgpack."""
        return not (self.containers or self.texts or self.special)

    def look(self, value: Value) -> None:
        """Find what is shared in one more value; every container is entered once."""
        if type(value) in _SMALL:
            return
        stack: list[tuple[Value, int]] = [(value, 0)]
        while stack:
            value, depth = stack.pop()
            t = type(value)
            if t is str:
                if len(value) > _LONG:
                    (self.texts if value in self._read else self._read).add(value)
            elif t is list or t is dict:
                if id(value) in self._seen:
                    self.containers.add(id(value))
                    continue
                if depth >= MAX_DEPTH:
                    raise _too_deep()
                self._seen.add(id(value))
                if t is dict and value and max(map(_key_length, value)) > _LONG:
                    self.special = True
                    for key in value:
                        self.look(key)
                inner = value.values() if t is dict else value
                stack += [
                    (item, depth + 1)
                    for item in inner
                    if (u := type(item)) not in _SMALL and (u is not str or len(item) > _LONG)
                ]
            elif t in _SPECIAL:
                self.special = True
            else:
                raise LangError("invalid_host_value", f"a {t.__name__} is no value")


def _key_length(key: Value) -> int:
    if type(key) is not str:
        raise LangError("invalid_host_value", f"a record key is a {type(key).__name__}")
    return len(key)


class _Writer:
    """Writes values in which containers and texts are shared: each of those once, inner ones first."""

    def __init__(self, sharing: _Sharing) -> None:
        self.table: list[Any] = []  # Any: msgspec takes extension values
        self._sharing = sharing
        self._numbers: dict[int | str, int] = {}
        self._heights: dict[int, int] = {}

    def write(self, value: Value, depth: int) -> tuple[Any, int]:  # Any: an extension value
        """`value` with references into `table`, and how deeply it nests."""
        t = type(value)
        if t in _SMALL:
            return value, 0
        if t is str:
            return self._text(value), 0
        if t is Resource:
            return _ext(_RESOURCE, [value.type_name, value.alias]), 0
        if t is Projected:
            return _ext(_PROJECTED, [value.ref, value.kind, value.length]), 0
        if t is Image:
            return _ext(_IMAGE, list(value.fields().values())), 0
        if t is range:
            return _ext(_RANGE, [value.start, value.stop, value.step]), 0
        number = self._numbers.get(id(value))
        if number is not None:
            if depth + self._heights[id(value)] > MAX_DEPTH:
                raise _too_deep()
            return _reference(number), self._heights[id(value)]
        if depth >= MAX_DEPTH:
            raise _too_deep()
        pairs = [self.write(item, depth + 1) for item in (value.values() if t is dict else value)]
        height = 1 + max((tall for _, tall in pairs), default=0)
        if height > MAX_DEPTH:
            raise _too_deep()
        items = [made for made, _ in pairs]
        made = self._record(value, items) if t is dict else items
        if id(value) not in self._sharing.containers:
            return made, height
        self._heights[id(value)] = height
        return self._add(id(value), made), height

    def _text(self, text: str) -> Any:  # Any: an extension value
        if len(text) <= _LONG or text not in self._sharing.texts:
            return text
        number = self._numbers.get(text)
        return self._add(text, text) if number is None else _reference(number)

    def _record(self, value: dict[str, Value], items: list[Any]) -> Any:  # Any: as above
        if not value or max(map(len, value)) <= _LONG:
            return dict(zip(value, items, strict=True))
        keys = [self._text(key) for key in value]
        return _ext(_KEYED, [part for pair in zip(keys, items, strict=True) for part in pair])

    def _add(self, name: int | str, made: Any) -> msgspec.msgpack.Ext:  # Any: as above
        self._numbers[name] = len(self.table)
        self.table.append(made)
        return _reference(len(self.table) - 1)


def _too_deep() -> LangError:
    return LangError("value_too_large", f"a value is nested deeper than {MAX_DEPTH} levels")


def _reference(number: int) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_REFERENCE, struct.pack(">I", number))


def _ext(code: int, fields: list[Value]) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, _encoded(fields))


def decode_values(data: bytes | memoryview) -> list[Value]:
    """The values of `encode_values`.

    Raises:
        LangError: `frame_codec` for anything that this module did not write.
    """
    table: list[Value] = []
    heights: dict[int, int] = {}
    decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(  # Any: whatever the bytes hold
        ext_hook=lambda code, body: _extension(code, body, table, decoder)
    )
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


def _extension(
    code: int, body: memoryview, table: list[Value], decoder: msgspec.msgpack.Decoder[Any]
) -> Value:
    if code == _REFERENCE:
        return table[struct.unpack(">I", body)[0]]
    if code == _KEYED:
        flat = decoder.decode(body)
        if type(flat) is not list or len(flat) % 2 or not all(type(key) is str for key in flat[::2]):
            _refuse("a record of another form")
        return dict(zip(flat[::2], flat[1::2], strict=True))
    if code == _RESOURCE:
        fields = msgspec.msgpack.decode(body, type=list[str])
        return Resource(fields[0], fields[1])
    if code == _PROJECTED:
        return Projected(
            *msgspec.msgpack.decode(body, type=tuple[str, Literal["list", "record", "string"], int])
        )
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
