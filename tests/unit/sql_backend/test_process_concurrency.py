"""Several operating-system processes on one file: gapless logs, and one winner of whatever can be won once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from lash.backends.sql import SqliteDatabase
from lash.values import TriggerSubscriptionDraft

PROCESSES, EACH = 4, 25

WORKER = """
import asyncio, json, sys
from lash.backends.sql import SqliteDatabase
from lash.errors import LashError
from lash.values import (
    AwaitSuccess, ExternalInput, HostEventOccurrenceRequest, ProcessEventAppendRequest, ProcessEventType,
    ProcessRegistration,
)

async def main(path, name, each):
    won = []
    database = SqliteDatabase(path)
    registry, store = database.process_registry, database.host_event_store
    line = ProcessEventType(name="line")
    shared = ProcessRegistration(id="shared", input=ExternalInput()).with_extra_event_types([line])

    async def attempt(what, work):
        try:
            await work
        except LashError as refused:
            return refused.code
        won.append(what)

    await attempt("registered", registry.register_process(shared.replace(id="raced", max_attempts=int(name) + 1)))
    await registry.register_process(shared)
    await attempt("leased", registry.claim_process_lease("shared", name, 60_000))
    await asyncio.gather(*(
        registry.append_event("shared", ProcessEventAppendRequest(
            event_type="line", payload=[name, n], replay_key=f"{name}:{n}"))
        for n in range(each)))
    for n in range(each):
        await registry.append_event("shared", ProcessEventAppendRequest(
            event_type="line", payload=n, replay_key=f"once:{n}"))
    for n in range(10):
        request = HostEventOccurrenceRequest(
            source_type="t", source_key="k", payload=n, idempotency_key=f"i{n}")
        ingest = await store.record_and_reserve(request)
        won.extend(f"reserved {n}" for _ in ingest.reservations)
    await attempt("completed", registry.complete_process("shared", AwaitSuccess(value=name)))
    await database.close()
    print(json.dumps(won))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_everything_that_can_be_won_once_is_won_once(database: SqliteDatabase, path: Path) -> None:
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
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(number), str(EACH)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    won: Counter[str] = Counter()
    for worker in workers:
        answer, complaint = worker.communicate(timeout=120)
        assert worker.returncode == 0, complaint.decode()
        won.update(json.loads(answer))
    reserved = {f"reserved {number}": 1 for number in range(10)}
    # Who holds the lease is gone afterwards, so that a later one may have had it too.
    assert won.pop("leased") >= 1
    assert won == Counter({"registered": 1, "completed": 1} | reserved)

    log = await database.process_registry.events_after("shared", 0)
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    lines = Counter(json.dumps(event.payload) for event in log if event.event_type == "line")
    expected = [[str(name), n] for name in range(PROCESSES) for n in range(EACH)]
    assert lines == Counter(json.dumps(one) for one in [*expected, *range(EACH)])
    assert [event.event_type for event in log].count("process.completed") == 1
