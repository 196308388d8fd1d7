"""Values as text: what `print` shows, what `+` and `format` put in, and compact JSON.

A text is never longer than any may be, and that is known before much of it is written: a shared container is written
as often as it is reached, so a small value can stand for an exponentially long text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lashlang.machine.fault import Halt, value_error
from lashlang.machine.sizes import weigh
from lashlang.machine.values import MAX_DEPTH, MAX_TEXT, Image, Resource, Value, number_text, quote, to_text

if TYPE_CHECKING:
    from lashlang.machine.meter import Meter

CHECKED_PARTS: Final = 4_096
"""After so many parts of a tree its whole size is found out, in the time that what is shared in it takes."""


def stringify(h: Meter, value: Value) -> str:
    """Lenient text: a string as it is, a container as compact JSON with sorted keys (lashlang.md 2.4)."""
    t = type(value)
    if t is str:
        return value  # type: ignore[no-any-return]  # the exact type was just tested
    if t is int:
        return str(value)
    if t is float:
        return number_text(value)
    if t is list or t is dict or t is Image or t is Resource:
        return compact_json(h, value)
    return to_text(value)


def compact_json(h: Meter, value: Value) -> str:
    """Compact JSON with sorted keys; NaN and infinities are null.

    Charges one unit of fuel a node of the tree, and the text itself.
    """
    writer = _Writer(h, value)
    writer.write(value, 0)
    h.text(MAX_TEXT - writer.room)
    return "".join(writer.parts)


class _Writer:
    """One text under way."""

    __slots__ = ("h", "parts", "room", "root", "unchecked")

    def __init__(self, h: Meter, root: Value) -> None:
        self.h = h
        self.root = root
        self.parts: list[str] = []
        self.room = MAX_TEXT
        self.unchecked = CHECKED_PARTS

    def write(self, value: Value, depth: int) -> None:
        """Append the text of `value`."""
        t = type(value)
        if t is not list and t is not dict:
            self._scalar(value)
            return
        if depth >= MAX_DEPTH:
            raise value_error(f"the value is nested deeper than {MAX_DEPTH} levels")
        size = len(value)
        self.h.work(1 + size)
        self._look_ahead(size)
        self._spend(max(2, size + 1 if t is list else 2 * size + 1))
        parts = self.parts
        if t is list:
            for at, item in enumerate(value):
                parts.append("," if at else "[")
                self.write(item, depth + 1)
            parts.append("]" if value else "[]")
            return
        for at, key in enumerate(sorted(value)):
            parts.append("," if at else "{")
            self._scalar(key)
            parts.append(":")
            self.write(value[key], depth + 1)
        parts.append("}" if value else "{}")

    def _look_ahead(self, size: int) -> None:
        """Every part of a tree takes a character: refuse one of too many parts while little is written."""
        before = self.unchecked
        self.unchecked -= 1 + size
        if before >= 0 > self.unchecked and weigh(self.root, {})[0] > MAX_TEXT:
            self._spend(MAX_TEXT + 1)

    def _scalar(self, value: Value) -> None:
        if type(value) is str and len(value) > self.room:
            self._spend(len(value))
        text = scalar_json(value)
        self._spend(len(text))
        self.parts.append(text)

    def _spend(self, length: int) -> None:
        self.room -= length
        if self.room < 0:
            raise Halt(
                "value_too_large", f"the text of this value would be longer than {MAX_TEXT} characters"
            )


def scalar_json(value: Value) -> str:
    """The JSON text of anything but a list or a record."""
    t = type(value)
    if t is str:
        return quote(value)
    if t is float:
        text = number_text(value)
        return "null" if text in ("NaN", "inf", "-inf") else text
    if t is Image:
        fields = {"type": "image", **value.fields()}
        return "{" + ",".join(f"{quote(k)}:{scalar_json(fields[k])}" for k in sorted(fields)) + "}"
    if t is Resource:
        return f'{{"__resource__":true,"alias":{quote(value.alias)},"type":{quote(value.type_name)}}}'
    return to_text(value)
