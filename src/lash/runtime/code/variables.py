"""What a model is told of the variables that its next program will find: name, type, and a little of the value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from lashlang import Image, Resource

INLINE_CHARS: Final = 400
PREVIEW_CHARS: Final = 120
MAX_LINES: Final = 60


def variable_lines(variables: Mapping[str, object]) -> tuple[str, ...]:
    """Return a line for each variable, by name.

    A small value is given whole, of a big one the size and the beginning. The order does not depend on when
    a variable was assigned.
    """
    names = sorted(variables)
    lines = [variable_line(name, variables[name]) for name in names[:MAX_LINES]]
    if len(names) > MAX_LINES:
        lines.append(f"and {len(names) - MAX_LINES} more: {', '.join(names[MAX_LINES : MAX_LINES + 40])}")
    return tuple(lines)


def variable_line(name: str, value: object) -> str:
    """Return the line of one variable."""
    kind, size = shape_of(value)
    sample, whole = _rendered(value, INLINE_CHARS)
    if whole:
        return f"{name}: {kind} = {sample}"
    return f"{name}: {kind}, {size}: {sample[:PREVIEW_CHARS]}…"


def shape_of(value: object) -> tuple[str, str]:
    """Return the type of a value in a few words, and its size."""
    match value:
        case None:
            return "null", "0 items"
        case bool():
            return "bool", "1 item"
        case int():
            return "int", "1 item"
        case float():
            return "float", "1 item"
        case str():
            return "str", f"{len(value):,} characters"
        case list():
            return f"list[{_item_kind(value)}]", f"{len(value):,} items"
        case dict():
            return _record_kind(value), f"{len(value):,} fields"
        case Image():
            return "image", "1 item"
        case Resource():
            return value.type_name, "1 item"
        case _:
            return type(value).__name__, "1 item"


def _item_kind(items: list[object]) -> str:
    kinds = {_brief_kind(item) for item in items[:20]}
    return kinds.pop() if len(kinds) == 1 else "any"


def _brief_kind(value: object) -> str:
    if isinstance(value, dict):
        return _record_kind(value)
    return "list" if isinstance(value, list) else shape_of(value)[0]


def _record_kind(record: dict[str, object]) -> str:
    if not record or len(record) > 12:
        return "dict"
    fields = ", ".join(
        f"{key}: {'dict' if isinstance(value, dict) else 'list' if isinstance(value, list) else shape_of(value)[0]}"
        for key, value in record.items()
    )
    return f"{{ {fields} }}"


def _rendered(value: object, limit: int) -> tuple[str, bool]:
    """Return the beginning of a value's JSON, and whether that is all of it. Bounded work, whatever the value."""
    parts: list[str] = []
    left = limit
    for piece in json.JSONEncoder(ensure_ascii=False, default=_opaque).iterencode(_clipped(value, limit)):
        parts.append(piece)
        left -= len(piece)
        if left < 0:
            return "".join(parts)[:limit], False
    return "".join(parts), True


def _clipped(value: object, limit: int) -> object:
    """Return a value whose strings are not much longer than what is shown of it."""
    if isinstance(value, str):
        return value[: limit + 1]
    return value


def _opaque(value: object) -> object:
    match value:
        case Image():
            return {"type": "image", **value.fields()}
        case Resource():
            return {"module": value.alias}
        case _:
            return repr(value)
