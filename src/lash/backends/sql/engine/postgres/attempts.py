"""Running a script to its end: once, again when the server asks for it, and to a known outcome.

A script that the server undid for the sake of another one is run again from its start. So is one whose
connection was lost before its commit was sent. If it was lost after, the server is asked for the mark that the
commit would have left; only when it cannot be asked is the outcome unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

import psycopg

from lash.backends.sql.engine.postgres.clock import ServerClock
from lash.backends.sql.engine.postgres.connections import Session, Traffic, connect
from lash.backends.sql.engine.postgres.costs import ScriptCost, name_of
from lash.backends.sql.engine.postgres.failures import (
    is_loss,
    is_worth_another_try,
    outcome_unknown,
    translate,
)
from lash.backends.sql.engine.postgres.marks import SET_MARK, has_mark
from lash.backends.sql.engine.postgres.pool import SessionPool
from lash.backends.sql.engine.postgres.settings import PostgresSettings
from lash.backends.sql.engine.postgres.statements import Dialect
from lash.backends.sql.engine.postgres.transaction import ClockWasWrong, PostgresTx, ReadOnlyTx
from lash.backends.sql.engine.postgres.turnstile import Ticket, Turnstile
from lash.backends.sql.engine.tx import Script
from lash.errors import LashError

T = TypeVar("T")

_FIRST_PAUSE_MS = 2
_LONGEST_PAUSE_MS = 250


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """What a script returned, and whom it wanted to be woken."""

    result: T
    topics: tuple[str, ...]


class Attempts:
    """Runs scripts on the sessions of a pool."""

    def __init__(
        self,
        pool: SessionPool,
        dialect: Dialect,
        clock: ServerClock,
        settings: PostgresSettings,
        *,
        url: str,
        shown_url: str,
        owner_id: str,
        costs: dict[str, ScriptCost],
    ) -> None:
        self._pool = pool
        self._dialect = dialect
        self._clock = clock
        self._settings = settings
        self._url = url
        self._shown_url = shown_url
        self._owner_id = owner_id
        self._numbers = count(1)
        self._turnstile = Turnstile()
        self._ending: set[asyncio.Task[None]] = set()
        self._costs = costs

    async def write(self, script: Script[T], *, is_durable: bool) -> Committed[T]:
        """Run a script that writes until it is committed.

        Raises:
            LashError: One of `failures`, when the server does not let it; `store_unavailable` with
                `outcome="unknown"` when a commit was cut off and nobody could tell how it ended.
            Exception: Whatever the script raises; then it left no trace.
        """
        ticket = Ticket(self._turnstile)

        async def once() -> Committed[T]:
            tx = PostgresTx(
                self._pool.take,
                self._dialect,
                self._clock,
                self._settings,
                ticket=ticket,
                is_durable=is_durable,
            )
            try:
                done = await self._write_once(script, tx)
                self._note(script, tx)
                return done
            finally:
                if tx.session is not None:
                    await self._pool.give_back(tx.session)

        try:
            return await self._until_done(once)
        finally:
            ticket.give_back()

    async def read(self, script: Script[T]) -> T:
        """Run a script that only reads, on one snapshot. The answer does not wait for its end.

        Raises:
            LashError: One of `failures`.
            Exception: Whatever the script raises.
        """

        async def once() -> T:
            ticket = Ticket(self._turnstile)
            tx = ReadOnlyTx(self._pool.take, self._dialect, self._clock, self._settings, ticket=ticket)
            try:
                result = await _checked(script, tx)
                self._note(script, tx)
                return result
            finally:
                ticket.give_back()
                if tx.session is not None:
                    self._pool.count(tx.session)  # nobody waits for what follows
                    self._ending.add(task := asyncio.create_task(self._end_reading(tx.session, tx)))
                    task.add_done_callback(self._ending.discard)

        return await self._until_done(once)

    def _note(self, script: Script[T], tx: PostgresTx) -> None:
        if tx.session is not None:
            self._costs.setdefault(name_of(script), ScriptCost()).note(tx.session.traffic)

    async def finish(self) -> None:
        """Wait until no session is in use by a script that was answered."""
        while self._ending:
            await asyncio.wait(self._ending)

    async def _until_done(self, once: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._settings.patience_ms / 1000
        pause_ms, attempt = _FIRST_PAUSE_MS, 0
        while True:
            attempt += 1
            try:
                return await once()
            except ClockWasWrong:
                if attempt >= self._settings.attempts:
                    raise self._restless_clock() from None
                continue
            except psycopg.Error as error:
                if is_loss(error) and loop.time() < give_up_at:
                    await self._pool.drop_idle()
                elif not is_worth_another_try(error) or attempt >= self._settings.attempts:
                    raise translate(error, self._shown_url) from error
            await asyncio.sleep(pause_ms / 1000)
            pause_ms = min(pause_ms * 2, _LONGEST_PAUSE_MS)

    async def _write_once(self, script: Script[T], tx: PostgresTx) -> Committed[T]:
        try:
            result = await _checked(script, tx)
            if tx.is_open and not tx.is_answered:
                await tx.sync()  # the time must be known to be right before the commit
        except (psycopg.Error, ClockWasWrong):
            if tx.session is not None:
                await tx.session.close()
            raise
        except BaseException:
            if tx.session is not None:
                await _undo(tx.session, tx)
            raise
        if tx.session is not None:
            await self._commit(tx.session)
        return Committed(result, tuple(tx.topics))

    async def _commit(self, session: Session) -> None:
        number = next(self._numbers)
        try:
            await session.send(SET_MARK, (self._owner_id, session.number, number))
            await session.send("COMMIT")
            await session.sync()
        except psycopg.Error as error:
            await session.close()
            if not (is_loss(error) and await self._was_committed(session.number, number, error)):
                raise

    async def _end_reading(self, session: Session, tx: PostgresTx) -> None:
        """End a reader's transaction. There is nothing to lose in it, so a failure is not the caller's."""
        try:
            if tx.failure is not None:
                await session.close()
            elif tx.is_open:
                await session.send("COMMIT")
                await session.sync()
        except psycopg.Error:
            await session.close()
        finally:
            session.traffic = Traffic()
            await self._pool.give_back(session)

    async def _was_committed(self, session: int, number: int, loss: psycopg.Error) -> bool:
        """Ask the server what became of a commit that was cut off.

        Raises:
            LashError: `store_unavailable` with `outcome="unknown"` when it does not say in time.
        """
        await self._pool.drop_idle()
        try:
            async with asyncio.timeout(self._settings.connect_timeout_ms / 1000):
                while True:  # until the server is back
                    with suppress(psycopg.Error):
                        return await self._has_mark(session, number)
                    await asyncio.sleep(_LONGEST_PAUSE_MS / 1000)
        except TimeoutError:
            raise outcome_unknown(self._shown_url, str(loss).strip()) from loss

    async def _has_mark(self, session: int, number: int) -> bool:
        driver = await connect(self._url, self._settings, purpose="outcome")
        try:
            return await has_mark(driver, self._owner_id, session, number)
        finally:
            await driver.close()

    def _restless_clock(self) -> LashError:
        return LashError(
            "store_busy",
            f"the clock of {self._shown_url} and the one of this machine did not agree for"
            f" {self._settings.attempts} attempts; look for a clock that is being set over and over",
            retryable=True,
            url=self._shown_url,
        )


async def _checked(script: Script[T], tx: PostgresTx) -> T:
    result = await script(tx)
    if tx.failure is not None:
        raise tx.failure
    return result


async def _undo(session: Session, tx: PostgresTx) -> None:
    """End the transaction of a script that raised. One that wrote nothing is committed: that frees its locks
    as well, and the driver keeps its prepared statements.
    """
    if not tx.is_open:
        return
    try:
        await session.send("ROLLBACK" if tx.has_written else "COMMIT")
        await session.sync()
    except psycopg.Error:
        await session.close()
