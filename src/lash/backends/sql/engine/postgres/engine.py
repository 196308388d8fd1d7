"""`PostgresEngine`: one database of a server, shared with other processes and other machines.

Invariants that a change here would break first: whatever is handed in is answered, also while closing; nobody
is answered before the commit; nobody is woken before it either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import psycopg

from lash.backends.sql.engine.hub import Hub
from lash.backends.sql.engine.postgres.attempts import Attempts, Committed
from lash.backends.sql.engine.postgres.clock import ServerClock
from lash.backends.sql.engine.postgres.connections import Driver, Traffic, connect, is_pooled
from lash.backends.sql.engine.postgres.costs import ScriptCost
from lash.backends.sql.engine.postgres.failures import exhausted, is_exhaustion, translate
from lash.backends.sql.engine.postgres.migrations import PostgresSchema, prepare_schema
from lash.backends.sql.engine.postgres.notifications import Listener, Notifier
from lash.backends.sql.engine.postgres.polling import Poller
from lash.backends.sql.engine.postgres.pool import SessionPool
from lash.backends.sql.engine.postgres.settings import PostgresSettings, shown_url, split_url
from lash.backends.sql.engine.postgres.statements import Dialect
from lash.backends.sql.engine.tx import EngineStatistics, Script
from lash.errors import LashBug, LashError
from lash.values.environment import Clock, IdSource

T = TypeVar("T")


class PostgresEngine:
    """Runs scripts on one PostgreSQL database; the contract is that of `Engine`.

    Scripts run side by side, as many as there are connections. Those that were handed in by `submit` run one
    after another, and before whatever is handed in after them.
    """

    def __init__(
        self,
        url: str,
        dialect: Dialect,
        *,
        clock: Clock,
        ids: IdSource,
        test_clock: Clock | None = None,
        settings: PostgresSettings | None = None,
    ) -> None:
        """Name the database; nothing is opened before `connect`.

        Args:
            url: As the driver takes it, with our own parameters (see `split_url`).
            dialect: What the scripts' statements mean on this server.
            clock: This machine's time, which is corrected to the server's.
            ids: Makes the id of this owner.
            test_clock: A clock that stands for the server's.
            settings: The numbers to work by; what the URL says goes before.

        Raises:
            LashError: `invalid_argument` for a parameter of the URL that cannot be.
        """
        self._url, self._settings = split_url(url, settings or PostgresSettings())
        self.shown_url = shown_url(self._url)
        self.clock = ServerClock(test_clock or clock, is_frozen=test_clock is not None)
        self.owner_id = ids.new("owner")
        self.hub = Hub()
        self._dialect = dialect
        self._live: _Live | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_taken = False
        self._is_pooled = False
        self._server_limit: int | None = None
        self._costs: dict[str, ScriptCost] = {}

    async def connect(self, schema: PostgresSchema) -> None:
        """Reach the server, create or migrate the tables, and start to serve this event loop.

        Raises:
            LashError: `store_unavailable`, `store_io`, `store_read_only`, `store_foreign`, `schema_newer`,
                `store_corrupt`, `store_busy`, `store_full`. Whole migrations that succeeded stay.
        """
        if self._is_taken:
            raise LashBug(f"the engine of {self.shown_url} was connected before; make a new one")
        self._is_taken = True
        try:
            await self._prepare(schema)
            live = _Live(self)
            await live.start()
        except psycopg.Error as error:
            self._is_taken = False
            if is_exhaustion(error):
                raise exhausted(self.shown_url, 0, self._settings.connections, self._server_limit) from error
            raise translate(error, self.shown_url) from error
        except BaseException:
            self._is_taken = False
            raise
        self._live = live

    async def run(self, script: Script[T], *, durable: bool = True) -> T:
        live = self._connected()
        return await asyncio.shield(live.keep(live.write(script, after=live.lane, is_durable=durable)))

    def submit(self, script: Script[T], *, durable: bool = True) -> asyncio.Future[T]:
        live = self._connected()
        task = live.keep(live.write(script, after=live.lane, is_durable=durable))
        live.lane = task
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        task.add_done_callback(lambda done: _pass_on(done, answer))
        return answer

    async def read(self, script: Script[T]) -> T:
        live = self._connected()
        return await asyncio.shield(live.keep(live.attempts.read(script)))

    def dead_owners(self, owner_ids: Collection[str]) -> set[str]:
        """Return those of the given engines that were seen dead by `note_dead`.

        The dead are found by a statement, inside a script; this only remembers them.
        """
        return self._connected().dead.intersection(owner_ids)

    def note_dead(self, owner_ids: Collection[str]) -> None:
        """Remember owners that a script found dead; they stay it."""
        self._connected().dead.update(owner_ids)

    def statistics(self) -> EngineStatistics:
        live = self._connected()
        return EngineStatistics(
            scripts=live.commits,
            commits=live.commits,
            durable_commits=live.durable_commits,
            checkpoints=0,
            log_frames=0,
        )

    @property
    def traffic(self) -> Traffic:
        """What scripts have sent to the server, and how often they waited for it, since the connect.

        The end of a transaction that only read is not in it: it is sent after the answer.
        """
        return replace(self._connected().pool.traffic)

    @property
    def costs(self) -> dict[str, ScriptCost]:
        """What the scripts of each operation have cost since the connect, by the operation's name."""
        return {name: replace(cost) for name, cost in self._costs.items()}

    async def close(self) -> None:
        """Finish what was handed in, send what was announced, and let go of the server.

        Closing goes on even if the caller is cancelled. Closing twice does nothing.
        """
        if self._live is not None:
            live, self._live = self._live, None
            self._closing = asyncio.create_task(live.close())
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def _connected(self) -> _Live:
        if self._live is None:
            state = "closed" if self._closing is not None else "not connected yet"
            raise LashError("store_closed", f"the database {self.shown_url} is {state}", url=self.shown_url)
        return self._live

    @property
    def shows_life(self) -> bool:
        """Whether this engine holds a session by which others see that its owner lives."""
        return not self._is_pooled or self._settings.direct_url is not None

    async def _prepare(self, schema: PostgresSchema) -> None:
        once = replace(self._settings, prepare_threshold=None)  # what it opens for may be a pooler
        direct_url = self._settings.direct_url
        driver = await connect(self._url, once, purpose="opening")
        try:
            await self._look_around(driver)
            if direct_url is None:
                await self._prepare_by(driver, schema)
        finally:
            await driver.close()
        if self._is_pooled:
            self._settings = once
        if direct_url is not None:
            driver = await connect(direct_url, once, purpose="opening")
            try:
                await self._prepare_by(driver, schema)
            finally:
                await driver.close()

    async def _look_around(self, driver: Driver) -> None:
        """See who answers, and how many may be connected."""
        self._is_pooled = await is_pooled(driver)
        row = await (await driver.execute("SELECT current_setting('max_connections')::int")).fetchone()
        self._server_limit = None if row is None else row[0]

    async def _prepare_by(self, driver: Driver, schema: PostgresSchema) -> None:
        await prepare_schema(driver, schema, self.shown_url)
        sent_ms = self.clock.local_ms()
        row = await (await driver.execute("SELECT lash_now()")).fetchone()
        assert row is not None
        self.clock.learn(row[0], sent_ms, self.clock.local_ms())


class _Live:
    """What a connected engine holds."""

    def __init__(self, engine: PostgresEngine) -> None:
        url, settings = engine._url, engine._settings
        direct_url = settings.direct_url or url
        self.pool = SessionPool(url, engine.shown_url, settings, server_limit=engine._server_limit)
        self._notifier = Notifier(direct_url, settings, engine.owner_id)
        watch = Listener if engine.shows_life else Poller
        self._listener: Listener | Poller = watch(direct_url, settings, engine.owner_id, engine.hub)
        self._hub = engine.hub
        self._running: set[asyncio.Task[Any]] = set()  # their answers are their callers'
        self.attempts = Attempts(
            self.pool,
            engine._dialect,
            engine.clock,
            settings,
            url=url,
            shown_url=engine.shown_url,
            owner_id=engine.owner_id,
            costs=engine._costs,
        )
        self.lane: asyncio.Future[Any] | None = None  # the last of the scripts that run one after another
        self.dead: set[str] = set()
        self.commits = 0
        self.durable_commits = 0

    async def start(self) -> None:
        try:
            await self._listener.start()
        except BaseException:
            await self._listener.close()
            raise

    def keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something to its end, whoever stops waiting for it."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def write(self, script: Script[T], *, after: asyncio.Future[Any] | None, is_durable: bool) -> T:
        if after is not None and not after.done():
            await asyncio.wait([after])
        done: Committed[T] = await self.attempts.write(script, is_durable=is_durable)
        self.commits += 1
        self.durable_commits += is_durable
        self._hub.publish(done.topics)
        self._notifier.announce(done.topics)
        return done.result

    async def close(self) -> None:
        while self._running:
            await asyncio.wait(self._running)
        await self.attempts.finish()
        await self._notifier.close()
        await self._listener.close()
        await self.pool.close()


def _pass_on(task: asyncio.Task[T], answer: asyncio.Future[T]) -> None:
    """Answer whoever submitted a script, unless nobody waits any more."""
    error = task.exception()
    if answer.cancelled():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())
