"""Processes that are killed (SIGKILL) in the middle of what they do (contract 0.3; Appendix D, point 3)."""

from __future__ import annotations

import msgspec

from lash.contracts import Database
from lash.errors import LashError
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.children import Child
from lash.testing.conformance.expectations import expect, expect_equal, expect_present, refused
from lash.testing.conformance.jobs import WOKEN
from lash.testing.conformance.samples.processes import MINUTE_MS, process, registration, wake_type
from lash.testing.conformance.samples.queue import IDLE, draft, ids
from lash.testing.conformance.samples.sessions import FULL, load
from lash.testing.conformance.samples.triggers import subscription
from lash.testing.conformance.trial import Trial
from lash.values import bytes_hash

KILLED_AFTER = (
    3,
    8,
    12,
    21,
)  # acknowledgements; a round of `work` has seven, so each kill hits another place
USED = (
    Contract.PROCESS_REGISTRY,
    Contract.RUNTIME_PERSISTENCE,
    Contract.HOST_EVENT_STORE,
    Contract.ATTACHMENT_STORE,
    Contract.DURABLE_WAITS,
)
Acknowledged = tuple[str, str]  # kind and id


async def _prepare(database: Database) -> None:
    await database.process_registry.register_process(registration("p", wake_type("wake")))
    for name in ("one", "two"):
        await database.host_event_store.register_subscription(subscription("root", "k", name))


async def _killed(child: Child, after: int) -> list[Acknowledged]:
    """Let a child work, kill it once it has acknowledged so much, and return all that it has."""
    await child.go()
    words = [expect_present(await child.said(), "what a worker says") for _ in range(after)]
    return msgspec.convert([*words, *await child.kill()], list[Acknowledged])


@case(Contract.DATABASE, rule="R-6", needs=(Feature.PROCESSES, Feature.CRASHES), uses=USED)
async def what_was_acknowledged_survives_a_kill(trial: Trial[Database]) -> None:
    """Whatever a killed process was told is done, the next one finds: of every kind, whole."""
    await _prepare(trial.subject)
    for round_, after in enumerate(KILLED_AFTER):
        acknowledged = await _killed(await trial.child("work", round=round_), after)
        database = await trial.reopen()
        for kind, id in acknowledged:
            expect(await _is_there(database, kind, id), f"{kind} {id!r} is there after the kill")


async def _is_there(database: Database, kind: str, id: str) -> bool:
    registry = database.process_registry
    match kind:
        case "event":
            return [event.sequence for event in await registry.events_after("p", int(id) - 1)][:1] == [
                int(id)
            ]
        case "commit":
            return (await load(database.runtime_persistence("root"))).head_revision >= int(id)
        case "batch":
            return id in ids(await database.runtime_persistence("queue").list_queued_work("queue"))
        case "attachment":
            return bytes_hash((await database.attachment_store.get(id)).data) == id
        case "occurrence":
            return len(await database.host_event_store.list_deliveries(occurrence_id=id)) == 2
        case "wait":
            return (await database.durable_waits.find_wait(id)) is not None
        case _:
            return (await process(registry, id)).is_terminal


@case(Contract.DATABASE, rule="B-8", needs=(Feature.PROCESSES, Feature.CRASHES), uses=USED)
async def a_kill_leaves_nothing_half_written(trial: Trial[Database]) -> None:
    """What was being written is there whole or not at all: events with their wakes and work, commits with
    nodes and usage, occurrences with all their deliveries, attachments with their meta.
    """
    await _prepare(trial.subject)
    for round_, after in enumerate(KILLED_AFTER):
        await _killed(await trial.child("work", round=round_), after)
        database = await trial.reopen()
        await _expect_whole_events(database)
        await _expect_whole_commits(database)
        await _expect_whole_deliveries(database)
        await _expect_whole_attachments(database, round_)


async def _expect_whole_events(database: Database) -> None:
    registry = database.process_registry
    log = [event.sequence for event in await registry.events_after("p", 0)]
    expect_equal(log, list(range(1, len(log) + 1)), "the sequences of the log")
    wakes = [wake.sequence for wake in await registry.wake_events_after("p", 0)]
    expect_equal(wakes, log, "the wakes of the log")
    work = await database.runtime_persistence(WOKEN).list_queued_work(WOKEN)
    expect_equal(len(work), len(log), "the work that the wakes made")


async def _expect_whole_commits(database: Database) -> None:
    read = await database.runtime_persistence("root").load_session(FULL)
    if read is None:  # killed before the first one
        return
    tokens = [entry.usage.input_tokens for entry in read.token_ledger]
    expect_equal(
        (len(read.graph.nodes), tokens), (read.head_revision, [read.head_revision]), "nodes and tokens"
    )


async def _expect_whole_deliveries(database: Database) -> None:
    deliveries = await database.host_event_store.list_deliveries(limit=10_000)
    occurrences = [delivery.occurrence_id for delivery in deliveries]
    for occurrence_id in set(occurrences):
        expect_equal(occurrences.count(occurrence_id), 2, f"the deliveries of {occurrence_id!r}")


async def _expect_whole_attachments(database: Database, round_: int) -> None:
    for number in range(1, max(KILLED_AFTER)):
        data = f"{round_}-{number}".encode() * 1000
        try:
            found = await database.attachment_store.get(bytes_hash(data))
        except LashError as refusal:
            expect_equal(refusal.code, "attachment_not_found", "an attachment that was not written")
        else:
            expect(found.data == data and found.meta.byte_len == len(data), "an attachment is whole")


@case(
    Contract.DATABASE,
    rule="R-4",
    needs=(Feature.PROCESSES, Feature.CRASHES, Feature.CLOCK),
    uses=(Contract.PROCESS_REGISTRY, Contract.RUNTIME_PERSISTENCE),
)
async def what_a_killed_process_held_is_free_after_its_time(trial: Trial[Database]) -> None:
    """Its lease and its claim are others' at the latest when their time is over, and no lock stays."""
    registry, store = trial.subject.process_registry, trial.subject.runtime_persistence("root")
    await registry.register_process(registration("p"))
    batch = await store.enqueue_queued_work(draft("look"))
    child = await trial.child("hold")
    await child.go()
    expect_equal(await child.said(), [batch.batch_id], "what the process holds")
    with refused("process_lease_held", "a lease that a living process holds"):
        await registry.claim_process_lease("p", "other", MINUTE_MS)
    await child.kill()
    trial.clock.advance(MINUTE_MS)
    await registry.claim_process_lease("p", "other", MINUTE_MS)
    claimed = await store.claim_ready_queued_work("root", "other", IDLE, MINUTE_MS, 10)
    expect_equal(ids(claimed), [batch.batch_id], "the work of the killed process")
