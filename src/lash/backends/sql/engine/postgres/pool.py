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
        try:
            async with asyncio.timeout(self._settings.busy_timeout_ms / 1000):
                return await self._take()
        except TimeoutError:
            raise self._nothing_free() from None

    async def give_back(self, session: Session) -> None:
        """Hand a session to whoever waits longest, keep it, or close it if it must not be used again."""
        self.count(session)
        if session.is_usable and not self._is_closed:
            if not self._hand_over(session):
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

    async def _take(self) -> Session:
        pause_ms = _FIRST_PAUSE_MS
        while True:
            while self._idle:
                session = self._idle.pop()
                if session.is_usable:
                    return session
                await self._discard(session)
            if self._count >= self._settings.connections:
                handed = await self._wait(None)
            else:
                try:
                    return await self._open()
                except psycopg.OperationalError as error:
                    if not is_exhaustion(error):
                        raise
                handed = await self._wait(pause_ms)
                pause_ms = min(pause_ms * 2, _LONGEST_PAUSE_MS)
            if handed is not None:
                return handed

    async def _open(self) -> Session:
        self._count += 1
        try:
            return await Session.open(self._url, self._settings, next(self._numbers))
        except BaseException:
            self._let_go()
            raise

    async def _wait(self, longest_ms: int | None) -> Session | None:
        """Return the next session that is given back; None if one may be opened, or after that time."""
        place: asyncio.Future[Session | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            done, _ = await asyncio.wait([place], timeout=None if longest_ms is None else longest_ms / 1000)
        except asyncio.CancelledError:
            self._leave(place)
            raise
        if done:
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
        elif not self._hand_over(session):
            self._idle.append(session)

    def _hand_over(self, session: Session) -> bool:
        return self._wake(session)

    def _wake(self, session: Session | None) -> bool:
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

    def _let_go(self) -> None:
        self._count -= 1
        self._wake(None)

    def _nothing_free(self) -> LashError:
        wait_ms, most = self._settings.busy_timeout_ms, self._settings.connections
        if self._count < most:
            return exhausted(self._shown_url, self._count, most, self._server_limit, wait_ms)
        return busy(self._shown_url, f"all {most} connections were in use for {wait_ms} ms")
