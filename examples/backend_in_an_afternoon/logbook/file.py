"""The log file: a line for each change, in the order in which they were made; nothing is ever written over.

A line is a checksum, a blank, and JSON. It counts once its line end is there: what a killed writer left of one is
cut off by the next. A whole line that does not fit its checksum is damage, and is reported.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lash.errors import LashError

HEADER = b"lash logbook 1\n"


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation that was carried out, with all that it takes to carry it out again."""

    port: str
    operation: str
    arguments: msgspec.Raw
    now_ms: int
    salt: str  # what its ids were made from
    session_id: str | None = None
    handle: str | None = None  # which handle it went through, where that has a state of its own


class LogFile:
    """One process's place in the file: what it has read, and what it adds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._read_to = 0

    def open(self) -> None:
        """Open the file, or make it.

        Raises:
            LashError: `store_io`; `store_foreign` for a file that is something else.
        """
        if self._file is not None:
            return
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as problem:
            raise LashError(
                "store_io", f"{self._path}: {problem.strerror}", path=str(self._path)
            ) from problem
        with self.locked():
            start = os.pread(self._file, len(HEADER), 0)
            if start != HEADER:
                if not HEADER.startswith(start):  # half a header is what a killed maker left
                    raise LashError("store_foreign", f"{self._path} is no logbook", path=str(self._path))
                os.pwrite(self._file, HEADER, 0)
                os.fsync(self._file)
                _sync_folder(self._path.absolute().parent)
        self._read_to = len(HEADER)

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other writer out, in this process and in others."""
        descriptor = self._descriptor()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if self._file is not None:  # closing it has let go of the lock
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def new_changes(self) -> list[Change]:
        """Return what was added since the last look, by whomever.

        Raises:
            LashError: `store_corrupt`.
        """
        size = os.fstat(self._descriptor()).st_size
        if size <= self._read_to:
            return []
        data = os.pread(self._descriptor(), size - self._read_to, self._read_to)
        whole = data[: data.rfind(b"\n") + 1]
        changes = [self._decoded(line) for line in whole.splitlines()]
        self._read_to += len(whole)
        return changes

    def add(self, change: Change) -> None:
        """Add a change to what was read so far; it is on the disk when this returns. Call it under the lock.

        Raises:
            LashError: `store_io`; nothing of the change counts then.
        """
        body = msgspec.json.encode(change)
        line = b"%08x " % zlib.crc32(body) + body + b"\n"
        try:
            os.ftruncate(self._descriptor(), self._read_to)  # half a line of a writer that was killed
            if os.pwrite(self._descriptor(), line, self._read_to) != len(line):
                raise OSError(28, "there is no room for a whole line")
            os.fsync(self._descriptor())
        except OSError as problem:
            raise LashError(
                "store_io", f"{self._path}: {problem.strerror}; open it again", path=str(self._path)
            ) from problem
        self._read_to += len(line)

    def _decoded(self, line: bytes) -> Change:
        body = line[9:]
        try:
            if int(line[:8], 16) == zlib.crc32(body):
                return msgspec.json.decode(body, type=Change)
        except (ValueError, msgspec.DecodeError):
            pass
        raise LashError(
            "store_corrupt", f"a line of {self._path} is damaged: {line[:80]!r}", path=str(self._path)
        )

    def _descriptor(self) -> int:
        if self._file is None:
            raise LashError("store_closed", f"{self._path} is not open", path=str(self._path))
        return self._file


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
