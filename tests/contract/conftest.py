"""The `backend` fixture: every test of this folder runs on each backend."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lash.backends import open_database
from lash.backends.memory import MemoryDatabase
from lash.contracts import Database

from .settable import CountingIds, SettableClock

MOST = 3  # round trips of any script, whatever it finds


class Backend:
    """One database with a clock that the test moves, and further handles on the same data."""

    def __init__(self, kind: str, place: str) -> None:
        """Open nothing yet; `place` is a file for SQLite, a URL for PostgreSQL."""
        self.kind = kind
        self.clock = SettableClock()
        self._ids = CountingIds()
        self._place = place
        self._opened: list[Database] = []
        self.db = self._make()

    async def another_handle(self) -> Database:
        """Return a second handle on the same data; on memory there is only the one."""
        if self.kind == "memory":
            return self.db
        return await self.open(self._make())

    async def open(self, database: Database) -> Database:
        """Connect a handle that is closed when the test is over."""
        await database.connect()
        self._opened.append(database)
        return database

    async def restart(self, handle: Database) -> None:
        """Close a handle; on memory, where it is the only one, open it again as a new owner."""
        await handle.close()
        if self.kind == "memory":
            await handle.connect()

    async def close(self) -> None:
        """Close every handle."""
        costs = [cost for database in self._opened for cost in _costs(database)]
        for database in reversed(self._opened):
            await database.close()
        too_dear = {
            f"{name}: {cost.most_round_trips}" for name, cost in costs if cost.most_round_trips > MOST
        }
        assert not too_dear, f"more than {MOST} round trips for one script on PostgreSQL: {sorted(too_dear)}"

    def _make(self) -> Database:
        if self.kind == "memory":
            return MemoryDatabase(clock=self.clock, ids=self._ids)
        if self.kind == "postgres":
            return open_database(self._place, test_clock=self.clock, ids=self._ids)
        sqlite: Any = _sqlite_class()
        database: Database = sqlite(self._place, clock=self.clock, ids=self._ids)
        return database


def _costs(database: Any) -> list[tuple[str, Any]]:
    """Return what each operation of a handle on PostgreSQL has cost."""
    return list(getattr(getattr(database, "_engine", None), "costs", {}).items())


def _sqlite_class() -> Any:
    return getattr(importlib.import_module("lash.backends.sql"), "SqliteDatabase", None)


def backend_kinds() -> list[str]:
    """Return the backends that there are."""
    return ["memory", "sqlite", "postgres"] if _sqlite_class() is not None else ["memory"]


@pytest.fixture(params=backend_kinds())
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    is_postgres = request.param == "postgres"
    place = request.getfixturevalue("postgres_urls")() if is_postgres else str(tmp_path / "contract.db")
    backend = Backend(request.param, place)
    await backend.open(backend.db)
    yield backend
    await backend.close()


@pytest.fixture
def db(backend: Backend) -> Database:
    return backend.db


@pytest.fixture
def clock(backend: Backend) -> SettableClock:
    return backend.clock
