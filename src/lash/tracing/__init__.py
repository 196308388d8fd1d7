"""Traces: what turns did and how long it took, for people and machines that look afterwards.

A trace is diagnostic, never the truth: the commit is. Its ids are made of the ids of sessions, turns and calls,
so what two processes tell of one turn is one trace, and what is told twice has one id. What was said, asked
and answered is left out unless it is asked for (`Trace.content`).
"""

from lash.tracing.records import TraceRecord
from lash.tracing.sinks import JsonlTraceSink, MemoryTraceSink, TraceSink, read_trace
from lash.tracing.trace import Trace, TraceLike, as_trace
from lash.tracing.tracer import Tracer

__all__ = [
    "JsonlTraceSink",
    "MemoryTraceSink",
    "Trace",
    "TraceLike",
    "TraceRecord",
    "TraceSink",
    "Tracer",
    "as_trace",
    "read_trace",
]
