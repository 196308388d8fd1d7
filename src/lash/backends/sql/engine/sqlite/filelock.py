"""The side file that every writer of a database locks around its transaction.

SQLite's own waiting is unfair between processes: the one that just let go is the first to try again. The
kernel queues `flock` in order, and frees it when its holder is killed. Whoever holds it also knows that no
batch is being written, in this process or another: that is how the checkpointer holds the writers off.
"""

import errno
import fcntl
import os
import time
from types import TracebackType

from lash.backends.sql.engine.sqlite.forks import let_go_in_children

_RETRY_S = 0.005


class FileLock:
    """An exclusive lock between descriptors, threads and processes; use it in a `with` statement."""

    __slots__ = ("__weakref__", "_fd")

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        let_go_in_children(self)

    def __enter__(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def acquire_within(self, timeout_ms: int) -> bool:
        """Take the lock if it can be had within the time. Asks repeatedly, without a place in the queue."""
        for attempt in range(max(1, round(timeout_ms / 1000 / _RETRY_S))):
            if attempt:
                time.sleep(_RETRY_S)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
            else:
                return True
        return False

    def release(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def let_go(self) -> None:
        """Close the descriptor, which also frees the lock unless a copy of it is open elsewhere."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
