"""Word to other processes, and from them: NOTIFY after the commit, LISTEN with a net below it.

A NOTIFY inside a transaction would make all commits of the server wait for each other. So topics are sent
after the commit, on a connection of their own, and those that gather meanwhile go out together. If a process
dies in between, the word is lost, and the listeners' slow look at the server's transaction counter makes up
for it. Behind a pooler that gives no session to listen on, that look is all there is, and is quicker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import msgspec
import psycopg

from lash.backends.sql.engine.hub import Hub
from lash.backends.sql.engine.postgres.connections import Driver, connect
from lash.backends.sql.engine.postgres.marks import remove_marks
from lash.backends.sql.engine.postgres.owners import END_LIFE, TAKE_LIFE
from lash.backends.sql.engine.postgres.polling import next_transaction
from lash.backends.sql.engine.postgres.settings import PostgresSettings

CHANNEL = "lash_topics"
_PAYLOAD_BYTES = 7_000
"""The server takes less than 8,000. More topics than fit are sent as "everything"."""
_LONGEST_PAUSE_MS = 2_000
_SEND = "SELECT pg_notify(%s, %s)"


class Word(msgspec.Struct, frozen=True, array_like=True):
    """What one notification carries."""

    sender: str
    topics: list[str] | None
    """None: anything may have changed."""


class Notifier:
    """Sends the topics of commits, without anybody waiting for it."""

    def __init__(self, url: str, settings: PostgresSettings, owner_id: str) -> None:
        self._url = url
        self._settings = settings
        self._owner_id = owner_id
        self._driver: Driver | None = None
        self._topics: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None

    def announce(self, topics: Iterable[str]) -> None:
        """Send these topics soon."""
        self._topics.update(dict.fromkeys(topics))
        if self._topics and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Send what has gathered, and end the session."""
        if self._sending is not None:
            await self._sending
        if self._driver is not None:
            await self._driver.close()

    async def _send(self) -> None:
        while self._topics:
            topics, self._topics = list(self._topics), {}
            try:
                if self._driver is None or self._driver.closed:
                    self._driver = await connect(self._url, self._settings, purpose="notifier")
                await self._driver.execute(_SEND, (CHANNEL, _payload(self._owner_id, topics)))
            except psycopg.Error:
                # The server is away, and its listeners with it: they look for themselves when they are back.
                if self._driver is not None:
                    await self._driver.close()
                return


class Listener:
    """Hears what others committed, and is this owner's sign of life."""

    def __init__(self, url: str, settings: PostgresSettings, owner_id: str, hub: Hub) -> None:
        self._url = url
        self._settings = settings
        self._owner_id = owner_id
        self._hub = hub
        self._driver: Driver | None = None
        self._listening: asyncio.Task[None] | None = None
        self._is_alive = False
        self._seen = ""

    async def start(self) -> None:
        """Take the owner's lock and begin to listen.

        Raises:
            psycopg.Error: The server cannot be reached.
        """
        await self._connect()
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Stop listening; from now on this owner counts as dead."""
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        if self._driver is not None:
            if self._is_alive:
                with suppress(psycopg.Error):  # the end of the session says it too, only a little later
                    await remove_marks(self._driver, self._owner_id)
                    await self._driver.execute(END_LIFE, (self._owner_id,))
            await self._driver.close()

    async def _connect(self) -> None:
        self._driver = await connect(self._url, self._settings, purpose=f"owner {self._owner_id}")
        self._is_alive = False
        await self._take_life()
        await self._driver.execute(f"LISTEN {CHANNEL}")
        await self._look()

    async def _listen(self) -> None:
        pause_ms = 50
        while True:
            try:
                if self._driver is None:
                    await self._connect()
                    self._hub.publish_all()  # whatever was said meanwhile was not heard
                await self._hear()
                pause_ms = 50
            except psycopg.Error:
                if self._driver is not None:
                    await self._driver.close()
                    self._driver = None
                await asyncio.sleep(pause_ms / 1000)
                pause_ms = min(pause_ms * 2, _LONGEST_PAUSE_MS)

    async def _hear(self) -> None:
        """Listen for one interval, then look whether anything was written that nobody spoke of."""
        assert self._driver is not None
        async for notification in self._driver.notifies(timeout=self._settings.poll_ms / 1000):
            self._publish(notification.payload)
        await self._take_life()
        if await self._look():
            self._hub.publish_all()

    def _publish(self, payload: str) -> None:
        try:
            word = msgspec.json.decode(payload, type=Word)
        except msgspec.DecodeError:
            self._hub.publish_all()  # somebody else uses the channel, or a newer lash says it otherwise
            return
        if word.topics is None:
            self._hub.publish_all()
        elif word.sender != self._owner_id:
            self._hub.publish(word.topics)

    async def _take_life(self) -> None:
        """Take the owner's lock; a former session of this owner may hold it for a moment longer."""
        assert self._driver is not None
        if not self._is_alive:
            row = await (await self._driver.execute(TAKE_LIFE, (self._owner_id,))).fetchone()
            self._is_alive = row is not None and bool(row[0])

    async def _look(self) -> bool:
        """Whether the server has begun a writing transaction since the last look."""
        assert self._driver is not None
        before, self._seen = self._seen, await next_transaction(self._driver)
        return self._seen != before


def _payload(owner_id: str, topics: list[str]) -> str:
    try:
        payload = msgspec.json.encode(Word(owner_id, topics))
    except UnicodeEncodeError:
        payload = b""
    if not payload or len(payload) > _PAYLOAD_BYTES:
        payload = msgspec.json.encode(Word(owner_id, None))
    return payload.decode()
