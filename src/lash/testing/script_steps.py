"""The steps of a scripted model, and the words to write them with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

from lash.errors import LashError
from lash.values import (
    Json,
    ModelFailure,
    ModelRequest,
    ModelResponse,
    Part,
    ReasoningPart,
    TerminalReason,
    TextPart,
    TokenUsage,
    ToolCallPart,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer in full detail; `reply(…)` writes one.

    Attributes:
        parts: What the model says, in order.
        usage: What the call costs; None for the model's own way of counting.
        terminal_reason: None follows from the parts: `tool_use` with calls, else `stop`.
        fail_after_chars: Break off after so many characters of text have been streamed.
        failure: How it breaks off; None is a cut stream, which may be retried.
        before_chunk: Awaited before each streamed piece with its index: a place to pause or to kill.
    """

    parts: tuple[Part, ...]
    usage: TokenUsage | None = None
    terminal_reason: TerminalReason | None = None
    fail_after_chars: int | None = None
    failure: ModelFailure | LashError | None = None
    before_chunk: Callable[[int], Awaitable[None]] | None = None


Item: TypeAlias = str | Part
Step: TypeAlias = Union[  # noqa: UP007  # `|` cannot hold a name in quotes
    str,
    Part,
    Sequence[Item],
    Reply,
    ModelResponse,
    ModelFailure,
    BaseException,
    Callable[[ModelRequest], "Step | Awaitable[Step]"],
]


def call(tool: str, /, **args: Json) -> ToolCallPart:
    """Return a call of `tool`. Its id is made when it is played: the same each time."""
    return ToolCallPart(call_id="", name=tool, args=args)


def garbled_call(tool: str, raw: str = '{"path": "READ', /) -> ToolCallPart:
    """Return a call whose arguments are no JSON, as small models make them."""
    return ToolCallPart(call_id="", name=tool, raw_args=raw)


def reply(
    *items: Item,
    reasoning: str = "",
    usage: TokenUsage | None = None,
    terminal_reason: TerminalReason | None = None,
    fail_after_chars: int | None = None,
    failure: ModelFailure | LashError | None = None,
    before_chunk: Callable[[int], Awaitable[None]] | None = None,
) -> Reply:
    """Return an answer of texts and calls, in that order; see `Reply` for the rest."""
    thought: tuple[Part, ...] = (ReasoningPart(text=reasoning),) if reasoning else ()
    return Reply(
        parts=thought + tuple(TextPart(text=item) if isinstance(item, str) else item for item in items),
        usage=usage,
        terminal_reason=terminal_reason,
        fail_after_chars=fail_after_chars,
        failure=failure,
        before_chunk=before_chunk,
    )


def steps_taken(request: ModelRequest) -> int:
    """Return how many answers the running turn already has, read from the conversation alone.

    The messages of a turn share its id (`{turn id}:m{ordinal}`). Messages named another way belong to the
    turn that the last user message began.
    """
    # A protocol may show notes behind the turn's own messages; they are named otherwise.
    turn_id = next((one for m in reversed(request.messages) if (one := _turn_of(m.id)) is not None), None)
    count = 0
    for message in reversed(request.messages):
        if turn_id is not None and _turn_of(message.id) not in (turn_id, None):
            break
        if turn_id is None and message.role == "user":
            break
        count += message.role == "assistant"
    return count


def _turn_of(message_id: str) -> str | None:
    turn_id, mark, ordinal = message_id.rpartition(":m")
    return turn_id if mark and ordinal.isdigit() else None
