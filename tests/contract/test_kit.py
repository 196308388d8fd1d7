"""The kit on lash's own backends: one test a case."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lash.backends import open_database
from lash.contracts import Database
from lash.testing.conformance import (
    Case,
    DatabaseSource,
    Feature,
    KitClock,
    Outcome,
    Reopenable,
    all_cases,
    run_case,
    source_for,
)

CASES = list(all_cases())
OTHER_PROCESSES = {Feature.PROCESSES, Feature.CRASHES}
IN_MEMORY = [case for case in CASES if case.needs.isdisjoint(OTHER_PROCESSES)]
IN_SCHEMAS = [case for case in CASES if case.needs & {*OTHER_PROCESSES, Feature.DAMAGE}]


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@pytest.fixture(scope="session")
def memory() -> DatabaseSource:
    return source_for("memory:")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kit")


@pytest.fixture(scope="session")
def files(folder: Path) -> DatabaseSource:
    return source_for(f"sqlite:///{folder}/kit.db")


@pytest.fixture(scope="session")
def copies(postgres_server: Any, postgres_template: str) -> DatabaseSource:
    """PostgreSQL databases that are copied, tables and all: much faster than schemas made from nothing."""
    made: list[str] = []

    def make(clock: KitClock) -> Reopenable[Database]:
        made.append(postgres_server.new_database(postgres_template))
        return Reopenable(*(open_database(made[-1], test_clock=clock) for _ in range(2)))

    async def discard() -> None:
        await asyncio.to_thread(postgres_server.drop_database, made.pop())

    return DatabaseSource(make, discard=discard)


@pytest.fixture(scope="session")
def empty_database(postgres_server: Any) -> Iterator[str]:
    url = postgres_server.new_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def schemas(empty_database: str) -> DatabaseSource:
    return source_for(empty_database)


@each(IN_MEMORY)
async def test_memory_keeps_the_case(case: Case, memory: DatabaseSource) -> None:
    result = await run_case(case, memory)
    assert result.outcome is Outcome.PASSED, result.reason


@each([case for case in CASES if case not in IN_MEMORY])
async def test_memory_says_that_it_ends_with_its_process(case: Case, memory: DatabaseSource) -> None:
    result = await run_case(case, memory)
    assert (result.outcome, result.is_declared) == (Outcome.NOT_OFFERED, True)
    assert result.reason == "the database is inline: it ends with its process"


@each(CASES)
async def test_sqlite_keeps_the_case(case: Case, files: DatabaseSource, folder: Path) -> None:
    result = await run_case(case, files)
    assert result.outcome is Outcome.PASSED, result.reason
    assert list(folder.iterdir()) == [], "a throw-away database is gone with its case"


@each([case for case in CASES if case not in IN_SCHEMAS])
async def test_postgresql_keeps_the_case(case: Case, copies: DatabaseSource) -> None:
    result = await run_case(case, copies)
    assert result.outcome is Outcome.PASSED, result.reason


@each(IN_SCHEMAS)
async def test_postgresql_keeps_the_case_in_a_throw_away_schema(
    case: Case, schemas: DatabaseSource, empty_database: str, postgres_server: Any
) -> None:
    result = await run_case(case, schemas)
    assert result.outcome is Outcome.PASSED, result.reason
    left = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'lash%'"
    assert postgres_server.execute(left, empty_database.partition("?")[0].rpartition("/")[2]) == []
