"""A database, its clock and its event loop, for state machines that are not asynchronous themselves."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from lash.backends import open_database
from lash.backends.memory import MemoryDatabase
from lash.backends.sql import SqliteDatabase
from lash.contracts import Database

T = TypeVar("T")

START_MS = 1_000_000


class SetClock:
    def __init__(self) -> None:
        self.at_ms = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    async def sleep_until(self, at_ms: int) -> None:
        raise AssertionError("nothing here sleeps")


class World:
    """One database and, except in memory, a second handle on it; calls alternate between the two."""

    def __init__(self, kind: str, new_url: Callable[[], str] | None = None) -> None:
        """Make a fresh database; `new_url` makes those of a server."""
        self.clock = SetClock()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self.handles: list[Database] = []
        if kind == "memory":
            self.handles.append(MemoryDatabase(clock=self.clock))
        elif kind == "postgres":
            assert new_url is not None
            url = new_url()
            self.handles.extend(open_database(url, test_clock=self.clock) for _ in range(2))
        else:
            file = Path(self._folder.name) / "world.db"
            self.handles.extend(SqliteDatabase(file, clock=self.clock) for _ in range(2))
        for handle in self.handles:
            self.run(handle.connect())
        self._turn = 0

    @property
    def db(self) -> Database:
        self._turn += 1
        return self.handles[self._turn % len(self.handles)]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def close(self) -> None:
        for handle in self.handles:
            self.run(handle.close())
        self._runner.close()
        self._folder.cleanup()
