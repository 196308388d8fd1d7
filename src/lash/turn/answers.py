"""A model's answer, made fit for the turn: unique call ids, and whether it was cut off.

A vendor may leave call ids out, and a small model may repeat them. An id that is missing or taken becomes
`call-{effect id}-{position}`, which a turn that is driven again derives alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from lash.turn.protocol import ModelAnswer
from lash.values.messages import ConversationRecord, Message, Part, ToolCallPart, ToolResultPart
from lash.values.models import ModelFailure, ModelResponse, TerminalReason
from lash.values.turns import StopReason, TurnIssue

_WINDOW_FULL = 0.95  # a prompt this close to the window left no room to answer


def read_answer(
    response: ModelResponse, records: Iterable[ConversationRecord], effect_id: int
) -> tuple[ModelAnswer, tuple[TurnIssue, ...]]:
    """Return the answer with unique call ids, and an issue for each part that no answer may have."""
    taken = {
        part.call_id
        for record in records
        if isinstance(record, Message)
        for part in record.parts
        if isinstance(part, ToolCallPart)
    }
    parts: list[Part] = []
    issues: list[TurnIssue] = []
    position = 0
    for part in response.parts:
        match part:
            case ToolCallPart():
                call_id = _unique_call_id(part.call_id, taken, effect_id, position)
                taken.add(call_id)
                parts.append(part if call_id == part.call_id else part.replace(call_id=call_id))
                position += 1
            case ToolResultPart():
                issues.append(
                    TurnIssue(
                        kind="model",
                        code="unexpected_part",
                        message=f"the model answered with a result of call {part.call_id!r}; it was dropped",
                        call_id=part.call_id,
                    )
                )
            case _:
                parts.append(part)
    return ModelAnswer(parts=tuple(parts)), tuple(issues)


def _unique_call_id(wanted: str, taken: set[str], effect_id: int, position: int) -> str:
    call_id = wanted
    while not call_id.strip() or call_id in taken:
        call_id = f"call-{effect_id}-{position}"
        position += 1
    return call_id


def stop_of_answer(response: ModelResponse, context_window_tokens: int | None) -> StopReason | None:
    """Return why an answer ends the turn; None if the protocol goes on with it.

    An answer of no token to a prompt that fills the window was not cut at its own limit: the conversation
    is too long (runtime 1.11).
    """
    usage = response.usage
    if (
        response.terminal_reason == "output_limit"
        and usage.output_tokens == 0
        and context_window_tokens is not None
        and usage.input_tokens >= context_window_tokens * _WINDOW_FULL
    ):
        return "context_overflow"
    return stop_of_terminal_reason(response.terminal_reason)


def stop_of_terminal_reason(reason: TerminalReason) -> StopReason | None:
    """Return the stop that a terminal reason stands for; None for an answer that ended by itself."""
    match reason:
        case "stop" | "tool_use" | "unknown":
            return None
        case "output_limit" | "context_overflow" | "content_filter" | "cancelled":
            return reason
        case _:
            assert_never(reason)


def stop_of_failure(failure: ModelFailure) -> StopReason:
    """Return the stop of a call that failed: the reason it names, or the provider."""
    named = failure.terminal_reason and stop_of_terminal_reason(failure.terminal_reason)
    return named or "provider_error"


def issue_of_cut(response: ModelResponse, stop: StopReason) -> TurnIssue:
    """Return the issue that says why an answer was cut off."""
    return TurnIssue(
        kind="model",
        code=stop,
        message=response.diagnostic or f"the model's answer ended with {response.terminal_reason!r}",
    )


def issue_of_failure(failure: ModelFailure) -> TurnIssue:
    """Return the issue that a failed call leaves."""
    facts: dict[str, object] = {"failure_kind": failure.kind, "attempts": failure.attempts}
    if failure.status is not None:
        facts["status"] = failure.status
    return TurnIssue(kind="model", code=failure.code, message=failure.message, facts=facts)
