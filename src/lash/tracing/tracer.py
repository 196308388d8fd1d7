"""Makes trace records of turn events."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from lash.tracing.records import TraceRecord, TraceRecordType, span_id, trace_id
from lash.tracing.trace import Trace
from lash.values import (
    AssistantReasoningDelta,
    AssistantTextDelta,
    EventGap,
    Json,
    MessageCommitted,
    ModelRequestCompleted,
    ModelRequestStarted,
    TokenUsage,
    ToolCallCompleted,
    ToolCallStarted,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    UsageReported,
    plain,
)

_log = logging.getLogger("lash.tracing")

# Pieces of what the spans tell whole.
_PIECES = (
    AssistantTextDelta,
    AssistantReasoningDelta,
    EventGap,
    MessageCommitted,
    ModelRequestStarted,
    ToolCallStarted,
    UsageReported,
)


class Tracer:
    """Listens to every turn of a runtime and hands records to sinks.

    Args:
        trace: What is wanted.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._started_at_ms: dict[tuple[str, str], int] = {}

    def hear(self, event: TurnEvent) -> None:
        """Make the records of an event. Nothing that goes wrong here reaches the turn."""
        try:
            records = self._records(event)
        except Exception:  # noqa: BLE001  # a trace never harms a turn
            _log.exception("no trace could be made of event %r", event.id)
            return
        for record in records:
            self._hand_on(record)

    def close(self) -> None:
        """Close the sinks."""
        for sink in self._trace.sinks:
            try:
                sink.close()
            except Exception:  # noqa: BLE001  # the other sinks are still to be closed
                _log.exception("trace sink %r could not be closed", sink)

    def _hand_on(self, record: TraceRecord) -> None:
        if self._trace.redact is not None:
            try:
                redacted = self._trace.redact(record)
            except Exception:  # noqa: BLE001  # the application's own function
                _log.exception("redact= failed; the record of %s %r is dropped", record.type, record.name)
                return
            if redacted is None:
                return
            record = redacted
        for sink in self._trace.sinks:
            try:
                sink.append(record)
            except Exception:  # noqa: BLE001  # the application's own sink; the others still get the record
                _log.exception("trace sink %r refused a record", sink)

    def _records(self, event: TurnEvent) -> Iterable[TraceRecord]:
        match event.activity:
            case TurnStarted(restarts=restarts):
                self._started_at_ms[event.session_id, event.turn_id] = event.at_ms
                return [self._moment(event, "turn_started", {"restarts": restarts})]
            case ModelRequestCompleted() as call:
                return [self._model_call(event, call)]
            case ToolCallCompleted() as completed:
                return [self._tool_call(event, completed)]
            case TurnFinished() as end:
                return [self._turn(event, end)]
            case TurnFailed(error=error):
                self._started_at_ms.pop((event.session_id, event.turn_id), None)
                return [self._moment(event, "turn_failed", {"message": error.message}, error=error.code)]
            case activity if isinstance(activity, _PIECES):
                return []
            case other:
                facts = plain(other)
                assert isinstance(facts, dict), "an activity is a record"
                tag = str(facts.pop("type"))
                return [self._moment(event, tag, {}, content=facts)]

    def _model_call(self, event: TurnEvent, call: ModelRequestCompleted) -> TraceRecord:
        return self._span(
            event,
            "model_call",
            call.model,
            key=call.call_key,
            duration_ms=call.duration_ms,
            attributes={
                "provider": call.provider,
                "model": call.model,
                "iteration": call.iteration,
                "call_key": call.call_key,
                **_tokens(call.usage),
            },
            error=call.error,
            replayed=call.replayed,
        )

    def _tool_call(self, event: TurnEvent, completed: ToolCallCompleted) -> TraceRecord:
        call = completed.call
        return self._span(
            event,
            "tool_call",
            call.name,
            key=call.call_id,
            duration_ms=call.duration_ms,
            attributes={
                "call_id": call.call_id,
                "attempts": call.attempts,
                "settled_rank": call.settled_rank,
            },
            content={"args": call.args, "result": call.result},
            error="tool_failed" if call.is_error else None,
            replayed=call.replayed,
        )

    def _turn(self, event: TurnEvent, end: TurnFinished) -> TraceRecord:
        began = self._started_at_ms.pop((event.session_id, event.turn_id), event.at_ms)
        return self._span(
            event,
            "turn",
            "turn",
            key=None,
            duration_ms=event.at_ms - began,
            attributes={"stop": end.stop, "head_revision": end.head_revision, **_tokens(end.usage)},
            content={"text": end.text, "output": end.output},
            error=None if end.stop is None else str(end.stop),
        )

    def _span(
        self,
        event: TurnEvent,
        type_: TraceRecordType,
        name: str,
        *,
        key: str | None,
        duration_ms: int,
        attributes: dict[str, Json],
        content: dict[str, Json] | None = None,
        error: str | None = None,
        replayed: bool = False,
    ) -> TraceRecord:
        session_id, turn_id = event.session_id, event.turn_id
        root = span_id(session_id, turn_id)
        return TraceRecord(
            type=type_,
            name=name,
            started_at_ms=event.at_ms - duration_ms,
            ended_at_ms=event.at_ms,
            trace_id=trace_id(session_id, turn_id),
            span_id=root if key is None else span_id(session_id, turn_id, type_, key),
            parent_span_id="" if key is None else root,
            session_id=session_id,
            turn_id=turn_id,
            attributes=attributes,
            content=content if content is not None and self._trace.content else {},
            error=error,
            replayed=replayed,
        )

    def _moment(
        self,
        event: TurnEvent,
        name: str,
        attributes: dict[str, Json],
        *,
        content: dict[str, Json] | None = None,
        error: str | None = None,
    ) -> TraceRecord:
        return self._span(
            event,
            "event",
            name,
            key=event.id,
            duration_ms=0,
            attributes=attributes,
            content=content,
            error=error,
        )


def _tokens(usage: TokenUsage) -> dict[str, Json]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
