"""Looking whether anything was written: the net below the notifications, and all there is where none can be heard.

The number that the server's next writing transaction gets says that somebody has written, and not what.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psycopg

from lash.backends.sql.engine.hub import Hub
from lash.backends.sql.engine.postgres.connections import Driver, connect
from lash.backends.sql.engine.postgres.marks import remove_marks
from lash.backends.sql.engine.postgres.settings import PostgresSettings

_NEXT_TRANSACTION = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"


class Poller:
    """Looks whether anything was written, where there is no session to listen on. It is no sign of life."""

    def __init__(self, url: str, settings: PostgresSettings, owner_id: str, hub: Hub) -> None:
        self._url = url
        self._settings = settings
        self._owner_id = owner_id
        self._hub = hub
        self._driver: Driver | None = None
        self._looking: asyncio.Task[None] | None = None
        self._seen = ""

    async def start(self) -> None:
        """Begin to look.

        Raises:
            psycopg.Error: The server cannot be reached.
        """
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        if self._driver is not None:
            with suppress(psycopg.Error):  # somebody else will remove them
                await remove_marks(self._driver, self._owner_id)
            await self._driver.close()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._settings.pooled_poll_ms / 1000)
            try:
                if await self._look():
                    self._hub.publish_all()
            except psycopg.Error:
                if self._driver is not None:
                    await self._driver.close()
                    self._driver = None

    async def _look(self) -> bool:
        if self._driver is None:
            self._driver = await connect(self._url, self._settings, purpose=f"poller {self._owner_id}")
        before, self._seen = self._seen, await next_transaction(self._driver)
        return self._seen != before


async def next_transaction(driver: Driver) -> str:
    """Return the number that the server's next writing transaction gets.

    Raises:
        psycopg.Error: The server was lost.
    """
    row = await (await driver.execute(_NEXT_TRANSACTION)).fetchone()
    return "" if row is None else str(row[0])
