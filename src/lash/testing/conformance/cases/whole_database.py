"""What the contracts of one database do for each other in one transaction (contract 5, B-8)."""

from __future__ import annotations

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import (
    expect,
    expect_equal,
    expect_kind,
    expect_only,
    expect_present,
    refused,
    wait_ms,
)
from lash.testing.conformance.samples.processes import DESCRIPTOR, appends, registration, wake_type, woken
from lash.testing.conformance.samples.queue import claim, ids
from lash.testing.conformance.samples.sessions import append, commit_of, next_commit, node
from lash.testing.conformance.samples.turns import admitted, claimed, settling
from lash.testing.conformance.trial import Trial
from lash.values import DedupeConst, ProcessScope, ProcessWakePayload, ProcessWakeSpec, SelectPointer

ROOT = ProcessScope("root")
WAKES = (Contract.PROCESS_REGISTRY, Contract.RUNTIME_PERSISTENCE)
COALESCING = ProcessWakeSpec(
    input=SelectPointer(pointer="/wake_input"), dedupe_key=DedupeConst(value="one at a time")
)


async def _queued(database: Database, session_id: str = "root") -> list[str]:
    return ids(await database.runtime_persistence(session_id).list_queued_work(session_id))


@case(Contract.DATABASE, rule="B-8", uses=WAKES)
async def an_event_commits_with_the_work_it_wakes(trial: Trial[Database]) -> None:
    """A wake is in its target's queue as soon as its event is in the log, and only then."""
    database, registry = trial.subject, trial.subject.process_registry
    await registry.register_process(registration("p1", wake_type("wake")))
    request = appends("wake", {"wake_input": "look"}, key="k", wakes=ROOT)
    delivery = await woken(registry, "p1", request)
    queued = await database.runtime_persistence("root").list_queued_work("root")
    batch = expect_only(queued, "the queue")
    payload = expect_kind(batch.payloads[0], ProcessWakePayload, "what the batch holds")
    expect_equal(payload.wake, delivery, "the wake in the queue")
    await woken(registry, "p1", request)
    expect_equal(await _queued(database), [batch.batch_id], "the queue after a replay")
    with refused("process_event_replay_conflict", "another payload under the key"):
        await registry.append_event("p1", appends("wake", {"wake_input": "no"}, key="k", wakes=ROOT))
    await registry.append_event("p1", appends("wake", {"quiet": True}))
    expect_equal(await _queued(database), [batch.batch_id], "the queue after what wakes nobody")


@case(Contract.DATABASE, rule="R-52", uses=WAKES)
async def waiting_wakes_of_one_dedupe_key_coalesce(trial: Trial[Database]) -> None:
    """While one waits the next joins it; once it is taken up, the next is work of its own."""
    database, registry = trial.subject, trial.subject.process_registry
    store = database.runtime_persistence("root")
    await registry.register_process(registration("p1", wake_type("wake", COALESCING)))
    for text in ("one", "two"):
        await woken(registry, "p1", appends("wake", {"wake_input": text}, wakes=ROOT))
    first = await _queued(database)
    expect_equal(len(first), 1, "the wakes that wait")
    held = await claim(store)
    await woken(registry, "p1", appends("wake", {"wake_input": "three"}, wakes=ROOT))
    expect_equal(len(await _queued(database)), 2, "a wake that comes while one is worked on")
    await store.commit_runtime_state(next_commit(0).completing_queue_claim(held.completion()))
    left = await _queued(database)
    expect(left and left != first, "the later wake is not lost with the commit")


@case(Contract.DATABASE, rule="B-5", uses=(*WAKES, Contract.SESSION_CATALOG))
async def wakes_of_deleted_sessions_are_not_enqueued(trial: Trial[Database]) -> None:
    """The event is appended all the same; its wake finds nobody."""
    database, registry = trial.subject, trial.subject.process_registry
    await admitted(database)
    await registry.register_process(registration("p1", wake_type("wake")))
    await registry.grant_handle(ROOT, "p1", DESCRIPTOR)
    await database.session_catalog.delete_session("root")
    await woken(registry, "p1", appends("wake", {"wake_input": "look"}, wakes=ROOT))
    expect_equal(await _queued(database), [], "the queue of a deleted session")
    expect_equal(len(await registry.wake_events_after("p1", 0)), 1, "the wake in the log")


@case(Contract.DATABASE, rule="B-28", uses=(*WAKES, Contract.SESSION_CATALOG, Contract.TURN_INGRESS))
async def a_wake_is_a_turn_of_its_session(trial: Trial[Database]) -> None:
    """A driver claims it like any other work, and its commit settles it."""
    database, registry = trial.subject, trial.subject.process_registry
    await admitted(database)
    await registry.register_process(registration("p1", wake_type("wake")))
    await woken(registry, "p1", appends("wake", {"wake_input": "look"}, wakes=ROOT))
    driven = await claimed(database)
    expect_kind(driven.work.batches[0].payloads[0], ProcessWakePayload, "what the turn is about")
    await database.runtime_persistence("root").commit_runtime_state(settling(driven))
    expect_equal(await _queued(database), [], "the queue after the turn")


@case(Contract.DATABASE, uses=Contract.RUNTIME_PERSISTENCE)
async def sessions_of_one_database_keep_apart(trial: Trial[Database]) -> None:
    """Two sessions may use the same node ids and turn ids, and neither sees the other's."""
    database = trial.subject
    for session_id in ("one", "two"):
        store = database.runtime_persistence(session_id)
        commit = commit_of(session_id).replace(graph=append(node("n1"), node(f"{session_id}-2", "n1")))
        await store.commit_runtime_state(commit)
    for session_id, other in (("one", "two"), ("two", "one")):
        store = database.runtime_persistence(session_id)
        expect_present(await store.load_node(f"{session_id}-2"), "a session's own node")
        expect_equal(await store.load_node(f"{other}-2"), None, "the other session's node")
        await store.tombstone_nodes(["n1"] if session_id == "one" else [])
    expect_present(await database.runtime_persistence("two").load_node("n1"), "a node of the same id")


@case(Contract.DATABASE, rule="R-6", needs=Feature.SECOND_HANDLE, uses=WAKES)
async def drivers_are_told_of_work_through_the_other_handle(trial: Trial[Database]) -> None:
    """Who listens for work on one handle hears of what the other one enqueues."""
    subscription = trial.second.subscribe(["queue"])
    try:
        await trial.subject.process_registry.register_process(registration("p1", wake_type("wake")))
        await woken(trial.subject.process_registry, "p1", appends("wake", {"wake_input": "look"}, wakes=ROOT))
        expect_equal(await subscription.wait(timeout_ms=wait_ms()), True, "the notification")
        expect_equal(len(await _queued(trial.second)), 1, "the work, once notified")
    finally:
        subscription.close()
