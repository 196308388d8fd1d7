"""The kit's cases with operating-system processes prove themselves on SQLite databases that go wrong in those."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lash.contracts import Database
from lash.testing.conformance import (
    Address,
    Case,
    DatabaseSource,
    Feature,
    KitClock,
    Outcome,
    Reopenable,
    SiblingFiles,
    all_cases,
    run_case,
)

from .mutants.mutant import changed, value

CASES = "lash.testing.conformance.cases.processes_at_once"
ROOT = Path(__file__).parents[2]
AT_ONCE = [
    case for case in all_cases() if Feature.PROCESSES in case.needs and Feature.CRASHES not in case.needs
]
KILLED = [case for case in all_cases() if Feature.CRASHES in case.needs]

WRONG = {  # what is wrong -> the cases that see it, of those with or without kills
    "every_process_counts_its_own_events": {"processes_append_to_one_log_without_a_gap"},
    "lost_races_look_like_commits": {"of_processes_that_commit_upon_one_revision_one_wins"},
    "work_of_others_is_claimed_again": {"processes_claim_each_batch_once"},
    "leases_of_others_are_granted_again": {"processes_share_leases_among_them"},
    "ids_of_others_are_given_again": {"processes_that_want_one_id_get_it_once"},
    "reserved_deliveries_are_handed_out_again": {"processes_reserve_each_delivery_once"},
    "everybody_resolves_first": {"of_processes_that_resolve_a_wait_one_is_first"},
    "work_goes_to_another_queue": {"work_of_another_process_is_heard_of"},
}
WRONG_WHEN_KILLED = {
    "waits_are_written_when_there_is_time": {"what_was_acknowledged_survives_a_kill"},
    "the_work_of_a_wake_is_another_transaction": {"a_kill_leaves_nothing_half_written"},
    "leases_outlive_their_time": {"what_a_killed_process_held_is_free_after_its_time"},
}


def source(folder: Path, opener: str | None) -> DatabaseSource:
    """SQLite databases, which other processes open by an opener of ours."""
    files = SiblingFiles(str(folder / "kit.db"))

    async def make(clock: KitClock) -> Reopenable[Database]:
        made = await files.make(clock)
        assert isinstance(made.address, str)
        name = None if opener is None else f"tests.contract.wrong_processes:{opener}"
        return dataclasses.replace(made, address=Address(made.address, name))

    return DatabaseSource(make, discard=files.discard)


async def failed(cases: list[Case], folder: Path, opener: str | None) -> set[str]:
    """The cases that fail, each by assertion."""
    names = set()
    with changed(f"{CASES}:NOTIFIED_MS", value(2_000)), changed(f"{CASES}:WORKERS", value(2)):
        for case in cases:
            result = await run_case(case, source(folder, opener))
            assert result.outcome in (Outcome.PASSED, Outcome.FAILED), f"{case.name}: {result.reason}"
            names |= {case.name} if result.outcome is Outcome.FAILED else set()
    return names


@pytest.fixture(autouse=True)
def found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


@pytest.mark.kill
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_between_processes_is_seen(wrong: str, tmp_path: Path) -> None:
    assert await failed(AT_ONCE, tmp_path, wrong) == WRONG[wrong]


@pytest.mark.kill
@pytest.mark.parametrize("wrong", WRONG_WHEN_KILLED)
async def test_what_a_kill_would_lose_is_seen(wrong: str, tmp_path: Path) -> None:
    assert await failed(KILLED, tmp_path, wrong) == WRONG_WHEN_KILLED[wrong]


@pytest.mark.kill
async def test_processes_that_share_nothing_fail_every_case(tmp_path: Path) -> None:
    wrong = "every_process_has_a_database_of_its_own"
    every = [*AT_ONCE, *KILLED]
    assert await failed(every, tmp_path, wrong) == {case.name for case in every}


def test_every_case_with_processes_has_something_wrong_that_it_sees() -> None:
    seen: set[str] = set().union(*WRONG.values(), *WRONG_WHEN_KILLED.values())
    assert seen == {case.name for case in (*AT_ONCE, *KILLED)}


async def test_a_child_that_cannot_open_the_database_fails_its_case(tmp_path: Path) -> None:
    def make(clock: KitClock) -> Any:
        from lash.backends.sql import SqliteDatabase

        pair = (SqliteDatabase(tmp_path / "kit.db", clock=clock) for _ in range(2))
        return Reopenable(*pair, address=str(tmp_path / "no such folder" / "kit.db"))

    case = next(case for case in AT_ONCE if case.name == "work_of_another_process_is_heard_of")
    result = await run_case(case, DatabaseSource(make))
    assert result.outcome is Outcome.FAILED
    assert "another process on the same database failed" in result.reason
