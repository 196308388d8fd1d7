"""A database with one small table, and engines on it that are closed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from lash.backends.sql.engine.postgres import Dialect, PostgresEngine, PostgresSchema, PostgresSettings
from lash.backends.sql.postgres_dialect import postgres_statement
from lash.system import SystemClock

SCHEMA = PostgresSchema(
    application_id=0x1A5B,
    migrations=(
        "CREATE TABLE note(id bigint PRIMARY KEY, text text NOT NULL);"
        "CREATE TABLE counter(name text PRIMARY KEY, value bigint NOT NULL);",
    ),
    tables=frozenset({"note", "counter"}),
)
ADD_NOTE = "INSERT INTO note (id, text) VALUES (?, ?)"
COUNT_NOTES = "SELECT count(*) FROM note"


class CountedIds:
    def __init__(self) -> None:
        self.count = 0

    def new(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"


class AdjustableClock:
    """The machine's clock, set wrong by as much as a test says."""

    def __init__(self) -> None:
        self.wrong_by_ms = 0
        self._clock = SystemClock()

    def now_ms(self) -> int:
        return self._clock.now_ms() + self.wrong_by_ms

    async def sleep_until(self, at_ms: int) -> None:
        await self._clock.sleep_until(at_ms - self.wrong_by_ms)


class Observer:
    """A connection that is no engine's: what it sees is what the server holds."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(sql.encode(), params or None)
        return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, *params: Any) -> Any:
        return self.rows(sql, *params)[0][0]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def url(postgres_server: Any) -> Iterator[str]:
    """The URL of an empty database."""
    url = postgres_server.new_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def clock() -> AdjustableClock:
    return AdjustableClock()


@pytest.fixture
def observer(url: str) -> Iterator[Observer]:
    observer = Observer(url)
    yield observer
    observer.close()


Connect = Callable[..., Awaitable[PostgresEngine]]


@pytest.fixture
async def connect(url: str, clock: AdjustableClock) -> AsyncIterator[Connect]:
    """Return a function that connects one more engine to the same database, with the given settings."""
    engines: list[PostgresEngine] = []
    ids = CountedIds()

    async def connect(
        place: str = url,
        *,
        schema: PostgresSchema = SCHEMA,
        dialect: Dialect = postgres_statement,
        test_clock: Any = None,
        **settings: Any,
    ) -> PostgresEngine:
        engine = PostgresEngine(
            place,
            dialect,
            clock=clock,
            ids=ids,
            test_clock=test_clock,
            settings=PostgresSettings(**settings),
        )
        await engine.connect(schema)
        engines.append(engine)
        return engine

    yield connect
    for engine in engines:
        await engine.close()


@pytest.fixture
async def engine(connect: Connect) -> PostgresEngine:
    return await connect()
