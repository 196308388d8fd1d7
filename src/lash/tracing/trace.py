"""How an application says what it wants traced."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lash.errors import LashError
from lash.tracing.records import TraceRecord
from lash.tracing.sinks import JsonlTraceSink, TraceSink

TraceLike: TypeAlias = "str | os.PathLike[str] | TraceSink | Trace"


@dataclass(frozen=True, slots=True)
class Trace:
    """What is traced, and where it goes.

    Args:
        sinks: Where records go.
        content: Whether arguments, results and texts are kept. They may hold what must not leave.
        redact: Sees every record before the sinks do; returns it, another one in its place, or None to drop
            it. If it raises, the record is dropped.
    """

    sinks: Sequence[TraceSink]
    content: bool = False
    redact: Callable[[TraceRecord], TraceRecord | None] | None = None


def as_trace(wanted: TraceLike) -> Trace:
    """Return a trace for a path (JSON lines), a sink, or a trace.

    Raises:
        LashError: `invalid_argument` for anything else.
    """
    if isinstance(wanted, Trace):
        return wanted
    if isinstance(wanted, str | os.PathLike):
        return Trace([JsonlTraceSink(wanted)])
    if callable(getattr(wanted, "append", None)) and callable(getattr(wanted, "close", None)):
        return Trace([wanted])
    raise LashError(
        "invalid_argument",
        f"trace= wants a path, a sink with append() and close(), or a lash.Trace, not {type(wanted).__name__}",
    )
