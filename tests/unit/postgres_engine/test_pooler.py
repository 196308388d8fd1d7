"""Behind a pooler in transaction mode: the same answers, with a session to listen on or without one.

The whole of the contract tests runs behind it, too: LASH_TEST_POOLER=1 pytest tests/contract -k postgres
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lash.backends import open_database
from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.postgres import PostgresEngine
from lash.contracts import Database
from lash.testing.conformance import (
    DatabaseSource,
    Feature,
    KitClock,
    Outcome,
    Reopenable,
    all_cases,
    run_case,
)

from .conftest import ADD_NOTE, COUNT_NOTES, Connect, Observer

PARTS = 8  # of the conformance cases, so that test workers share them
ROOT = Path(__file__).parents[3]
# They make schemas of their own, and name them by a parameter that a pooler does not pass on.
NEED_A_SCHEMA = {Feature.PROCESSES, Feature.CRASHES, Feature.DAMAGE}


def adding(number: int) -> Callable[[Tx], Any]:
    async def script(tx: Tx) -> None:
        await tx.write(ADD_NOTE, number, "")
        tx.notify("notes")

    return script


async def counting(tx: Tx) -> int | None:
    return await tx.fetch_one(int, COUNT_NOTES)


@pytest.fixture(params=["listening", "polling"])
def pooled_url(request: pytest.FixtureRequest, url: str, postgres_pooler: Any) -> str:
    return str(postgres_pooler.url(url, listens=request.param == "listening"))


async def test_scripts_run_as_they_do_on_a_session_of_their_own(
    connect: Connect, pooled_url: str, observer: Observer
) -> None:
    one, other = await connect(pooled_url), await connect(pooled_url)
    await asyncio.gather(*((one if n % 2 else other).run(adding(n)) for n in range(60)))
    assert await one.read(counting) == 60
    assert observer.value("SELECT count(DISTINCT id) FROM note") == 60


async def test_who_waits_is_woken_by_a_commit_of_another_process(connect: Connect, pooled_url: str) -> None:
    writer, waiter = await connect(pooled_url), await connect(pooled_url)
    with waiter.hub.subscribe("notes") as subscription:
        await writer.run(adding(1))
        async with asyncio.timeout(30):
            await subscription.wait()
            while await waiter.read(counting) != 1:
                await subscription.wait()


async def test_nothing_is_left_on_the_poolers_sessions(
    connect: Connect, pooled_url: str, observer: Observer
) -> None:
    engine = await connect(pooled_url, connections=1)
    for number in range(12):
        await engine.run(adding(number))

    async def left(tx: Tx) -> list[str]:
        return await tx.fetch_all(str, "SELECT name FROM pg_prepared_statements")

    assert await engine.read(left) == []
    owners = 1 if engine.shows_life else 0
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database"
    assert observer.value(f"{held} WHERE datname = current_database())") == owners


async def test_an_owner_without_a_session_is_not_taken_for_dead(
    postgres_urls: Callable[[], str], postgres_pooler: Any
) -> None:
    direct = postgres_urls()
    pooled = open_database(postgres_pooler.url(direct, listens=False))
    onlooker = open_database(direct)
    lease = await pooled.session_leases.claim_session_lease("s", owner_id=pooled.owner_id, ttl_ms=600_000)
    found = await onlooker.session_leases.find_session_lease("s")
    await pooled.close()
    still = await onlooker.session_leases.find_session_lease("s")
    await onlooker.close()
    assert found == still == lease  # it ends by its time, and not by a session that there never was


async def test_a_pooler_that_is_restarted_is_found_again(
    connect: Connect, url: str, postgres_pooler: Any
) -> None:
    engine: PostgresEngine = await connect(postgres_pooler.url(url), patience_ms=60_000)
    await engine.run(adding(1))
    postgres_pooler.stop()
    late = asyncio.create_task(engine.run(adding(2)))
    await asyncio.to_thread(postgres_pooler.start)
    async with asyncio.timeout(60):
        await late
    assert await engine.read(counting) == 2


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
async def test_the_conformance_cases_hold(
    part: int, postgres_server: Any, postgres_template: str, postgres_pooler: Any
) -> None:
    made: list[str] = []

    def make(clock: KitClock) -> Reopenable[Database]:
        made.append(postgres_server.new_database(postgres_template))
        place = postgres_pooler.url(made[-1])
        return Reopenable(*(open_database(place, test_clock=clock) for _ in range(2)))

    async def discard() -> None:
        await asyncio.to_thread(postgres_server.drop_database, made.pop())

    source = DatabaseSource(make, discard=discard)
    cases = [case for case in all_cases() if case.needs.isdisjoint(NEED_A_SCHEMA)]
    assert len(cases) > 100
    results = [await run_case(case, source) for case in cases[part::PARTS]]
    assert [
        (result.case.name, result.reason) for result in results if result.outcome is not Outcome.PASSED
    ] == []


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_the_races_have_one_winner_each(postgres_pooler: Any) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-k", "postgres"]
    files = ["tests/contract/test_races.py", "tests/contract/test_concurrency.py"]
    done = subprocess.run(
        [*command, *files],
        cwd=ROOT,
        env=os.environ | {"LASH_TEST_POOLER": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout
