"""Processes that wait, that are ready, that are watched, and that are long over (contract 5, B-9, B-11, B-19)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect_equal, expect_json, expect_present, refused
from lash.testing.conformance.samples.processes import (
    DESCRIPTOR,
    MINUTE_MS,
    appends,
    registration,
    wake_type,
)
from lash.testing.conformance.trial import Trial
from lash.values import (
    AwaitSuccess,
    EffectScope,
    FunctionInput,
    ProcessEventAppendRequest,
    ProcessLease,
    ProcessProvenance,
    ProcessRegistration,
    ProcessScope,
    RecoveryDisposition,
    WaitDraft,
    WakeDeliveryState,
)

DATABASE = (Contract.DURABLE_WAITS,)


def _function(process_id: str, profile: str = "default", **fields: Any) -> ProcessRegistration:  # its members
    provenance = ProcessProvenance(host_profile_id=profile)
    return ProcessRegistration(id=process_id, input=FunctionInput(name="f"), provenance=provenance, **fields)


async def _started(database: Database, process_id: str, owner: str = "w1") -> ProcessLease:
    lease = await database.process_registry.claim_process_lease(process_id, owner, MINUTE_MS)
    await database.process_registry.start_process_attempt(lease)
    return lease


async def _ready(
    database: Database, profiles: Sequence[str] | None = None, after: str | None = None, limit: int = 10
) -> list[str]:
    found = await database.process_registry.list_ready_processes(
        host_profiles=profiles, after=after, limit=limit
    )
    return [record.id for record in found]


@case(Contract.DATABASE, uses=DATABASE, rule="B-23")
async def a_parked_process_comes_back_with_its_frame(trial: Trial[Database]) -> None:
    """It is nobody's, and not ready, until one of its waits is resolved; then it is, with what was stored."""
    database, registry = trial.subject, trial.subject.process_registry
    await registry.register_process(_function("p"))
    lease = await _started(database, "p")
    expect_equal(await registry.park_process(lease, ["a", "b"], frame=b"\x00f"), True, "parking")
    expect_equal(await _ready(database), [], "what is ready")
    expect_equal(await registry.parked_processes(["p", "q"]), {"p": ("a", "b")}, "what it waits for")
    with refused("process_lease_lost", "a renewal after parking"):
        await registry.renew_process_lease(lease, MINUTE_MS)
    await database.durable_waits.resolve_wait("b", 1)
    expect_equal(await _ready(database), ["p"], "what is ready")
    expect_equal(await registry.process_frame("p"), b"\x00f", "the frame")


@case(Contract.DATABASE, uses=DATABASE, rule="B-9")
async def a_parked_attempt_goes_on(trial: Trial[Database]) -> None:
    """The start after parking takes no number; another one does, and an owner-bound process has one only."""
    database, registry = trial.subject, trial.subject.process_registry
    await registry.register_process(_function("p", recovery=RecoveryDisposition.OWNER_BOUND))
    lease = await _started(database, "p")
    await registry.park_process(lease, ["a"])
    await database.durable_waits.resolve_wait("a", 1)
    lease = await _started(database, "p", owner="w2")
    record = expect_present(await registry.get_process("p"), "the process")
    expect_equal((record.attempts, record.last_sequence), (1, 1), "its attempts and events")
    await registry.complete_process_lease(lease.completion())
    lease = await registry.claim_process_lease("p", "w3", MINUTE_MS)
    with refused("process_owner_bound", "a second attempt"):
        await registry.start_process_attempt(lease)


@case(Contract.DATABASE, uses=DATABASE, rule="B-23")
async def no_process_is_parked_on_what_is_over(trial: Trial[Database]) -> None:
    """A resolved wait, a process that has ended, a request to end: its worker goes on."""
    database, registry = trial.subject, trial.subject.process_registry
    for process_id in ("p", "child"):
        await registry.register_process(_function(process_id))
    lease = await _started(database, "p")
    await database.durable_waits.resolve_wait("a", 1)
    expect_equal(await registry.park_process(lease, ["a"]), False, "parking on a resolved wait")
    await registry.complete_process("child", AwaitSuccess(value=1))
    expect_equal(await registry.park_process(lease, ["process:child"]), False, "parking on what is over")
    await registry.append_event("p", ProcessEventAppendRequest.cancel_requested("p"))
    expect_equal(await registry.park_process(lease, ["b"]), False, "parking when asked to stop")


@case(Contract.DATABASE, uses=DATABASE, rule="B-23")
async def the_end_of_a_process_wakes_who_waits_for_it(trial: Trial[Database]) -> None:
    """Its output is the value of the wait, which is kept only where somebody waits."""
    database, registry = trial.subject, trial.subject.process_registry
    for process_id in ("p", "child", "other"):
        await registry.register_process(_function(process_id))
    await registry.park_process(await _started(database, "p"), ["process:child"])
    await registry.complete_process("child", AwaitSuccess(value={"n": 1}))
    await registry.complete_process("other", AwaitSuccess(value=1))
    expect_equal(await _ready(database), ["p"], "what is ready")
    found = expect_present(await database.durable_waits.find_wait("process:child"), "the wait")
    expect_json(found.value, {"type": "success", "value": {"n": 1}}, "its value")
    expect_equal(await database.durable_waits.get_wait("process:other"), None, "a wait that nobody has")


@case(Contract.DATABASE, uses=DATABASE, rule="B-9")
async def a_request_to_end_wakes_a_parked_process(trial: Trial[Database]) -> None:
    """To cancel, and to abandon."""
    database, registry = trial.subject, trial.subject.process_registry
    for process_id in ("a", "b"):
        await registry.register_process(_function(process_id))
        await registry.park_process(await _started(database, process_id), ["k"])
    await registry.append_event("a", ProcessEventAppendRequest.cancel_requested("a"))
    expect_equal(await _ready(database), ["a"], "what is ready after a cancel")
    await registry.request_abandon("b", requested_by="me", reason="old")
    expect_equal(await _ready(database), ["a", "b"], "what is ready after a request to abandon")


@case(Contract.PROCESS_REGISTRY, rule="B-29", needs=Feature.CLOCK)
async def ready_processes_are_listed_by_profile_and_page(trial: Trial[Any]) -> None:
    """By id, of the asked profiles; not what is leased, over, or run elsewhere."""
    registry = trial.subject

    async def ready(profiles: Sequence[str] | None, after: str | None = None, limit: int = 10) -> list[str]:
        found = await registry.list_ready_processes(host_profiles=profiles, after=after, limit=limit)
        return [record.id for record in found]

    for process_id, profile in (("d", "x"), ("a", "y"), ("c", "x"), ("b", "z")):
        await registry.register_process(_function(process_id, profile))
    await registry.register_process(registration("e"))  # run elsewhere
    expect_equal(await ready(None), ["a", "b", "c", "d"], "all that are ready")
    expect_equal(await ready(["x", "y"]), ["a", "c", "d"], "those of two profiles")
    expect_equal(await ready(["x", "y"], "a", 1), ["c"], "a page of them")
    await registry.claim_process_lease("a", "w1", MINUTE_MS)
    await registry.complete_process("b", AwaitSuccess(value=1))
    expect_equal(await ready(None), ["c", "d"], "what is ready beside a lease and an end")
    trial.clock.advance(MINUTE_MS)
    expect_equal(await ready(None), ["a", "c", "d"], "what is ready once the lease is over")


@case(Contract.PROCESS_REGISTRY, rule="B-11")
async def watching_a_process_gives_no_right(trial: Trial[Any]) -> None:
    """An edge is no grant; the last descriptor wins; it can be taken back."""
    registry, scope = trial.subject, ProcessScope("watcher")
    for process_id in ("b", "a"):
        await registry.register_process(registration(process_id))
        await registry.observe_process(scope, process_id, DESCRIPTOR)
    await registry.observe_process(scope, "a", DESCRIPTOR.replace(label="other"))
    watched = [(descriptor.label, record.id) for descriptor, record in await registry.list_observed(scope)]
    expect_equal(watched, [("other", "a"), (DESCRIPTOR.label, "b")], "what is watched")
    expect_equal(await registry.has_handle_grant(scope, "a"), False, "a right by watching")
    await registry.unobserve_process(scope, "a")
    left = [record.id for _, record in await registry.list_observed(scope)]
    expect_equal(left, ["b"], "what is watched after one was left")


@case(Contract.PROCESS_REGISTRY, rule="B-19", needs=Feature.CLOCK)
async def pruned_processes_are_known_to_be_gone(trial: Trial[Any]) -> None:
    """What ended long ago, and was read by who follows the changes, goes; its id stays taken."""
    registry, now_ms = trial.subject, trial.clock.now_ms()
    for process_id in ("a", "b", "running"):
        await registry.register_process(registration(process_id))
    await registry.complete_process("a", AwaitSuccess(value=1))
    _, cursor = await registry.processes_changed_since(0)
    await registry.complete_process("b", AwaitSuccess(value=1))
    expect_equal(
        await registry.prune_processes(finished_before_ms=now_ms, watermark=None), 0, "what is old enough"
    )
    trial.clock.advance(10)
    gone = await registry.prune_processes(finished_before_ms=now_ms + 10, watermark=cursor)
    expect_equal(gone, 1, "what is old enough and read")
    expect_equal(await registry.get_process("a"), None, "the pruned process")
    expect_present(await registry.get_process("b"), "the one that was not read")
    with refused("process_no_longer_retained", "waiting for a pruned process"):
        await registry.await_process("a")
    with refused("process_no_longer_retained", "registering a pruned process"):
        await registry.register_process(registration("a"))


@case(Contract.DATABASE, uses=(Contract.SESSION_CATALOG,), rule="B-8")
async def discarded_wakes_are_reported_and_sent_again(trial: Trial[Database]) -> None:
    """To a session that is there; nothing else is sent again."""
    database, registry = trial.subject, trial.subject.process_registry
    for session_id in ("gone", "heir"):
        await database.session_catalog.admit_session(session_id, agent="helper")
    await registry.register_process(registration("p", wake_type("wake")))
    await database.session_catalog.delete_session("gone")
    await registry.append_event("p", appends("wake", {"wake_input": "red"}, wakes=ProcessScope("gone")))
    lost = await registry.list_discarded_wakes()
    expect_equal([one.delivery.input for one in lost], ["red"], "the report")
    with refused("session_deleted", "sending it to the same session"):
        await registry.redrive_wake("p", 1)
    sent = await registry.redrive_wake("p", 1, target=ProcessScope("heir"))
    expect_equal(sent.state, WakeDeliveryState.ENQUEUED, "the wake that was sent again")
    queued = await database.runtime_persistence("heir").list_queued_work("heir")
    expect_equal([batch.batch_id for batch in queued], [sent.batch_id], "the work of the other session")
    expect_equal(await registry.list_discarded_wakes(), [], "the report after that")
    with refused("process_wake_not_discarded", "sending it a third time"):
        await registry.redrive_wake("p", 1)


@case(Contract.DATABASE, uses=DATABASE, rule="B-16")
async def the_waits_of_a_process_go_with_its_end(trial: Trial[Database]) -> None:
    """And its frame; waits of others stay."""
    database, registry = trial.subject, trial.subject.process_registry
    await registry.register_process(_function("p"))
    lease = await _started(database, "p")
    await database.durable_waits.open_wait(WaitDraft(key="own", scope_key=EffectScope.process("p").key))
    await database.durable_waits.open_wait(WaitDraft(key="other", scope_key=EffectScope.process("q").key))
    await registry.save_process_frame(lease, b"frame")
    await registry.complete_process_with_lease(lease, AwaitSuccess(value=1))
    expect_equal([one.key for one in await database.durable_waits.list_waits()], ["other"], "the waits left")
    expect_equal(await registry.process_frame("p"), None, "its frame")
