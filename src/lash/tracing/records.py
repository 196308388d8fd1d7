"""One thing of a trace: a span with a beginning and an end, or a moment."""

from __future__ import annotations

from typing import Literal

from lash.values import Json, JsonRecord, stable_hash

TraceRecordType = Literal["turn", "model_call", "tool_call", "event"]

_FRAME_SUFFIX = ":agent-frame:"


class TraceRecord(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What a sink is handed, and a line of a JSONL trace.

    Attributes:
        type: A span's kind; `event` for a moment, whose two times are equal.
        name: The tool of a tool call, the model of a model call, the tag of an event.
        trace_id: 32 hexadecimal digits; one for each turn, whoever drove it and how often.
        span_id: 16 hexadecimal digits; the same for the same turn, model call or tool call in every process.
        parent_span_id: The turn's, for what belongs to a turn; empty for the turn.
        attributes: Facts without content: ids, counts, codes.
        content: What was said, asked and answered; empty unless the trace was told to keep it.
        error: A code, where something failed.
        replayed: An earlier process did this; this one found it in the journal.
    """

    type: TraceRecordType
    name: str
    started_at_ms: int
    ended_at_ms: int
    trace_id: str
    span_id: str
    session_id: str
    turn_id: str
    parent_span_id: str = ""
    attributes: dict[str, Json] = {}
    content: dict[str, Json] = {}
    error: str | None = None
    replayed: bool = False
    schema_version: int = 1


def trace_id(session_id: str, turn_id: str) -> str:
    """Return the id of a turn's trace. Turns that go on in another agent frame share their root's."""
    return stable_hash(["trace", session_id, turn_id.split(_FRAME_SUFFIX)[0]])[:32]


def span_id(session_id: str, turn_id: str, *parts: str) -> str:
    """Return the id of a turn's span, or with `parts` of something in it."""
    return stable_hash(["span", session_id, turn_id, *parts])[:16]
