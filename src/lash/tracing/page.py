"""A trace as one self-contained HTML page: nothing is loaded from anywhere, and it works from a file."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files

import msgspec

from lash.tracing.records import TraceRecord


def trace_page(records: Iterable[TraceRecord], *, title: str) -> str:
    """Return the page.

    What is told more than once (an interrupted turn is driven again, and finds in the journal what was done)
    is shown once: as it was when it was done, if that is in the trace.
    """
    shown = once_each(records)
    template = files("lash.tracing").joinpath("page.html").read_text(encoding="utf-8")
    data = msgspec.json.encode(shown).decode()
    safe = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return template.replace("$TITLE", escape(title)).replace("$RECORDS", safe)


def once_each(records: Iterable[TraceRecord]) -> list[TraceRecord]:
    """Return one record for each span, the one that was not replayed if there is one.

    They come in the order of their beginnings, the longest first.
    """
    kept: dict[str, TraceRecord] = {}
    for record in records:
        known = kept.get(record.span_id)
        if known is None or (known.replayed and not record.replayed):
            kept[record.span_id] = record
        elif record.type == "turn":  # driven again: it began when the first driver began
            began = min(known.started_at_ms, record.started_at_ms)
            kept[record.span_id] = record.replace(started_at_ms=began)
    return sorted(kept.values(), key=lambda record: (record.started_at_ms, -record.ended_at_ms))
