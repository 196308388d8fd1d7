"""What every test may ask for: a PostgreSQL server, started when the first test needs it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

NOT_RUN = "NOT RUN, no PostgreSQL"


def _load(name: str) -> Any:
    """Import a module that lies beside this file; the tests are no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """The server of this process; tests that need it are reported as NOT RUN where there is none."""
    try:
        module = _load("postgres_server")
    except ImportError as problem:
        pytest.skip(f"{NOT_RUN}: {problem}")
    try:
        server = module.PostgresServer()
    except module.NotRunning as problem:
        pytest.skip(f"{NOT_RUN}: {problem}")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Any) -> str:
    """The name of a database with lash's tables, and nothing in them, to make others from."""
    from lash.backends import open_database

    async def migrate(url: str) -> None:
        database = open_database(url)
        await database.connect()
        await database.close()

    postgres_server.execute("CREATE DATABASE lash_template")
    with ThreadPoolExecutor(1) as apart:  # an event loop may be running in this thread
        apart.submit(asyncio.run, migrate(postgres_server.url("lash_template"))).result()
    postgres_server.execute("DELETE FROM owner", "lash_template")
    return "lash_template"


@pytest.fixture(scope="session")
def postgres_pooler(postgres_server: Any) -> Iterator[Any]:
    """A pooler in transaction mode; tests that need it are reported as NOT RUN where there is none."""
    module = _load("pgbouncer")
    try:
        pooler = module.Pooler(postgres_server)
    except module.NoPooler as problem:
        pytest.skip(f"{NOT_RUN} behind a pooler: {problem}")
    yield pooler
    pooler.stop()


@pytest.fixture
def postgres_urls(
    request: pytest.FixtureRequest, postgres_server: Any, postgres_template: str
) -> Iterator[Callable[[], str]]:
    """Return a function that makes a fresh database with lash's tables; it is dropped after the test.

    With LASH_TEST_POOLER=1 in the environment the tests reach it through a pooler in transaction mode.
    """
    made: list[str] = []
    pooler = request.getfixturevalue("postgres_pooler") if os.environ.get("LASH_TEST_POOLER") else None

    def make() -> str:
        made.append(postgres_server.new_database(postgres_template))
        return made[-1] if pooler is None else str(pooler.url(made[-1]))

    yield make
    for url in made:
        postgres_server.drop_database(url)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly what was not run, and why: a green run without a server is not the whole run."""
    reasons = {
        str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    }
    missing = sorted(reason.removeprefix("Skipped: ") for reason in reasons if NOT_RUN in reason)
    if missing:
        terminalreporter.section("POSTGRESQL TESTS NOT RUN", sep="!", red=True, bold=True)
        for reason in missing:
            terminalreporter.line(reason, red=True)
