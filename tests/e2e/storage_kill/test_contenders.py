"""Sixteen writers in four operating-system processes: one winner of whatever can be won once, and no gap."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lash.backends import open_database
from lash.values import FullGraph

from . import records
from .contender import LOG, WRITERS, prepare
from .crew import ROOT

pytestmark = [pytest.mark.kill, pytest.mark.heavy]

PROCESSES, ROUNDS = 4, 10
FIGHTERS = PROCESSES * WRITERS
# How those are refused who come second.
SECOND = {
    "head": {"head_revision_conflict"},
    "session lease": {"session_lease_held"},
    "process lease": {"process_lease_held"},
    "registration": {"process_registration_conflict"},
    "end": {"process_event_replay_conflict"},
    "reservation": {"lost"},
    "grant": {"process_handle_not_granted"},
    "batch": {"lost"},
    "effect": {"lost"},
    "wait": {"lost"},
    "turn": {"lost"},
}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "contest.db")
    new_url: Callable[[], str] = request.getfixturevalue("postgres_urls")
    return new_url()


def test_of_sixteen_writers_in_four_processes_one_wins_each_contest(url: str) -> None:
    asyncio.run(_prepared(url))
    outcomes = _fought(url)
    for contest, codes in SECOND.items():
        for number in range(ROUNDS):
            seen = Counter(outcome for name, at, outcome in outcomes if (name, at) == (contest, number))
            assert seen["won"] == 1, f"{contest} {number}: {seen}"
            assert set(seen) == {"won", *codes}
            assert seen.total() == FIGHTERS
    assert {outcome for name, _, outcome in outcomes if name == "log"} == {"lost"}
    asyncio.run(_check(url))


def _fought(url: str) -> list[tuple[str, int, str]]:
    """Start the processes, let them go when all are ready, and return what they told."""
    command = [sys.executable, "-m", "tests.e2e.storage_kill.contender", url]
    processes = [
        subprocess.Popen(
            [*command, f"p{number}", str(number * WRITERS), str(ROUNDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(PROCESSES)
    ]
    told: list[tuple[str, int, str]] = []
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            answer, _ = process.communicate(timeout=200)
            assert process.returncode == 0
            told.extend(tuple(line) for part in answer.splitlines() for line in json.loads(part))
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return told


async def _prepared(url: str) -> None:
    database = open_database(url)
    await prepare(database, ROUNDS)
    await database.close()


async def _check(url: str) -> None:
    """Look at what is there: sequences without a gap, and one of everything."""
    database = open_database(url)
    registry = database.process_registry
    events = await registry.events_after(LOG, 0)
    assert [event.sequence for event in events] == list(range(1, ROUNDS * (FIGHTERS + 1) + 1))
    assert len({event.invocation.replay_key for event in events}) == len(events)
    read = await database.runtime_persistence("head").load_session(FullGraph())
    assert read is not None
    assert (read.head_revision, len(read.graph.nodes)) == (ROUNDS, 2 * ROUNDS)
    for number in range(ROUNDS):
        assert len(await registry.events_after(f"ready{number}", 0)) == 1
        assert len(await registry.handle_grants_for_process(f"ready{number}")) == 1
        assert len(await database.runtime_persistence().list_queued_work(f"turn{number}")) == 1
    deliveries = await database.host_event_store.list_deliveries(limit=10_000)
    assert len(deliveries) == records.SUBSCRIPTIONS * ROUNDS
    await database.close()
