"""A bounded number of sessions, opened when they are needed and kept for the next script.

The bound is ours; the server has one of its own, which all its clients share. Where the server has no session
to give, a script waits for one that this pool has already, as it would if the pool were full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import count

import psycopg

from lash.backends.sql.engine.postgres.connections import Session, Traffic
from lash.backends.sql.engine.postgres.failures import busy, exhausted, is_exhaustion
from lash.backends.sql.engine.postgres.settings import PostgresSettings
from lash.errors import LashError

_FIRST_PAUSE_MS = 20
_LONGEST_PAUSE_MS = 500


class SessionPool:
    """Lends sessions. Whoever waits longest gets the next one; the one used last is lent first."""

    def __init__(
        self, url: str, shown_url: str, settings: PostgresSettings, *, server_limit: int | None = None
    ) -> None:
        self._url = url
        self._shown_url = shown_url
        self._settings = settings
        self._idle: list[Session] = []
        self._waiting: deque[asyncio.Future[Session | None]] = deque()
        self._count = 0  # sessions that are lent, idle, or being opened
        self._is_closed = False
        self._numbers = count(1)
        self._server_limit = server_limit
        self.traffic = Traffic()

    async def take(self) -> Session:
        """Return a session that nobody else uses, opening one if need be.

        Raises:
            psycopg.Error: The server cannot be reached.
            LashError: `store_busy` when all sessions stay in use, here or, as far as the server gives us any,
                on the server.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._settings.busy_timeout_ms / 1000
        pause_ms = _FIRST_PAUSE_MS
        while True:
            session = await self._idle_one()
            if session is not None:
                return session
            longest_ms: float | None = None
            if self._count < self._settings.connections:
                try:
                    return await self._open()
                except psycopg.OperationalError as error:
                    if not is_exhaustion(error):
                        raise
                longest_ms, pause_ms = pause_ms, min(pause_ms * 2, _LONGEST_PAUSE_MS)
            left_ms = (give_up_at - loop.time()) * 1000
            if left_ms <= 0:
                raise self._nothing_free()
            session = await self._wait(left_ms if longest_ms is None else min(longest_ms, left_ms))
            if session is not None:
                return session

    async def give_back(self, session: Session) -> None:
        """Hand a session to whoever waits longest, keep it, or close it if it must not be used again."""
        self.count(session)
        if session.is_usable and not self._is_closed:
            if not self._wake(session):
                self._idle.append(session)
            return
        try:
            await session.close()
        finally:
            self._let_go()

    def count(self, session: Session) -> None:
        """Add what a session has sent to what the pool has."""
        self.traffic.add(session.traffic)
        session.traffic = Traffic()

    async def drop_idle(self) -> None:
        """Close every session that is not in use: one of them was lost, and they were likely lost together."""
        idle, self._idle = self._idle, []
        for session in idle:
            try:
                await session.close()
            finally:
                self._let_go()

    async def close(self) -> None:
        """Close what is not in use; what is follows when it is given back."""
        self._is_closed = True
        await self.drop_idle()

    async def _idle_one(self) -> Session | None:
        while self._idle:
            session = self._idle.pop()
            if session.is_usable:
                return session
            await self._discard(session)
        return None

    async def _open(self) -> Session:
        self._count += 1
        try:
            return await Session.open(self._url, self._settings, next(self._numbers))
        except BaseException as error:
            # Where the server has none to give, whoever waits would only ask in vain: they ask again in time.
            self._let_go(is_worth_asking=not (isinstance(error, psycopg.Error) and is_exhaustion(error)))
            raise

    async def _wait(self, longest_ms: float) -> Session | None:
        """Return the next session that is given back; None if one may be opened, or after that time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + longest_ms / 1000
        place: asyncio.Future[Session | None] = loop.create_future()
        self._waiting.append(place)
        try:
            while not place.done() and loop.time() < until:
                left_s = min(until - loop.time(), _LONGEST_PAUSE_MS / 1000)
                await asyncio.wait([place], timeout=max(left_s, 0))
                if self._count < self._settings.connections:
                    break
        except asyncio.CancelledError:
            self._leave(place)
            raise
        if place.done():
            return place.result()
        self._waiting.remove(place)
        return None

    def _leave(self, place: asyncio.Future[Session | None]) -> None:
        """Pass on what was handed to somebody who has gone."""
        if not place.done():
            self._waiting.remove(place)
            return
        session = place.result()
        if session is None:
            self._wake(None)
        elif not self._wake(session):
            self._idle.append(session)

    def _wake(self, session: Session | None) -> bool:
        """Hand a session, or the word that one may be opened, to whoever waits longest; tell if anybody does."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(session)
                return True
        return False

    async def _discard(self, session: Session) -> None:
        try:
            await session.close()
        finally:
            self._let_go()

    def _let_go(self, *, is_worth_asking: bool = True) -> None:
        self._count -= 1
        if is_worth_asking:
            self._wake(None)

    def _nothing_free(self) -> LashError:
        wait_ms, most = self._settings.busy_timeout_ms, self._settings.connections
        if self._count < most:
            return exhausted(self._shown_url, self._count, most, self._server_limit, wait_ms)
        return busy(self._shown_url, f"all {most} connections were in use for {wait_ms} ms")
