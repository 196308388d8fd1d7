"""What child processes do to the database of a case. Each job says a thing only once it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from lash.contracts import Database
from lash.errors import LashError
from lash.testing.conformance.samples.processes import MINUTE_MS, appends, registration, success
from lash.testing.conformance.samples.queue import IDLE, draft, ids
from lash.testing.conformance.samples.sessions import append, next_commit, node, used
from lash.testing.conformance.samples.triggers import button_pressed
from lash.values import (
    ActivePath,
    AttachmentCreateMeta,
    ExternalInput,
    Json,
    ProcessRegistration,
    ProcessScope,
)

Say = Callable[[Json], None]
Job = Callable[[Database, dict[str, Json], Say], Awaitable[None]]
J = TypeVar("J", bound=Job)
A = TypeVar("A")

JOBS: dict[str, Job] = {}
WOKEN = "woken"  # the session that the events of `work` wake
TEXT = AttachmentCreateMeta(media_type="text/plain")


def job(body: J) -> J:
    """Make a function a job, under its own name."""
    JOBS[body.__name__] = body
    return body


def _argument(arguments: dict[str, Json], name: str, kind: type[A]) -> A:
    return msgspec.convert(arguments[name], kind)


@job
async def append_events(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Append events without keys, then one under a key that every worker uses; say each sequence."""
    worker = _argument(arguments, "worker", int)
    for index in range(_argument(arguments, "count", int)):
        request = appends("plain", {"worker": worker, "index": index})
        say((await database.process_registry.append_event("p", request)).event.sequence)
    shared = await database.process_registry.append_event("p", appends("plain", "shared", key="shared"))
    say({"shared": shared.event.sequence})


@job
async def commit_turns(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Commit to one session, each time upon what is there; say each revision."""
    worker = _argument(arguments, "worker", int)
    for index in range(_argument(arguments, "count", int)):
        say(await _committed(database, f"w{worker}-{index}"))


@job
async def claim_work(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Claim the work of many sessions; say the batches."""
    owner = f"worker-{_argument(arguments, 'worker', int)}"
    for session_id in _argument(arguments, "sessions", list[str]):
        store = database.runtime_persistence(session_id)
        for batch_id in ids(await store.claim_ready_queued_work(session_id, owner, IDLE, MINUTE_MS, 10)):
            say(batch_id)


@job
async def claim_leases(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Claim the leases of many processes; say those that were granted."""
    owner = f"worker-{_argument(arguments, 'worker', int)}"
    for process_id in _argument(arguments, "processes", list[str]):
        try:
            await database.process_registry.claim_process_lease(process_id, owner, MINUTE_MS)
        except LashError as refusal:
            if refusal.code != "process_lease_held":
                raise
        else:
            say(process_id)


@job
async def register_processes(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Register processes under ids that the other workers want for something else; say what was granted."""
    worker = _argument(arguments, "worker", int)
    for process_id in _argument(arguments, "processes", list[str]):
        wanted = ProcessRegistration(id=process_id, input=ExternalInput(metadata=worker))
        try:
            await database.process_registry.register_process(wanted)
        except LashError as refusal:
            if refusal.code != "process_registration_conflict":
                raise
        else:
            say(process_id)


@job
async def reserve_deliveries(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Reserve the deliveries of many occurrences; say each reservation."""
    for occurrence_id in _argument(arguments, "occurrences", list[str]):
        for found in await database.host_event_store.reserve_matching_deliveries(occurrence_id):
            say([occurrence_id, found.subscription.subscription_id])


@job
async def resolve_waits(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Resolve waits that the other workers resolve too; say those where this worker was first."""
    worker = _argument(arguments, "worker", int)
    for key in _argument(arguments, "keys", list[str]):
        if (await database.durable_waits.resolve_wait(key, worker)).first:
            say(key)


@job
async def enqueue_work(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Enqueue one batch."""
    session_id = _argument(arguments, "session", str)
    batch = await database.runtime_persistence(session_id).enqueue_queued_work(draft("look", session_id))
    say(batch.batch_id)


@job
async def hold(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Take a process lease and a claim on work, say so, and hold both for ever."""
    await database.process_registry.claim_process_lease("p", "worker", MINUTE_MS)
    store = database.runtime_persistence("root")
    claim = await store.claim_ready_queued_work("root", "worker", IDLE, MINUTE_MS, 10)
    say(list(ids(claim)))
    await asyncio.Event().wait()


@job
async def work(database: Database, arguments: dict[str, Json], say: Say) -> None:
    """Do a bit of everything, for ever; say each thing that is acknowledged, as [kind, id]."""
    round_ = _argument(arguments, "round", int)
    number = 0
    while True:
        number += 1
        await _one_of_each(database, f"{round_}-{number}", say)


async def _one_of_each(database: Database, name: str, say: Say) -> None:
    registry = database.process_registry
    wake = appends("wake", {"wake_input": name}, key=name, wakes=ProcessScope(WOKEN))
    say(["event", str((await registry.append_event("p", wake)).event.sequence)])
    say(["commit", str(await _committed(database, name))])
    batch = await database.runtime_persistence("queue").enqueue_queued_work(draft(name, "queue"))
    say(["batch", batch.batch_id])
    say(["attachment", (await database.attachment_store.put(name.encode() * 1000, TEXT)).id])
    ingest = await database.host_event_store.record_and_reserve(button_pressed("k", name))
    say(["occurrence", ingest.occurrence.occurrence_id])
    await database.durable_waits.resolve_wait(name, name)
    say(["wait", name])
    await registry.register_process(registration(name))
    await registry.complete_process(name, success(name))
    say(["process", name])


async def _committed(database: Database, node_id: str) -> int:
    """Commit one node and one token upon whatever is there; return the revision."""
    store = database.runtime_persistence("root")
    while True:
        found: Any = await store.load_session(ActivePath())
        revision, leaf = (0, None) if found is None else (found.head_revision, found.graph.leaf_node_id)
        commit = next_commit(revision, append(node(node_id, leaf)), usage_deltas=(used(1, key=node_id),))
        try:
            return (await store.commit_runtime_state(commit)).head_revision
        except LashError as refusal:
            if refusal.code != "head_revision_conflict":
                raise
