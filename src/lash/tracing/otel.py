"""Traces and metrics to OpenTelemetry, under the GenAI semantic conventions (extra `otel`).

Spans are handed to the exporter as they are, with ids made of lash's own: a turn that was cut and driven on by
another process is one trace, and a call that is told again has the span id that it had. Times are those of the
records, not of the export.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lash.errors import LashError
from lash.tracing.records import TraceRecord
from lash.values import Json

try:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode
except ImportError as problem:
    raise LashError(
        "extra_missing", "tracing to OpenTelemetry needs an extra: pip install 'lash-runtime[otel]'"
    ) from problem

_SCOPE = InstrumentationScope("lash")
_OPERATIONS = {"turn": "invoke_agent", "model_call": "chat", "tool_call": "execute_tool"}
_KINDS = {"turn": SpanKind.INTERNAL, "model_call": SpanKind.CLIENT, "tool_call": SpanKind.INTERNAL}
_NS_PER_MS = 1_000_000


class OTelTraceSink:
    """Hands records to a span exporter, and counts tokens and durations.

    Args:
        exporter: Where spans go; one of OpenTelemetry's, such as the OTLP exporter.
        processor: In its place, a span processor of your own (sampling, filtering).
        resource: Names the service; OpenTelemetry's environment variables by default.
        meter_provider: Receives `gen_ai.client.token.usage` and `gen_ai.client.operation.duration`.
        events: Whether moments (a restart, a retry, an approval) become spans of no length.
    """

    def __init__(
        self,
        exporter: SpanExporter | None = None,
        *,
        processor: Any = None,  # a SpanProcessor; the SDK's class is private in some versions
        resource: Resource | None = None,
        meter_provider: Any = None,  # a MeterProvider of the API or the SDK
        events: bool = True,
    ) -> None:
        if (exporter is None) == (processor is None):
            raise LashError("invalid_argument", "give OTelTraceSink an exporter or a processor, one of them")
        self._processor = processor if exporter is None else BatchSpanProcessor(exporter)
        self._resource = resource or Resource.create({"service.name": "lash"})
        self._events = events
        self._tokens = self._durations = None
        if meter_provider is not None:
            meter = meter_provider.get_meter("lash")
            self._tokens = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")
            self._durations = meter.create_histogram("gen_ai.client.operation.duration", unit="s")

    def append(self, record: TraceRecord) -> None:
        """Hand a record on as a span."""
        if record.type == "event" and not self._events:
            return
        self._processor.on_end(self._span(record))
        if not record.replayed:
            self._count(record)

    def close(self) -> None:
        """Export what is held."""
        self._processor.force_flush()

    def _span(self, record: TraceRecord) -> ReadableSpan:
        operation = _OPERATIONS.get(record.type)
        name = record.name if operation is None else f"{operation} {record.name}"
        failed = record.error is not None
        return ReadableSpan(
            name=name if record.type != "turn" else "invoke_agent",
            context=_context(record.trace_id, record.span_id),
            parent=_context(record.trace_id, record.parent_span_id) if record.parent_span_id else None,
            resource=self._resource,
            attributes=_attributes(record, operation),
            kind=_KINDS.get(record.type, SpanKind.INTERNAL),
            status=Status(StatusCode.ERROR, record.error) if failed else Status(),
            start_time=record.started_at_ms * _NS_PER_MS,
            end_time=record.ended_at_ms * _NS_PER_MS,
            instrumentation_scope=_SCOPE,
        )

    def _count(self, record: TraceRecord) -> None:
        if record.type != "model_call" or self._tokens is None or self._durations is None:
            return
        common = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": str(record.attributes.get("provider", "")),
            "gen_ai.request.model": str(record.attributes.get("model", "")),
        }
        for kind in ("input", "output"):
            tokens = record.attributes.get(f"{kind}_tokens", 0)
            self._tokens.record(tokens, {**common, "gen_ai.token.type": kind})
        failed = {} if record.error is None else {"error.type": record.error}
        self._durations.record((record.ended_at_ms - record.started_at_ms) / 1000, {**common, **failed})


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def _attributes(record: TraceRecord, operation: str | None) -> dict[str, Any]:
    facts = record.attributes
    told: dict[str, Any] = {
        "gen_ai.conversation.id": record.session_id,
        "lash.turn.id": record.turn_id,
        "lash.replayed": record.replayed,
    }
    if operation is not None:
        told["gen_ai.operation.name"] = operation
    if record.error is not None:
        told["error.type"] = record.error
    match record.type:
        case "model_call":
            told["gen_ai.provider.name"] = facts.get("provider")
            told["gen_ai.request.model"] = facts.get("model")
            told["lash.iteration"] = facts.get("iteration")
        case "tool_call":
            told["gen_ai.tool.name"] = record.name
            told["gen_ai.tool.call.id"] = facts.get("call_id")
            told["lash.tool.attempts"] = facts.get("attempts")
        case "turn":
            told["lash.turn.stop"] = facts.get("stop")
            told["lash.head_revision"] = facts.get("head_revision")
        case "event":
            told.update({f"lash.{key}": _simple(value) for key, value in facts.items()})
    for kind in ("input", "output"):
        if f"{kind}_tokens" in facts:
            told[f"gen_ai.usage.{kind}_tokens"] = facts[f"{kind}_tokens"]
    told.update({f"lash.content.{key}": _simple(value) for key, value in record.content.items()})
    return {key: value for key, value in told.items() if value is not None}


def _simple(value: Json) -> Any:
    """Return what an attribute may be: a text, a number, a truth value; anything else as JSON."""
    simple = value is None or isinstance(value, str | int | float | bool)
    return value if simple else msgspec.json.encode(value).decode()
