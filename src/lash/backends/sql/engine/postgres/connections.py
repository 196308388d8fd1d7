"""Opening connections: one session each, in pipeline mode from the beginning to the end.

Parameters are sent in the types of the columns that they meet: every `int` and `bool` as `bigint`, `bytes` as
`bytea`, and texts untyped, so that a statement is planned once and not once for each size of a number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap, PyFormat
from psycopg.generators import send as send_all
from psycopg.types.numeric import Int8BinaryDumper

from lash.backends.sql.engine.postgres.settings import PostgresSettings
from lash.errors import LashError

Driver = psycopg.AsyncConnection[tuple[Any, ...]]  # a row holds what its statement selects


async def is_pooled(driver: Driver) -> bool:
    """Whether a pooler stands between: it names another process than the one that answers.

    Raises:
        psycopg.Error: The server was lost.
    """
    row = await (await driver.execute("SELECT pg_backend_pid()")).fetchone()
    return row is not None and row[0] != driver.info.backend_pid


class _BoolAsNumberDumper(Int8BinaryDumper):
    """Sends a `bool` as 0 or 1, which is what the columns hold."""

    def dump(self, obj: Any) -> Any:  # the driver's own signature
        return super().dump(int(obj))

    def get_key(self, obj: Any, format: PyFormat) -> Any:
        return bool


def _adapters() -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(int, Int8BinaryDumper)
    adapters.register_dumper(bool, _BoolAsNumberDumper)
    return adapters


class _Adaptation:
    """What the driver asks for its adapters."""

    adapters = _adapters()
    connection = None


async def connect(url: str, settings: PostgresSettings, *, purpose: str) -> Driver:
    """Open a session in which every statement commits by itself.

    Args:
        url: Where the server is, as the driver takes it.
        settings: How long to try, and whether statements are prepared.
        purpose: Shown to whoever looks at the server's sessions.

    Raises:
        psycopg.Error: The server cannot be reached, or refuses.
    """
    try:
        async with asyncio.timeout(settings.connect_timeout_ms / 1000):
            driver: Driver = await psycopg.AsyncConnection.connect(
                url,
                autocommit=True,
                prepare_threshold=settings.prepare_threshold,
                context=_Adaptation(),
                fallback_application_name=f"lash {purpose}",
            )
    except TimeoutError:
        raise psycopg.OperationalError(f"no answer within {settings.connect_timeout_ms} ms") from None
    except (UnicodeError, psycopg.ProgrammingError) as problem:
        raise LashError(
            "invalid_argument", f"the URL of the database cannot be read: {problem}", problem=str(problem)
        ) from problem
    driver.prepared_max = settings.prepared_statements
    return driver


@dataclass(slots=True)
class Traffic:
    """What was sent to a server."""

    statements: int = 0
    round_trips: int = 0
    """How often answers were waited for."""

    def add(self, other: Traffic) -> None:
        """Count what another one counted, too."""
        self.statements += other.statements
        self.round_trips += other.round_trips


class Session:
    """A connection in pipeline mode: statements are sent at once and answered at the next `sync`.

    After an error nothing is known of what else was sent, of prepared statements least of all. Such a session
    is not used again.
    """

    __slots__ = ("_driver", "_mode", "_pipeline", "number", "traffic")

    def __init__(
        self, driver: Driver, mode: AsyncExitStack, pipeline: psycopg.AsyncPipeline, number: int
    ) -> None:
        self.number = number
        self._driver = driver
        self._mode = mode
        self._pipeline = pipeline
        self.traffic = Traffic()

    @classmethod
    async def open(cls, url: str, settings: PostgresSettings, number: int) -> Session:
        """Open a session. Its number is its own among those of the engine.

        Raises:
            psycopg.Error: The server cannot be reached, or refuses.
        """
        driver = await connect(url, settings, purpose="worker")
        mode = AsyncExitStack()
        return cls(driver, mode, await mode.enter_async_context(driver.pipeline()), number)

    async def send(self, text: str, params: tuple[Any, ...] = ()) -> psycopg.AsyncRawCursor[tuple[Any, ...]]:
        """Send a statement; its rows can be taken from the answer after the next `sync`.

        Raises:
            psycopg.Error: Of this statement, or of one that was sent before.
        """
        self.traffic.statements += 1
        cursor = psycopg.AsyncRawCursor(self._driver)
        await cursor.execute(text, params, binary=True)
        return cursor

    async def send_many(self, text: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Send a statement for each row of parameters.

        Raises:
            psycopg.Error: Of this statement, or of one that was sent before.
        """
        self.traffic.statements += len(rows)
        await psycopg.AsyncRawCursor(self._driver).executemany(text, rows)

    async def sync(self) -> None:
        """Wait for the answers to all that was sent.

        Raises:
            psycopg.Error: The first one that failed. What was sent after it was not run.
        """
        self.traffic.round_trips += 1
        # The driver's pipeline waits for answers although a large parameter is not sent off yet; the server
        # would wait for the rest of it, and both for ever.
        async with self._driver.lock:
            await self._driver.wait(send_all(self._driver.pgconn))
        await self._pipeline.sync()

    @property
    def is_usable(self) -> bool:
        """Whether the session stands, outside of any transaction, with nothing left to be answered."""
        return (
            not self._driver.closed
            and not self._driver.broken
            and self._driver.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
        )

    async def close(self) -> None:
        """End the session. The server undoes what it had not committed."""
        await self._driver.close()
        with suppress(psycopg.Error):  # the mode ends with the connection, and says so
            await self._mode.aclose()
