"""Builtins on text (lashlang.md 6). Positions count Unicode scalars."""

from __future__ import annotations

import re

from lashlang.machine.fault import type_error, value_error
from lashlang.machine.meter import SHORT_TEXT, Meter
from lashlang.machine.sizes import RECORD_COST, TEXT_COST
from lashlang.machine.texts import stringify
from lashlang.machine.values import MAX_TEXT, WHITE_SPACE, Value, kind, to_index, to_text


def _both(name: str, text: Value, other: Value) -> tuple[str, str]:
    return (
        text if type(text) is str else to_text(text, f"text for `{name}`"),
        other if type(other) is str else to_text(other, f"text for `{name}`"),
    )


def find(h: Meter, text: Value, needle: Value, start: Value = 0) -> int | None:
    """`find(text, needle[, start])`: the first position at or after `start`, or null."""
    haystack, wanted = _both("find", text, needle)
    begin = to_index(start, "the start of `find`")
    if begin < 0:
        raise type_error(f"the start of `find` must not be negative, got {begin}")
    h.work(len(haystack) >> 6)
    place = haystack.find(wanted, begin) if begin <= len(haystack) else -1
    return None if place < 0 else place


def grep_text(h: Meter, text: Value, needle: Value) -> list[Value]:
    """`grep_text(text, needle)`: the first match of each line, with its place in that line."""
    haystack, wanted = _both("grep_text", text, needle)
    if not wanted:
        raise value_error("`grep_text` needs a text to look for, got an empty string")
    ends = haystack.count("\n")
    h.work((len(haystack) >> 4) + ends)
    h.take(TEXT_COST * ends + len(haystack))
    lines = haystack.split("\n")
    if lines[-1] == "":
        lines.pop()
    found: list[Value] = []
    for number, raw in enumerate(lines, 1):
        line = raw.removesuffix("\r")
        start = line.find(wanted)
        if start >= 0:
            h.text(len(line))
            h.take(RECORD_COST * 3)
            found.append(
                {"line": number, "text": line, "match": wanted, "start": start, "end": start + len(wanted)}
            )
    h.items(len(found))
    return found


def starts_with(h: Meter, text: Value, affix: Value) -> bool:
    """`starts_with(text, affix)`."""
    whole, part = _both("starts_with", text, affix)
    h.work(len(part) >> 6)
    return whole.startswith(part)


def ends_with(h: Meter, text: Value, affix: Value) -> bool:
    """`ends_with(text, affix)`."""
    whole, part = _both("ends_with", text, affix)
    h.work(len(part) >> 6)
    return whole.endswith(part)


def split(h: Meter, text: Value, separator: Value) -> list[Value]:
    """`split(text, separator)`: literal, keeps empty parts; an empty separator gives each character."""
    whole, mark = _both("split", text, separator)
    h.items((whole.count(mark) if mark else len(whole) + 1) + 1)
    h.take(len(whole) + 57 * (whole.count(mark) + 1 if mark else len(whole) + 2))
    return list[Value](whole.split(mark)) if mark else ["", *whole, ""]


def join(h: Meter, items: Value, separator: Value) -> str:
    """`join(list, separator)`: every item as strict text."""
    if type(items) is not list:
        raise type_error(f"`join` requires a list as the first argument, got {kind(items)}")
    mark = to_text(separator, "text as the separator of `join`")
    h.work(len(items))
    texts = [
        item if type(item) is str else to_text(item, f"text as item {at} of `join`")
        for at, item in enumerate(items)
    ]
    h.text(sum(map(len, texts)) + len(mark) * max(0, len(texts) - 1))
    return mark.join(texts)


def trim(h: Meter, text: Value) -> str:
    """`trim(text)`: without Unicode white space at both ends."""
    whole = text if type(text) is str else to_text(text, "text for `trim`")
    if len(whole) > SHORT_TEXT:
        h.work(len(whole) >> 6)
    trimmed = whole.strip(WHITE_SPACE)
    if len(trimmed) != len(whole):
        h.text(len(trimmed))
    return trimmed


def lower(h: Meter, text: Value) -> str:
    """`lower(text)`."""
    whole = to_text(text, "text for `lower`")
    h.text(len(whole))
    return _grown(h, whole, whole.lower())


def upper(h: Meter, text: Value) -> str:
    """`upper(text)`."""
    whole = to_text(text, "text for `upper`")
    h.text(len(whole))
    return _grown(h, whole, whole.upper())


def _grown(h: Meter, before: str, after: str) -> str:
    """A text whose case was changed: some characters become up to three."""
    if len(after) > len(before):
        h.text(len(after))
    return after


def replace(h: Meter, text: Value, old: Value, new: Value) -> str:
    """`replace(text, old, new)`: every occurrence, literally."""
    whole, wanted = _both("replace", text, old)
    other = to_text(new, "text for `replace`")
    if not wanted:
        raise value_error("`replace` needs a text to replace, got an empty string")
    h.work(len(whole) >> 6)
    h.text(len(whole) + whole.count(wanted) * (len(other) - len(wanted)))
    return whole.replace(wanted, other)


_SLOT = re.compile(r"\{\{|\}\}|\{([0-9]*)\}|[{}]", re.ASCII)


def template_parts(template: str) -> list[str | int]:
    """A `format` template as literal texts and argument numbers in turn.

    Raises:
        Fault: `value_error` for anything but `{}`, `{0}`, `{{`, `}}` and text, and for mixing the two slot forms.
    """
    parts: list[str | int] = []
    text: list[str] = []
    place = slots = 0
    counted = numbered = False
    for match in _SLOT.finditer(template):
        text.append(template[place : match.start()])
        place = match.end()
        if match[0] in ("{{", "}}"):
            text.append(match[0][0])
            continue
        if match[1] is None:
            raise value_error(f"`format` cannot read `{template[match.start() : match.start() + 12]}`; "
                              "slots are `{}` or `{0}`, a brace is `{{` or `}}`")  # fmt: skip
        counted, numbered = counted or not match[1], numbered or bool(match[1])
        if counted and numbered:
            raise value_error("`format` cannot mix `{}` and `{0}` slots in one template")
        if any(text):
            parts.append("".join(text))
        parts.append(slots if counted else int(match[1][:7]))
        slots += 1
        text.clear()
    text.append(template[place:])
    return [*parts, "".join(text)] if any(text) else parts


def check_slots(parts: list[str | int], count: int) -> None:
    """Raise `value_error` unless the slots of `parts` use exactly `count` arguments."""
    used = {part for part in parts if type(part) is int}
    for slot in sorted(used):
        if slot >= count:
            raise value_error(f"`format` slot {slot} has no argument; {count} given")
    for number in range(count):
        if number not in used:
            raise value_error(f"`format` argument {number} is not used by the template")


def format_text(h: Meter, template: Value, *args: Value) -> str:
    """`format(template, …)`."""
    if type(template) is not str:
        raise type_error(f"`format` requires a string as its template, got {kind(template)}")
    h.work(len(template) >> 3)
    parts = template_parts(template)
    check_slots(parts, len(args))
    return fill(h, parts, args)


def fill(h: Meter, parts: list[str | int], args: tuple[Value, ...]) -> str:
    """The text of a checked template."""
    made: list[str] = []
    size = 0
    for part in parts:
        if type(part) is str:
            text = part
        else:
            arg = args[part]  # type: ignore[index]  # not a str, so a number
            text = arg if type(arg) is str else stringify(h, arg)
        size += len(text)
        if size > MAX_TEXT:
            break
        made.append(text)
    h.text(size)
    return "".join(made)
