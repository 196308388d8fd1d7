"""Every call has a result when a turn ends.

A history in which a call has none is refused by vendors, so the next turn could not go on from it
(runtime 2.1, "prompt resume safe"). However a turn ends, what it leaves open is closed here.
"""

from __future__ import annotations

from collections.abc import Iterable

from lash.turn.drafts import MessageDraft
from lash.turn.notes import error_text
from lash.values.messages import ConversationRecord, Message, ToolCallPart, ToolResultPart
from lash.values.record import Json
from lash.values.turns import StopReason, ToolCallRecord


def open_calls(records: Iterable[ConversationRecord]) -> list[ToolCallPart]:
    """Return the calls that have no result, in call order."""
    waiting: dict[str, ToolCallPart] = {}
    for record in records:
        if isinstance(record, Message):
            for part in record.parts:
                if isinstance(part, ToolCallPart):
                    waiting[part.call_id] = part
                elif isinstance(part, ToolResultPart):
                    waiting.pop(part.call_id, None)
    return list(waiting.values())


def synthetic_result(call: ToolCallPart, stop: StopReason | None, *, started: bool) -> str:
    """Return what stands for the result of a call that gave none.

    Args:
        call: The call.
        stop: How the turn ends.
        started: Whether it was handed out to be run. Nobody then knows what it has done.
    """
    if started:
        return error_text(
            "call_interrupted",
            f"the turn was ended before {call.name!r} gave a result; it may have taken effect",
        )
    match stop:
        case "output_limit":
            why = "the answer that asks for it was cut off"
        case "max_turns":
            why = "the turn had no steps left"
        case _:
            why = "the turn was ended"
    return error_text("call_not_executed", f"{call.name!r} was not run: {why}")


def result_message(call: ToolCallPart, content: Json, *, is_error: bool = True) -> MessageDraft:
    """Return the message that answers a call."""
    part = ToolResultPart(call_id=call.call_id, name=call.name, content=content, is_error=is_error)
    return MessageDraft(role="tool", parts=(part,))


def failed_call_record(call: ToolCallPart, content: Json, *, rank: int = 0) -> ToolCallRecord:
    """Return the line of a call that was not run, or not to its end."""
    return ToolCallRecord(
        call_id=call.call_id,
        name=call.name,
        args=call.args,
        result=content,
        is_error=True,
        attempts=0,
        settled_rank=rank,
    )
