"""A writer that is killed in the middle of anything: what it was told is there, and nothing is there by half."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lash.backends.sql import SqliteDatabase
from lash.rules.process_projection import folded
from lash.rules.process_registration import registered_record
from lash.values import (
    ExternalInput,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessRegistration,
    ProcessScope,
    ProcessWakeSpec,
    SelectPayload,
    TriggerSubscriptionDraft,
)

# After how many answers the writer is killed; each writer goes on where the one before it was stopped.
KILLS = (1, 2, 3, 5, 8, 13, 21, 34, 7, 17, 27, 37)

WORKER = """
import asyncio, sys
from lash.backends.sql import SqliteDatabase
from lash.values import HostEventOccurrenceRequest, ProcessEventAppendRequest

async def main(path, first):
    database = SqliteDatabase(path)
    registry, store = database.process_registry, database.host_event_store

    async def work(n):
        if n % 3 == 2:
            request = HostEventOccurrenceRequest(
                source_type="t", source_key="k", payload=n, idempotency_key=f"i{n}")
            await store.record_and_reserve(request)
            print(f"reserved {n}", flush=True)
        elif n % 7 == 0:
            lease = await registry.claim_process_lease("p", "worker", 0)
            print(f"fence {lease.fencing_token}", flush=True)
        else:
            request = ProcessEventAppendRequest(event_type="wake", payload=f"{n}", replay_key=f"k{n}")
            await registry.append_event("p", request)
            print(f"appended {n}", flush=True)

    while True:
        await asyncio.gather(*(work(n) for n in range(first, first + 8)))
        first += 8

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def registration() -> ProcessRegistration:
    wake = ProcessEventSemanticsSpec(wake=ProcessWakeSpec(input=SelectPayload()))
    types = [ProcessEventType(name="wake", semantics=wake)]
    started = ProcessRegistration(id="p", input=ExternalInput(), wake_target=ProcessScope("s"))
    return started.with_extra_event_types(types)


def killed_writer(path: Path, first: int, answers: int) -> list[str]:
    """Start a writer, kill it after so many answers, and return every answer that it gave."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), str(first)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    told = [writer.stdout.readline() for _ in range(answers)]
    writer.kill()
    told.extend(writer.stdout)
    writer.stdout.close()
    writer.wait()
    assert all(told[:answers]), "the writer ended by itself"
    return [line.strip() for line in told if line.endswith("\n")]


async def check(database: SqliteDatabase, told: list[str]) -> None:
    registry, store = database.process_registry, database.host_event_store
    log = await registry.events_after("p", 0)
    record = await registry.get_process("p")
    assert record is not None
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert folded(registered_record(registration(), record.created_at_ms), log) == record

    keys = [event.invocation.replay_key for event in log]
    assert len(keys) == len(set(keys))
    assert {f"k{line.split()[1]}" for line in told if line.startswith("appended")} <= set(keys)

    lines = await registry.list_wake_deliveries("p")
    assert [line.delivery.sequence for line in lines] == [event.sequence for event in log]
    batches = await database.runtime_persistence("s").list_queued_work("s")
    assert [line.batch_id for line in lines] == [batch.batch_id for batch in batches]

    deliveries = await store.list_deliveries(limit=10_000)
    reserved = {delivery.occurrence_id for delivery in deliveries}
    assert len(deliveries) == len(reserved)
    assert len(reserved) >= sum(line.startswith("reserved") for line in told)


@pytest.mark.kill
@pytest.mark.heavy
async def test_killed_writers_lose_nothing_and_leave_nothing_by_half(path: Path) -> None:
    database = SqliteDatabase(path)
    await database.process_registry.register_process(registration())
    draft = TriggerSubscriptionDraft(
        session_id="s",
        source_type="t",
        source_key="k",
        source=None,
        event_ty=None,
        module_ref="m",
        required_surface_ref="r",
        process_ref=None,
        process_name="n",
    )
    await database.host_event_store.register_subscription(draft)
    told: list[str] = []
    for place, answers in enumerate(KILLS):
        told += killed_writer(path, place * 1_000, answers)
        await check(database, told)
    fences = [int(line.split()[1]) for line in told if line.startswith("fence")]
    assert len(fences) == len(set(fences)) > 0
    after = await database.process_registry.claim_process_lease("p", "after", 0)
    assert after.fencing_token > max(fences)
    await database.close()
