"""Values that stay with the host while programs read them part by part.

A value is named by where it is (`rows:3f9a/12/name`: a root, and a path in it), so a program that is resumed in
another process finds what it was reading. Small parts are handed over as data, large ones by their own name. A
text that is stored apart is fetched when it is read, from the thread that computes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from lashlang import Projected, Reading

_SMALL: Final = 64  # parts, or characters, up to which a value is simply handed over
_LONG_TEXT: Final = 4_096
_KEPT: Final = 4  # fetched texts that are kept at hand


class StoredText(msgspec.Struct, frozen=True):
    """A text that is an attachment."""

    attachment_id: str
    chars: int


class ProjectedValues:
    """The values of one program's bindings.

    Args:
        fetch: Returns the text of an attachment. Called on the thread that computes; may block.
    """

    def __init__(self, fetch: Callable[[str], str]) -> None:
        self._fetch = fetch
        self._roots: dict[str, Any] = {}  # JSON, with `StoredText`s in it
        self._texts: OrderedDict[str, str] = OrderedDict()

    def bind(self, root: str, value: Any) -> object:
        """Return what a program is bound to for a value: the value itself if it is small.

        Args:
            root: Names the value and its content: equal names stand for equal values.
            value: JSON, or JSON with `StoredText`s in it.
        """
        self._roots[root] = value
        return self._handed(root, value)

    def resolve(self, reading: Reading) -> object:
        """Give what a program reads; see `lashlang.Resolver`."""
        value = self._at(reading.ref)
        if isinstance(value, StoredText):
            value = self._text(value)
        match reading.want:
            case "whole":
                return self._whole(value)
            case "keys":
                return list(value)
            case "field":
                return self._handed(_below(reading.ref, reading.key), value.get(reading.key))
            case "item":
                return self._handed(_below(reading.ref, str(reading.start)), value[reading.start])
            case "part" if isinstance(value, str):
                return value[reading.start : reading.stop]
            case "part":
                return [
                    self._handed(_below(reading.ref, str(at)), value[at])
                    for at in range(reading.start, reading.stop)
                ]

    def _at(self, ref: str) -> Any:
        root, *path = ref.split("/")
        value = self._roots[root]
        for step in path:
            value = value[int(step)] if isinstance(value, list) else value[_unescaped(step)]
        return value

    def _handed(self, ref: str, value: Any) -> object:
        """Return a value as data if it is small, by its name if not."""
        match value:
            case StoredText():
                return Projected(ref, "string", value.chars)
            case str() if len(value) > _LONG_TEXT:
                return Projected(ref, "string", len(value))
            case list() if _parts(value, _SMALL) > _SMALL:
                return Projected(ref, "list", len(value))
            case dict() if _parts(value, _SMALL) > _SMALL:
                return Projected(ref, "record", len(value))
            case _:
                return value

    def _whole(self, value: Any) -> Any:
        """Return a value as data, whatever its size: who asks for the whole is charged for it."""
        match value:
            case StoredText():
                return self._text(value)
            case list():
                return [self._whole(item) for item in value]
            case dict():
                return {key: self._whole(item) for key, item in value.items()}
            case _:
                return value

    def _text(self, stored: StoredText) -> str:
        text = self._texts.pop(stored.attachment_id, None)
        if text is None:
            text = self._fetch(stored.attachment_id)
        self._texts[stored.attachment_id] = text
        while len(self._texts) > _KEPT:
            self._texts.popitem(last=False)
        return text


def _parts(value: Any, enough: int) -> int:
    """Return how many parts a value has; more than `enough` for one with more, or with a long or stored text."""
    count, stack = 0, [value]
    while stack and count <= enough:
        one = stack.pop()
        match one:
            case list():
                count += len(one)
                stack += one[: enough + 1]
            case dict():
                count += len(one)
                stack += list(one.values())[: enough + 1]
            case str() if len(one) > _LONG_TEXT:
                return enough + 1
            case StoredText():
                return enough + 1
            case _:
                pass
    return count


def _below(ref: str, step: str) -> str:
    return f"{ref}/{step.replace('~', '~0').replace('/', '~1')}"


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
