"""Value selectors: what an event type picks out of a payload, and how a value reads as text (contract 1.9).

Templates are substituted in one pass from left to right: text that came out of a payload is never looked at
again, so a payload cannot smuggle in a placeholder (rule R-12).
"""

from __future__ import annotations

import re
from typing import assert_never

from lash.errors import LashError
from lash.values import (
    Json,
    ProcessValueSelector,
    SelectConst,
    SelectPayload,
    SelectPointer,
    SelectPresent,
    SelectTemplate,
    canonical_json,
)

_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_BAD_ESCAPE = re.compile(r"~(?![01])")
_NOTHING = object()


def select(selector: ProcessValueSelector, payload: Json) -> Json:
    """Return what a selector picks out of a payload.

    Raises:
        LashError: `process_event_selector_unmatched` for a pointer that leads nowhere.
    """
    match selector:
        case SelectPayload():
            return payload
        case SelectPointer(pointer=pointer):
            found = _resolve(payload, pointer)
            if found is _NOTHING:
                raise LashError(
                    "process_event_selector_unmatched",
                    f"the payload has nothing at {pointer!r}; send that member or change the event type",
                    pointer=pointer,
                )
            return found
        case SelectConst(value=value):
            return value
        case SelectTemplate(template=template, fields=fields):
            texts = {f"{{{name}}}": render(select(field, payload)) for name, field in fields.items()}
            return _substituted(template, texts)
        case SelectPresent(pointer=pointer):
            return _resolve(payload, pointer) is not _NOTHING
        case _:
            assert_never(selector)


def render(value: Json) -> str:
    """Return a value as text: a string as it is, anything else as canonical JSON."""
    return value if isinstance(value, str) else canonical_json(value).decode()


def is_truthy(value: Json) -> bool:
    """Whether a `when` is met: null, false and what is empty are not; every number is, zero too."""
    if isinstance(value, bool) or value is None:
        return bool(value)
    return len(value) > 0 if isinstance(value, (str, list, tuple, dict)) else True


def _substituted(template: str, texts: dict[str, str]) -> str:
    if not texts:
        return template
    places = "|".join(re.escape(place) for place in sorted(texts, key=len, reverse=True))
    return re.sub(places, lambda found: texts[found[0]], template)


def _resolve(payload: Json, pointer: str) -> Json:
    """Return the value at an RFC 6901 pointer, or `_NOTHING`."""
    if pointer and (not pointer.startswith("/") or _BAD_ESCAPE.search(pointer)):
        return _NOTHING
    value = payload
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, (list, tuple)) and _ARRAY_INDEX.fullmatch(name) and _fits(name, len(value)):
            value = value[int(name)]
        else:
            return _NOTHING
    return value


def _fits(index: str, length: int) -> bool:
    # Compared by digits first: an index of ten thousand digits is no number to convert.
    return len(index) <= len(str(length)) and int(index) < length
