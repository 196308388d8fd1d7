"""Copies the write-ahead log back into the database, beside the writer.

The log starts over only when a write begins and everything before it has been copied. A busy writer always
has one frame more, so copying beside it never gets there and the log grows. So most of it is copied beside
the writer, and the few frames left while the writers are held between two batches.
"""

import logging
import threading
from queue import SimpleQueue

import apsw

from lash.backends.sql.engine.sqlite.filelock import FileLock

_log = logging.getLogger(__name__)

_OVERDUE = 4
"""At so many times the trigger the writer copies the log itself, in case the thread does not keep up."""


class Checkpointer:
    """A thread with a connection of its own, idle until it is asked."""

    def __init__(self, connection: apsw.Connection, lock: FileLock, *, trigger_frames: int) -> None:
        self._connection = connection
        self._path = connection.filename
        self._lock = lock
        self._trigger_frames = trigger_frames
        self._due_frames = trigger_frames
        self._overdue_frames = _OVERDUE * trigger_frames
        self._is_asked = False
        self._requests: SimpleQueue[bool] = SimpleQueue()
        self.checkpoints = 0
        self._thread = threading.Thread(target=self._work, name="lash-sqlite-checkpointer", daemon=True)
        self._thread.start()

    def ask(self, log_frames: int) -> None:
        """Have the log copied back if it has grown enough. Called by the writer after each batch."""
        if log_frames >= self._due_frames and not self._is_asked:
            self._is_asked = True
            self._requests.put(True)

    def help(self, connection: apsw.Connection, log_frames: int) -> None:
        """Copy the log on the writer's own connection if it is far too long. Called after `ask`."""
        if log_frames >= self._overdue_frames:
            try:
                is_complete = self._copy_held(connection)
            except apsw.BusyError:
                is_complete = False  # the thread is at it right now
            except (apsw.Error, OSError):
                is_complete = False
                self._warn()
            self._overdue_frames = _OVERDUE * self._trigger_frames + (0 if is_complete else log_frames)

    def stop(self, timeout_s: float | None = None) -> None:
        """End the thread and close its connection.

        Blocks until then, or for the given time: another process that is stopped may hold the lock for ever.
        """
        self._requests.put(False)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while self._requests.get():
            try:
                self._checkpoint()
            except apsw.BusyError:
                pass  # another process is at it, or its reader is in the way: the log will ask again
            except (apsw.Error, OSError):
                self._warn()
            finally:
                self._is_asked = False
        self._connection.close()

    def _warn(self) -> None:
        """Report a failure that no caller waits for. The log keeps what was not copied, and asks again."""
        _log.warning("the write-ahead log of %s could not be copied back", self._path, exc_info=True)

    def _checkpoint(self) -> None:
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._copy_held(self._connection)

    def _copy_held(self, connection: apsw.Connection) -> bool:
        """Copy what is left while no batch is being written, and say whether that was everything."""
        with self._lock:
            frames, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        is_complete = 0 <= frames == copied
        self.checkpoints += is_complete
        # If not, a reader holds an old snapshot: ask again once it is worth it, not after every commit.
        self._due_frames = self._trigger_frames if is_complete else frames + self._trigger_frames // 4
        return is_complete
