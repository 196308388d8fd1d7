"""A conversation made fit for a wire: every call has its result behind it, every result has its call.

Vendors refuse a whole request over one call without a result. Conversations have such holes by right: a
cancelled turn, a history that was cut. The hole is filled here for the wire alone; history stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from lash.providers.tool_arguments import clean_text
from lash.values import Json, Message, Part, TextPart, ToolCallPart, ToolResultPart

NO_RESULT = "There is no result: the call was interrupted before it had one."


@dataclass(frozen=True, slots=True)
class Said:
    """Something that one side said, without tool results."""

    role: Literal["user", "assistant", "system"]
    parts: tuple[Part, ...]
    message_id: str


@dataclass(frozen=True, slots=True)
class Results:
    """The results of the calls of the `Said` before, in call order."""

    parts: tuple[ToolResultPart, ...]


Entry: TypeAlias = Said | Results


def transcript(messages: Sequence[Message]) -> Iterator[Entry]:
    """Return the conversation as entries that every vendor accepts in this order.

    Results move directly behind their calls; a call without one gets `NO_RESULT`; a result without a call
    becomes text. An `event` is read as something that the user's side says.
    """
    used: set[int] = set()  # results that have been placed, by identity
    for index, message in enumerate(messages):
        if message.role == "assistant":
            yield Said("assistant", message.parts, message.id)
            calls = message.tool_calls
            if calls:
                yield Results(_results_of(calls, messages, index + 1, used))
            continue
        parts = tuple(
            _as_text(part) if isinstance(part, ToolResultPart) else part
            for part in message.parts
            if id(part) not in used
        )
        if parts:
            yield Said("system" if message.role == "system" else "user", parts, message.id)


def _results_of(
    calls: tuple[ToolCallPart, ...], messages: Sequence[Message], start: int, used: set[int]
) -> tuple[ToolResultPart, ...]:
    """Return a result for each call, looking no further than the next answer: call ids may come again."""
    found: dict[str, ToolResultPart] = {}
    for position in range(start, len(messages)):
        if messages[position].role == "assistant":
            break
        for part in messages[position].parts:
            if isinstance(part, ToolResultPart) and part.call_id not in found:
                found[part.call_id] = part
    results = []
    for call in calls:
        result = found.get(call.call_id)
        if result is None:
            result = ToolResultPart(call_id=call.call_id, name=call.name, content=NO_RESULT, is_error=True)
        used.add(id(result))
        results.append(result)
    return tuple(results)


def _as_text(part: ToolResultPart) -> TextPart:
    return TextPart(text=f"Result of {part.name} ({part.call_id}): {content_text(part.content)}")


def content_text(content: Json) -> str:
    """Return a tool result as the model reads it: text as it is, anything else as JSON."""
    return clean_text(content if isinstance(content, str) else msgspec.json.encode(content).decode())
