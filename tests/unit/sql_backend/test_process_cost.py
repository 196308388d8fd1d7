"""Processes and host events: cost follows the change, and not the length of logs or what is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import apsw
import pytest

from lash.backends.sql import (
    SqliteDatabase,
    artifacts,
    process_handles,
    process_log,
    process_pruning,
    process_readiness,
    process_rows,
    session_edges,
    trigger_rows,
    wait_rows,
    waits,
    wake_rows,
)
from lash.backends.sql.engine.sqlite import SqliteSettings
from lash.backends.sql.schema import MIGRATIONS
from lash.values import (
    AwaitSuccess,
    ExternalInput,
    ProcessEventAppendRequest,
    ProcessEventType,
    ProcessRegistration,
)

MODULES = (
    artifacts,
    process_handles,
    process_log,
    process_pruning,
    process_readiness,
    process_rows,
    session_edges,
    trigger_rows,
    wait_rows,
    waits,
    wake_rows,
)
# What lists everything, in the order of an index, or the front of everything up to a limit.
LISTINGS = {"RUNNING_PROCESSES", "LIST_SUBSCRIPTIONS"}


def _line(key: str) -> ProcessEventAppendRequest:
    return ProcessEventAppendRequest(event_type="line", payload="x" * 100, replay_key=key)


def _statements() -> Iterable[tuple[str, str]]:
    for module in MODULES:
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str) and " " in value and not name.startswith("_"):
                yield name, value


@pytest.mark.parametrize(("name", "sql"), sorted(set(_statements())))
def test_statement_searches_and_neither_scans_nor_sorts(name: str, sql: str) -> None:
    connection = apsw.Connection(":memory:")
    for migration in MIGRATIONS:
        connection.execute(migration)
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?"))
    plan = [str(row[3]) for row in rows]
    # The recursive walk over host profiles, which steps from one to the next through an index.
    allowed = (
        "SCAN json_each",
        "SCAN CONSTANT ROW",
        *(("SCAN o", "SCAN profile") if name == "PROFILES" else ()),
    )
    scans = [step for step in plan if step.startswith("SCAN") and not step.startswith(allowed)]
    assert not [step for step in plan if "TEMP B-TREE" in step], plan
    if name in LISTINGS:
        assert len(scans) == 1
        assert "USING INDEX" in scans[0]
    else:
        assert not scans, plan


def test_the_check_of_plans_can_fail() -> None:
    with pytest.raises(AssertionError):
        test_statement_searches_and_neither_scans_nor_sorts(
            "X", "SELECT body FROM process_event ORDER BY event_type"
        )


async def test_append_costs_as_much_after_many_events_as_after_few(path: Path) -> None:
    # A log that never starts over, so that its length tells what an append wrote.
    database = SqliteDatabase(path, settings=SqliteSettings(checkpoint_frames=10**6))
    registry, costs = database.process_registry, {}
    for process_id, events in (("few", 10), ("many", 5_000)):
        line = ProcessEventType(name="line")
        started = ProcessRegistration(id=process_id, input=ExternalInput()).with_extra_event_types([line])
        await registry.register_process(started)
        for start in range(0, events, 500):
            keys = range(start, min(start + 500, events))
            await asyncio.gather(*(registry.append_event(process_id, _line(f"k{key}")) for key in keys))
        before = database._engine.statistics().log_frames
        for number in range(20):
            await registry.append_event(process_id, _line(f"last {number}"))
        costs[process_id] = (database._engine.statistics().log_frames - before) / 20
        tail = await registry.events_after(process_id, events)
        assert [event.sequence for event in tail] == list(range(events + 1, events + 21))
    await database.close()
    # A tree that became one level deeper writes one page more where a page is split; that is all.
    assert costs["many"] <= costs["few"] + 2


async def test_finished_processes_do_not_stand_in_the_way(database: SqliteDatabase) -> None:
    registry = database.process_registry
    for number in range(50):
        process_id = f"p{number:03}"
        await registry.register_process(ProcessRegistration(id=process_id, input=ExternalInput()))
        if number != 25:
            await registry.complete_process(process_id, AwaitSuccess(value=number))
    assert [record.id for record in await registry.list_non_terminal()] == ["p025"]
