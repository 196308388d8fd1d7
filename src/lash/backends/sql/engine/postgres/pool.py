"""A bounded number of sessions, opened when they are needed and kept for the next script."""

from __future__ import annotations

import asyncio
from itertools import count

from lash.backends.sql.engine.postgres.connections import Session
from lash.backends.sql.engine.postgres.failures import busy
from lash.backends.sql.engine.postgres.settings import PostgresSettings


class SessionPool:
    """Lends sessions. Whoever waits longest gets the next one; the one used last is lent first."""

    def __init__(self, url: str, shown_url: str, settings: PostgresSettings) -> None:
        self._url = url
        self._shown_url = shown_url
        self._settings = settings
        self._idle: list[Session] = []
        self._places = asyncio.Semaphore(settings.connections)
        self._is_closed = False
        self._numbers = count(1)
        self.round_trips = 0

    async def take(self) -> Session:
        """Return a session that nobody else uses, opening one if need be.

        Raises:
            psycopg.Error: The server cannot be reached.
            LashError: `store_busy` when all sessions stay in use.
        """
        try:
            async with asyncio.timeout(self._settings.busy_timeout_ms / 1000):
                await self._places.acquire()
        except TimeoutError:
            raise busy(
                self._shown_url,
                f"all {self._settings.connections} connections were in use for"
                f" {self._settings.busy_timeout_ms} ms",
            ) from None
        try:
            while self._idle:
                session = self._idle.pop()
                if session.is_usable:
                    return session
                await session.close()
            return await Session.open(self._url, self._settings, next(self._numbers))
        except BaseException:
            self._places.release()
            raise

    async def give_back(self, session: Session) -> None:
        """Keep a session for the next one, or close it if it must not be used again."""
        self.round_trips += session.round_trips
        session.round_trips = 0
        try:
            if session.is_usable and not self._is_closed:
                self._idle.append(session)
            else:
                await session.close()
        finally:
            self._places.release()

    async def drop_idle(self) -> None:
        """Close every session that is not in use: one of them was lost, and they were likely lost together."""
        idle, self._idle = self._idle, []
        for session in idle:
            await session.close()

    async def close(self) -> None:
        """Close what is not in use; what is follows when it is given back."""
        self._is_closed = True
        await self.drop_idle()
