"""The closed set of values, and what holds for all of them: kind names, truth, text, equality, order.

A value is exactly one of None, bool, int, float, str, list, dict, `Resource`, `Image`. Tests are always
`type(x) is …`: a subclass could carry its own `__eq__`, `__hash__` or `__add__`, so it must never get in (the
border in `border.py` rebuilds everything). Ints stay within 64 bits; beyond that a number is a float, so that to a
program there is one numeric type which happens to be exact where it can be.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, Literal

from lashlang.machine.fault import type_error

I64_MIN: Final = -(2**63)
I64_MAX: Final = 2**63 - 1
U64_MAX: Final = 2**64 - 1
MAX_TEXT: Final = 4_194_304
"""Longest string, in characters: a doubling loop is refused before it allocates."""
MAX_ITEMS: Final = 1_000_000
"""Longest list, and most entries of a record (the seed's bound on `range`)."""
MAX_DEPTH: Final = 64
"""Deepest nesting that is compared, printed, walked or carried over the border."""
MAX_NUMBER_TEXT: Final = 1_024
"""Longest text that can spell a number."""

WHITE_SPACE: Final = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode White_Space. `str.strip()` alone would also take U+001C to U+001F."""

Value = Any  # The closed set above; a recursive alias would not survive `type(x) is` narrowing.

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_WORDS: Final = {"inf": float("inf"), "infinity": float("inf"), "nan": float("nan")}


class Unset:
    """The mark of a variable that holds nothing. It is not a value: reading it is `undefined_variable`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<unset>"


UNSET: Final = Unset()
IDLE: Final = Unset()
"""The mark of a loop that is not running, where it would keep what its variable held before."""


class Resource:
    """A module authority: opaque to programs, equal by type and alias (lashlang.md 2.3)."""

    __slots__ = ("alias", "type_name")

    def __init__(self, type_name: str, alias: str) -> None:
        self.type_name = type_name
        self.alias = alias

    def __repr__(self) -> str:
        return f"Resource({self.type_name!r}, {self.alias!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is Resource and other.alias == self.alias and other.type_name == self.type_name

    def __hash__(self) -> int:
        return hash((self.type_name, self.alias))


class Image:
    """A picture that a host handed in: immutable, read by its five fields only."""

    __slots__ = ("height", "id", "label", "size", "width")
    FIELDS: Final = ("id", "label", "size", "width", "height")

    def __init__(self, fields: tuple[Value, ...]) -> None:
        self.id, self.label, self.size, self.width, self.height = fields

    def fields(self) -> dict[str, Value]:
        """The five fields by name, in the order of the JSON form."""
        return {name: getattr(self, name) for name in self.FIELDS}

    def __repr__(self) -> str:
        return f"Image({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is Image and other.fields() == self.fields()

    def __hash__(self) -> int:
        return hash(str(self.id))


class Projected:
    """A value that stays with the host; see `projection`.

    Args:
        ref: what the host finds it by. Equal references stand for equal content.
        kind: what it is to the program.
        length: its items, keys or characters.
        preview: a glimpse for messages and prompts; no program sees it.
    """

    __slots__ = ("kind", "length", "preview", "ref")

    def __init__(
        self, ref: str, kind: Literal["list", "record", "string"], length: int, preview: str = ""
    ) -> None:
        if kind not in ("list", "record", "string") or not 0 <= length <= I64_MAX:
            raise ValueError(f"a projected {kind!r} of {length} is impossible")
        self.ref = ref
        self.kind = kind
        self.length = length
        self.preview = preview

    def __repr__(self) -> str:
        return f"Projected({self.ref!r}, {self.kind!r}, {self.length})"

    def __eq__(self, other: object) -> bool:
        return type(other) is Projected and (other.ref, other.kind, other.length) == (
            self.ref, self.kind, self.length,
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash(self.ref)


_KINDS: Final = {
    type(None): "null",
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    dict: "record",
    Resource: "resource",
    Image: "image",
}


def kind(value: Value) -> str:
    """The name of a value's kind as messages give it (lashlang.md 2.1)."""
    if type(value) is Projected:
        return value.kind
    return _KINDS.get(type(value), "unset")


def truthy(value: Value) -> bool:
    """False for null, false, zero, NaN and the empty string; empty lists and records are true (ruling 18)."""
    t = type(value)
    if t is bool:
        return value  # type: ignore[no-any-return]  # the exact type was just tested
    if t is float:
        return bool(value == value and value != 0)
    if t is list or t is dict:
        return True
    return bool(value) if t is int or t is str else value is not None


def fit(number: int | float) -> int | float:
    """An arithmetic result as a value: an int beyond 64 bits becomes the nearest float."""
    return number if I64_MIN <= number <= I64_MAX else float(number)


def parse_number(text: str) -> int | float | None:
    """The number that `text` spells by the seed's rules (lashlang.md 2.4), or None."""
    if len(text) > MAX_NUMBER_TEXT:
        return None
    trimmed = text.strip(WHITE_SPACE)
    if not trimmed:
        return 0
    if _WHOLE.fullmatch(trimmed):
        return fit(int(trimmed)) if len(trimmed) <= 400 else float(trimmed)
    if _NUMBER.fullmatch(trimmed):
        return float(trimmed)
    sign = -1.0 if trimmed[0] == "-" else 1.0
    word = _WORDS.get(trimmed.lstrip("+-").lower()) if len(trimmed) - len(trimmed.lstrip("+-")) <= 1 else None
    return None if word is None else sign * word


def to_number(value: Value, what: str = "a number") -> int | float:
    """Number coercion (lashlang.md 2.4); `what` names the place for the message."""
    t = type(value)
    if t is int or t is float:
        return value  # type: ignore[no-any-return]  # the exact type was just tested
    if t is bool:
        return 1 if value else 0
    if value is None:
        return 0
    if t is str:
        number = parse_number(value)
        if number is not None:
            return number
        raise type_error(f"expected {what}, got the string {preview(value)}")
    raise type_error(f"expected {what}, got {kind(value)}")


def to_index(value: Value, what: str = "an index") -> int:
    """Index coercion: a number that is finite and whole."""
    number = to_number(value, what)
    if type(number) is int:
        return number
    if number == number and number not in (float("inf"), float("-inf")) and number == int(number):
        return int(number)
    raise type_error(f"expected a whole number for {what}, got {number_text(number)}")


def whole(value: Value, what: str) -> int:
    """A number *value* that is whole; nothing is coerced (`range`, `ceil_div`, `floor_div`)."""
    if type(value) is int:
        return value
    if type(value) is float:
        return to_index(value, what)
    raise type_error(f"{what} must be a whole number, got {kind(value)}")


def number_text(number: int | float) -> str:
    """The shortest positional decimal; whole numbers in 64 bits without a fraction, `-0` as `0`."""
    if type(number) is int:
        return str(number)
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "inf" if number > 0 else "-inf"
    if number == int(number) and I64_MIN <= number <= U64_MAX:
        return str(int(number))
    return format(Decimal(repr(number)), "f").removesuffix(".0")


def to_text(value: Value, what: str = "text") -> str:
    """Strict text coercion: scalars only (lashlang.md 2.4)."""
    t = type(value)
    if t is str:
        return value  # type: ignore[no-any-return]  # the exact type was just tested
    if t is int:
        return str(value)
    if value is None:
        return "null"
    if t is bool:
        return "true" if value else "false"
    if t is float:
        return "-0" if value == 0 and str(value)[0] == "-" else number_text(value)
    raise type_error(f"expected {what}, got {kind(value)}")


_ESCAPES: Final = {
    '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f",
}  # fmt: skip
_ESCAPED = re.compile(r'["\\\x00-\x1f]')


def quote(text: str) -> str:
    """`text` as a JSON string."""
    return '"' + _ESCAPED.sub(lambda m: _ESCAPES.get(m[0]) or f"\\u{ord(m[0]):04x}", text) + '"'


def preview(value: Value) -> str:
    """A short JSON-like glimpse of a value for messages."""
    if type(value) is str:
        text = quote(value[:40])
        return text if len(value) <= 40 else text[:-1] + '…"'
    if type(value) in (list, dict):
        return f"a {kind(value)} of {len(value)}"
    return to_text(value) if type(value) not in (Resource, Image) else kind(value)
