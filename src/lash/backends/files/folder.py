"""The files of an attachment store: whole ones under their digests, and those that are being written.

    FOLDER/ab/ab12…            an attachment, under the first two digits of its id
    FOLDER/writing/NAME        what a writer is at work on, under a name of its own

A file is written apart, synced, renamed, and the folder synced: whoever reads sees all of it or nothing. A
writer holds a lock on its file, which its death releases; so a sweep can tell the left over from the unfinished
without a clock.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lash.errors import LashError
from lash.values import IdSource

_WRITING = "writing"
_SHARD_DIGITS = 2
_ID_DIGITS = 64
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}
_ATTEMPTS = 5


class AttachmentFolder:
    """Blocking; the store calls it on a thread. Ids are digests already: nothing here makes one a path unchecked."""

    def __init__(self, root: Path, ids: IdSource) -> None:
        self._root = root
        self._ids = ids
        self._is_swept = False

    def write(self, attachment_id: str, stored: bytes) -> None:
        """Make the file of an attachment hold these bytes, unless it does."""
        with self._reported(attachment_id):
            if not self._is_swept:
                self._sweep()
                self._is_swept = True
            if self._read(attachment_id) == stored:
                return
            target = self._path(attachment_id)
            _make_folder(target.parent)
            self._write(target, stored)

    def read(self, attachment_id: str) -> bytes | None:
        """Return what the file of an attachment holds, or None."""
        with self._reported(attachment_id):
            return self._read(attachment_id)

    def remove(self, attachment_id: str) -> bool:
        """Remove the file of an attachment."""
        with self._reported(attachment_id):
            target = self._path(attachment_id)
            try:
                target.unlink()
            except FileNotFoundError:
                return False
            _sync_folder(target.parent)
            return True

    def ids(self) -> list[str]:
        """Return the ids of all files."""
        with self._reported():
            if not self._root.exists():
                return []
            shards = [entry for entry in self._root.iterdir() if len(entry.name) == _SHARD_DIGITS]
            return sorted(
                path.name for shard in shards for path in shard.iterdir() if len(path.name) == _ID_DIGITS
            )

    def sweep(self) -> int:
        """Remove files whose writers are dead."""
        with self._reported():
            return self._sweep()

    def _path(self, attachment_id: str) -> Path:
        return self._root / attachment_id[:_SHARD_DIGITS] / attachment_id

    def _read(self, attachment_id: str) -> bytes | None:
        try:
            descriptor = os.open(self._path(attachment_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            return file.read()

    def _write(self, target: Path, stored: bytes) -> None:
        writing = self._root / _WRITING
        _make_folder(writing)
        for _ in range(_ATTEMPTS):
            staged = writing / self._ids.new("writing")
            try:
                _write_whole(staged, target, stored)
            except FileNotFoundError:
                continue  # swept away in the moment before it was locked
            except BaseException:
                staged.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)
            return
        raise OSError(errno.EAGAIN, f"files in {writing} vanish while they are written")

    def _sweep(self) -> int:
        writing, swept = self._root / _WRITING, 0
        if writing.exists():
            for path in writing.iterdir():
                swept += _remove_if_dead(path)
        return swept

    @contextmanager
    def _reported(self, attachment_id: str | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            what = "attachments" if attachment_id is None else f"attachment {attachment_id}"
            raise LashError(
                "attachment_io",
                f"{what} in {self._root}: {problem.strerror or problem}; nothing half-written is left",
                retryable=problem.errno in _FULL,
                attachment_id=attachment_id,
                folder=str(self._root),
                errno=problem.errno,
            ) from problem


def _write_whole(staged: Path, target: Path, stored: bytes) -> None:
    """Write a file apart and put it in its place.

    Raises:
        FileNotFoundError: when the file was removed before it was locked.
    """
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        rest = memoryview(stored)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
        staged.rename(target)


def _remove_if_dead(path: Path) -> bool:
    """Remove a file that no living writer has locked."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # gone, or nothing that a writer made
        return False
    with open(descriptor, "wb", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with suppress(FileNotFoundError):  # renamed in the moment before it was locked
            path.unlink()
            return True
    return False


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each synced into the one that names it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
