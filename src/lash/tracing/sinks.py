"""Where trace records go: a file of JSON lines, a list, or what an application brings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from lash.errors import LashError
from lash.tracing.records import TraceRecord
from lash.values import decode_record


class TraceSink(Protocol):
    """Takes records as they are made. It is called on the event loop: quick, and without waiting."""

    def append(self, record: TraceRecord) -> None:
        """Take a record. What this raises is logged; it never harms a turn."""
        ...

    def close(self) -> None:
        """Hand on what was taken and is still held."""
        ...


class MemoryTraceSink:
    """Keeps records in a list."""

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def append(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        """Keep the records."""


class JsonlTraceSink:
    """Appends a line of JSON for each record. Several processes may share one file.

    Each line is one write to the end of the file, so a process that is killed cuts none but its last.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name the file; it is opened with the first record."""
        self.path = Path(path)
        self._file: int | None = None

    def append(self, record: TraceRecord) -> None:
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._file, msgspec.json.encode(record) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_trace(path: str | os.PathLike[str]) -> Iterator[TraceRecord]:
    """Yield the records of a JSONL trace. A line that its writer did not live to end is left out.

    Raises:
        LashError: `trace_unreadable`, naming the file and the line.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as problem:
        raise LashError("trace_unreadable", f"cannot read the trace {path}: {problem.strerror}") from problem
    lines = text.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        if not line.strip():
            continue
        try:
            yield decode_record(TraceRecord, line, what=f"line {number}")
        except LashError as problem:
            raise LashError(
                "trace_unreadable", f"line {number} of {path} is no trace record: {problem}", line=number
            ) from problem
