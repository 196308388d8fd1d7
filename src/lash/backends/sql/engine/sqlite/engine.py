"""`SqliteEngine`: one database file, one writing thread, a few reading ones, and word from other processes.

Invariants that a change here would break first: whatever is handed in is answered, also when it fails and
also while closing; nobody is answered before the commit; a bell is rung only after it.
"""

import asyncio
import os
from collections.abc import Collection
from typing import TypeVar

import apsw

from lash.backends.sql.engine.hub import Hub
from lash.backends.sql.engine.sqlite.checkpointer import Checkpointer
from lash.backends.sql.engine.sqlite.connections import open_reader
from lash.backends.sql.engine.sqlite.failures import busy, translate
from lash.backends.sql.engine.sqlite.group_commit import GroupCommit
from lash.backends.sql.engine.sqlite.job import Job, post
from lash.backends.sql.engine.sqlite.migrations import Schema
from lash.backends.sql.engine.sqlite.opening import Opened, open_database
from lash.backends.sql.engine.sqlite.readers import ReaderPool
from lash.backends.sql.engine.sqlite.settings import SqliteSettings
from lash.backends.sql.engine.sqlite.writer import Writer
from lash.backends.sql.engine.tx import EngineStatistics, Script
from lash.errors import LashBug, LashError
from lash.values.environment import Clock, IdSource

T = TypeVar("T")


class SqliteEngine:
    """Runs scripts on one SQLite file, beside other processes; the contract is that of `Engine`."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock,
        ids: IdSource,
        settings: SqliteSettings | None = None,
    ) -> None:
        """Name the file; nothing is opened before `connect`.

        Args:
            path: The database file. Links are followed, so that all who mean the same file share its lock.
            clock: Read once for each script.
            ids: Makes the id of this owner.
            settings: The numbers to work by.
        """
        self.path = os.path.realpath(path)
        self.owner_id = ids.new("owner")
        self.hub = Hub()
        self._clock = clock
        self._settings = settings or SqliteSettings()
        self._live: _Live | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_taken = False

    async def connect(self, schema: Schema) -> None:
        """Open the file, create or migrate it as the schema asks, and start to serve this event loop.

        Raises:
            LashError: `store_corrupt`, `store_foreign`, `schema_newer`, `store_read_only`, `store_full`,
                `store_busy` or `store_io`. The file is as it was; whole migrations that succeeded stay.
        """
        if self._is_taken:
            raise LashBug(f"the engine of {self.path} was connected before; make a new one")
        self._is_taken = True
        opening = asyncio.ensure_future(
            asyncio.to_thread(open_database, self.path, schema, self._settings, self.owner_id)
        )
        try:
            opened = await asyncio.shield(opening)
        except BaseException:
            self._is_taken = False
            opening.add_done_callback(_abandon)
            raise
        self._live = _Live(self.path, opened, self.hub, self._clock, self._settings)

    async def run(self, script: Script[T], *, durable: bool = True) -> T:
        return await self.submit(script, durable=durable)

    def submit(self, script: Script[T], *, durable: bool = True) -> asyncio.Future[T]:
        live = self._connected()
        future: asyncio.Future[T] = live.loop.create_future()
        live.writer.put(Job(script, future, durable=durable))
        return future

    async def read(self, script: Script[T]) -> T:
        live = self._connected()
        future: asyncio.Future[T] = live.loop.create_future()
        live.readers.put(Job(script, future))
        return await future

    def dead_owners(self, owner_ids: Collection[str]) -> set[str]:
        """Return those of the given engines, all of this host, that are gone, killed ones included.

        An id that no engine on this file ever had counts as gone. A live engine of which the system will not
        say (another user's, or no descriptors left) does not.
        """
        return self._connected().bells.dead_owners(owner_ids)

    def statistics(self) -> EngineStatistics:
        live = self._connected()
        return EngineStatistics(
            scripts=live.commits.scripts,
            commits=live.commits.commits,
            durable_commits=live.commits.durable_commits,
            checkpoints=live.checkpointer.checkpoints,
            log_frames=live.commits.log_frames,
        )

    async def close(self) -> None:
        """Finish what was handed in, copy the log back, and let go of the file.

        Closing goes on even if the caller is cancelled. Closing twice does nothing.

        Raises:
            LashError: The log could not be copied back. Nothing is lost: the next engine reads it.
        """
        if self._live is not None:
            live, self._live = self._live, None
            self._closing = asyncio.create_task(live.close())
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def _connected(self) -> "_Live":
        if self._live is None:
            state = "closed" if self._closing is not None else "not connected yet"
            raise LashError("store_closed", f"the database {self.path} is {state}", path=self.path)
        return self._live


def _abandon(opening: "asyncio.Future[Opened]") -> None:
    """Close what was opened for a caller that was cancelled meanwhile."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abandon()


class _Live:
    """The threads of a connected engine, and what ties them to its event loop."""

    def __init__(self, path: str, opened: Opened, hub: Hub, clock: Clock, settings: SqliteSettings) -> None:
        self.loop = asyncio.get_running_loop()
        self._path = path
        self._opened = opened
        self._hub = hub
        self._settings = settings
        self._data_version = self._read_data_version()
        self._watched_wait = 0
        self._watched_ms = 0
        self.bells = opened.bells
        self.commits = GroupCommit(opened.connection, clock, self._translate, batch_ms=settings.batch_ms)
        self.checkpointer = Checkpointer(
            opened.checkpoint_connection, opened.checkpoint_lock, trigger_frames=settings.checkpoint_frames
        )
        self.readers = ReaderPool(
            lambda: open_reader(path, settings), clock, self.loop, self._translate, limit=settings.readers
        )
        self.writer = Writer(
            self.commits,
            opened.lock,
            self.loop,
            hub,
            batch_scripts=settings.batch_scripts,
            on_commit=self._on_commit,
        )
        self.loop.add_reader(self.bells.fileno(), self._on_bell)
        self._timer = self.loop.call_later(settings.poll_ms / 1000, self._tick)

    async def close(self) -> None:
        # Until the last script is done, the timer still gives up on a process that does not let go.
        await asyncio.to_thread(self._finish)
        self._timer.cancel()
        self.loop.remove_reader(self.bells.fileno())
        await asyncio.to_thread(self._let_go)

    def _finish(self) -> None:
        self.writer.stop()
        self.readers.stop()

    def _let_go(self) -> None:
        self.checkpointer.stop(self._settings.busy_timeout_ms / 1000)
        connection = self._opened.connection
        connection.set_busy_timeout(0)
        try:
            if self._opened.lock.acquire_within(0):
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            pass  # others are using the file: the last of them will do it
        except apsw.Error as error:
            problem = self._translate(error, connection)
            if problem.code != "store_full":  # without room the log simply stays: it is part of the database
                raise problem from error
        finally:
            self._opened.close()

    def _on_commit(self, topics: set[str]) -> None:
        """After each batch, in the writer's thread."""
        if topics:
            self.bells.ring(topics)
        self.checkpointer.ask(self.commits.log_frames)
        self.checkpointer.help(self._opened.connection, self.commits.log_frames)

    def _on_bell(self) -> None:
        topics = self.bells.heard()
        if topics is None:
            self._hub.publish_all()
        else:
            self._hub.publish(topics)

    def _tick(self) -> None:
        self._timer = self.loop.call_later(self._settings.poll_ms / 1000, self._tick)
        if not self._hub.is_idle:
            self.writer.put(self._look_for_commits)
        wait = self.writer.waiting_for_lock()
        self._watched_ms = self._watched_ms + self._settings.poll_ms if wait == self._watched_wait else 0
        self._watched_wait = wait
        if wait and self._watched_ms >= self._settings.busy_timeout_ms:
            self.writer.give_up(lambda: busy(self._path, self._settings.busy_timeout_ms))

    def _look_for_commits(self) -> None:
        """Wake everyone if another connection has committed.

        Runs in the writer's thread, on its connection, so that our own commits do not count.
        """
        try:
            version = self._read_data_version()
        except apsw.Error:
            version = -1  # let those who wait look for themselves, and meet the error
        if version != self._data_version:
            self._data_version = version
            post(self.loop, self._hub.publish_all)

    def _read_data_version(self) -> int:
        return int(self._opened.connection.pragma("data_version"))

    def _translate(self, error: apsw.Error, connection: apsw.Connection | None) -> LashError:
        system_errno = connection.system_errno if connection is not None else 0
        return translate(error, self._path, system_errno=system_errno)
