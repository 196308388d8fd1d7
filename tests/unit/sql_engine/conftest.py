"""A database with one small table, engines on it that are closed afterwards, and a disk that can fail."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash.backends.sql.engine.sqlite import Schema, SqliteEngine, SqliteSettings

SCHEMA = Schema(
    application_id=0x1A5B,
    foreign_keys=True,
    migrations=(
        "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL);"
        "CREATE TABLE reply(note INTEGER NOT NULL REFERENCES note(id) DEFERRABLE INITIALLY DEFERRED);",
    ),
)


class SettableClock:
    """Stands still, or moves by a fixed step with each reading."""

    def __init__(self) -> None:
        self.at_ms = 1_000
        self.step_ms = 0
        self.readings = 0

    def now_ms(self) -> int:
        self.readings += 1
        self.at_ms += self.step_ms
        return self.at_ms

    async def sleep_until(self, at_ms: int) -> None:
        raise AssertionError("the engine does not sleep")


class CountedIds:
    def __init__(self) -> None:
        self.count = 0

    def new(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"


class FileOnDisk(apsw.VFSFile):
    def __init__(self, disk: "Disk", name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self.disk = disk
        self.is_log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)

    def xSync(self, flags: int) -> None:  # SQLite's name
        if self.is_log:
            self.disk.log_syncs += 1
            if self.disk.sync_failure is not None:
                raise self.disk.sync_failure
        super().xSync(flags)


class Disk(apsw.VFS):
    """The real file system, with a count of the waits for the log and a switch that makes them fail."""

    def __init__(self) -> None:
        self.log_syncs = 0
        self.sync_failure: apsw.Error | None = None
        super().__init__("disk-under-test", "unix")

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> FileOnDisk:  # SQLite's
        return FileOnDisk(self, name, flags)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    apsw.set_default_vfs("disk-under-test")
    yield disk
    apsw.set_default_vfs("unix")
    disk.unregister()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def ids() -> CountedIds:
    return CountedIds()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def schema() -> Schema:
    return SCHEMA


Connect = Callable[..., Awaitable[SqliteEngine]]


@pytest.fixture
async def connect(path: Path, clock: SettableClock, ids: CountedIds) -> AsyncIterator[Connect]:
    """Return a function that connects one more engine to the same file, with the given settings."""
    engines: list[SqliteEngine] = []

    async def connect(**settings: Any) -> SqliteEngine:
        engine = SqliteEngine(path, clock=clock, ids=ids, settings=SqliteSettings(**settings))
        await engine.connect(SCHEMA)
        engines.append(engine)
        return engine

    yield connect
    for engine in engines:
        await engine.close()


@pytest.fixture
async def engine(connect: Connect) -> SqliteEngine:
    return await connect()
