"""Which database a URL names, and what happens when a file is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lash.backends import open_database
from lash.backends.memory import MemoryDatabase
from lash.backends.sql import SqliteDatabase
from lash.errors import LashError
from lash.values import DurabilityTier

from .conftest import SettableClock
from .turns import AGENT

Tamper = Callable[..., list[tuple[object, ...]]]


async def test_a_path_and_a_url_name_the_same_file(path: Path) -> None:
    for url in (path, str(path), f"sqlite:///{path}"):
        database = open_database(url)
        assert isinstance(database, SqliteDatabase)
        assert database.path == str(path.resolve())
        assert database.url == f"sqlite:///{path}"
        assert database.durability_tier is DurabilityTier.DURABLE


def test_memory_is_named_by_its_scheme() -> None:
    assert isinstance(open_database("memory:"), MemoryDatabase)


def test_a_scheme_that_nobody_serves_is_refused() -> None:
    with pytest.raises(LashError) as refused:
        open_database("mongodb://localhost/agents")
    assert refused.value.code == "backend_unknown_scheme"
    assert refused.value.facts["scheme"] == "mongodb"


@pytest.mark.parametrize("url", ["", "  ", "sqlite:///", "sqlite:agent.db", "a\0b"])
def test_a_path_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(LashError) as refused:
        SqliteDatabase(url)
    assert refused.value.code == "invalid_argument"


async def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    database = open_database(path)
    assert not path.exists()
    await database.session_catalog.admit_session("s", agent=AGENT)
    assert path.exists()
    await database.close()


async def test_opening_twice_does_nothing_and_a_closed_one_says_so(database: SqliteDatabase) -> None:
    await database.connect()
    await database.close()
    with pytest.raises(LashError) as refused:
        await database.session_catalog.list_sessions()
    assert refused.value.code == "store_closed"


async def test_a_newer_file_is_refused_with_both_versions(path: Path, tamper: Tamper) -> None:
    first = SqliteDatabase(path)
    await first.connect()
    await first.close()
    tamper("PRAGMA user_version = 99")
    second = SqliteDatabase(path)
    for _ in range(2):  # asking again asks again
        with pytest.raises(LashError) as refused:
            await second.connect()
        assert refused.value.code == "schema_newer"
        assert (refused.value.facts["found_version"], refused.value.facts["known_version"]) == (99, 1)


async def test_a_test_clock_is_used_in_place_of_every_other(path: Path, clock: SettableClock) -> None:
    database = open_database(path, test_clock=clock)
    info, _ = await database.session_catalog.admit_session("s", agent=AGENT)
    assert info.created_at_ms == clock.at_ms
    assert database.clock is clock
    await database.close()


async def test_each_opening_has_an_owner_of_its_own(another: Callable[[], SqliteDatabase]) -> None:
    assert another().owner_id != another().owner_id


async def test_the_effect_host_records_in_this_database(database: SqliteDatabase) -> None:
    assert database.effect_host is database.effect_host
    assert database.effect_host.durability_tier is DurabilityTier.DURABLE
