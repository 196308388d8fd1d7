"""Databases on one file, with a clock that the test moves, closed when the test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from lash.backends.sql import SqliteDatabase
from lash.backends.sql.engine.sqlite import SqliteSettings


class SettableClock:
    def __init__(self) -> None:
        self.at_ms = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms

    async def sleep_until(self, at_ms: int) -> None:
        raise AssertionError("storage does not sleep")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


@pytest.fixture
async def another(path: Path, clock: SettableClock) -> AsyncIterator[Callable[[], SqliteDatabase]]:
    """Makes handles on the same file."""
    made: list[SqliteDatabase] = []

    def make() -> SqliteDatabase:
        made.append(SqliteDatabase(path, clock=clock, settings=SqliteSettings(poll_ms=50)))
        return made[-1]

    yield make
    for database in reversed(made):
        await database.close()


@pytest.fixture
async def database(another: Callable[[], SqliteDatabase]) -> SqliteDatabase:
    database = another()
    await database.connect()
    return database


@pytest.fixture
def tamper(path: Path) -> Callable[..., list[tuple[object, ...]]]:
    """Runs one statement on the file, past everything that lash knows."""

    def run(sql: str, *values: str | int | bytes | None) -> list[tuple[object, ...]]:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(5_000)
        try:
            return list(connection.execute(sql, values))
        finally:
            connection.close()

    return run
