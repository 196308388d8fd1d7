"""Results, from a turn that was driven here or from what a commit has kept of one."""

from __future__ import annotations

from typing import Any

from lash.contracts import RuntimePersistence
from lash.facade.turn import TurnResult
from lash.runtime import DrivenTurn, OutputShape
from lash.turn import tidy_text
from lash.values import (
    EventNode,
    Message,
    ToolCallRecord,
    ToolResultPart,
    TurnReceipt,
)


def result_of_driven(driven: DrivenTurn, output_type: Any) -> TurnResult:
    """Return the result of a turn that this process has driven."""
    conclusion = driven.conclusion
    return TurnResult(
        text=conclusion.text,
        turn_id=conclusion.turn_id,
        head_revision=driven.receipt.head_revision,
        output=_converted(conclusion.output, output_type) if conclusion.has_output else None,
        usage=conclusion.usage,
        stop=conclusion.stop,
        tool_calls=conclusion.tool_calls,
        issues=conclusion.issues,
        model_calls=conclusion.model_calls,
        replayed_effects=driven.replayed,
    )


async def result_of_receipt(
    persistence: RuntimePersistence, receipt: TurnReceipt, output_type: Any = None
) -> TurnResult:
    """Return the result of a turn from its receipt and the nodes that it names."""
    messages: list[Message] = []
    for node_id in receipt.node_ids:
        node = await persistence.load_node(node_id)
        if (
            node is not None
            and isinstance(node.payload, EventNode)
            and isinstance(node.payload.event, Message)
        ):
            messages.append(node.payload.event)
    return TurnResult(
        text=_answer(messages),
        turn_id=receipt.turn_id,
        head_revision=receipt.head_revision,
        output=_converted(receipt.output, output_type) if receipt.has_output else None,
        usage=receipt.usage,
        stop=receipt.stop,
        tool_calls=_calls(messages),
        issues=receipt.issues,
        model_calls=receipt.model_calls,
        replayed=True,
    )


def _answer(messages: list[Message]) -> str:
    last = messages[-1] if messages else None
    return tidy_text(last.text) if last is not None and last.role == "assistant" else ""


def _calls(messages: list[Message]) -> tuple[ToolCallRecord, ...]:
    results = {
        part.call_id: part
        for message in messages
        for part in message.parts
        if isinstance(part, ToolResultPart)
    }
    return tuple(
        ToolCallRecord(
            call_id=call.call_id,
            name=call.name,
            args=call.args,
            result=results[call.call_id].content if call.call_id in results else None,
            is_error=call.call_id in results and results[call.call_id].is_error,
            replayed=True,
        )
        for message in messages
        for call in message.tool_calls
    )


def _converted(value: Any, output_type: Any) -> Any:
    return value if output_type is None else OutputShape.of(output_type).convert(value)
