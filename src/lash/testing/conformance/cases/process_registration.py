"""Registering processes and reading them (contracts 2.C.1, 2.C.2 and 2.C.16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lash.contracts import ProcessRegistry
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_present, refused
from lash.testing.conformance.samples.processes import (
    DESCRIPTOR,
    appends,
    plain_type,
    process,
    registration,
    success,
    wake_type,
)
from lash.testing.conformance.trial import Trial
from lash.values import (
    ExternalInput,
    ProcessExternalRef,
    ProcessProvenance,
    ProcessScope,
)


@case(Contract.PROCESS_REGISTRY, seed=True)
async def process_registry_reports_declared_durability(trial: Trial[ProcessRegistry]) -> None:
    """The registry reports the tier that its backend declares."""
    expect_equal(trial.subject.durability_tier, trial.declared.tier, "the durability tier")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def registration_is_idempotent_and_hash_conflicts_fail(trial: Trial[ProcessRegistry]) -> None:
    """The same registration twice is one process; another one under the id is refused."""
    first = await trial.subject.register_process(registration("proc-idempotent"))
    second = await trial.subject.register_process(registration("proc-idempotent"))
    expect_equal(second.registration_hash, first.registration_hash, "the hash of the same registration")
    with refused(None, "another registration under the same id"):
        await trial.subject.register_process(registration("proc-idempotent", wake_type("producer.wake")))


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def registration_conflicts_are_coded_and_change_nothing(trial: Trial[ProcessRegistry]) -> None:
    """Other event types, input or provenance under one id conflict, and the record stays as it was."""
    first = await trial.subject.register_process(registration("p1"))
    for other in (
        registration("p1", plain_type("note")),
        registration("p1").replace(input=ExternalInput(metadata=1)),
        registration("p1").replace(
            provenance=ProcessProvenance(owner_scope=ProcessScope("elsewhere"), host_profile_id="default")
        ),
    ):
        with refused("process_registration_conflict", "another registration under the id"):
            await trial.subject.register_process(other)
    expect_equal(await process(trial.subject, "p1"), first, "the record after conflicts")


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def invalid_registrations_are_refused(trial: Trial[ProcessRegistry]) -> None:
    """Blank ids, owners and profiles, and event types of one name, make no process."""
    bad = {
        "a blank id": registration(" "),
        "a blank owner": registration("p1").replace(
            provenance=ProcessProvenance(owner_scope=ProcessScope(""))
        ),
        "a blank profile": registration("p1").replace(provenance=ProcessProvenance(host_profile_id=" ")),
        "two types of one name": registration("p1", plain_type("x"), plain_type("x", {"type": "string"})),
        "a blank type": registration("p1", plain_type(" ")),
    }
    for name, invalid in bad.items():
        with refused("process_registration_invalid", f"a registration with {name}"):
            await trial.subject.register_process(invalid)
    expect_equal(await trial.subject.list_non_terminal(), [], "the processes after refusals")


@case(Contract.PROCESS_REGISTRY, rule="R-11")
async def the_order_of_event_types_does_not_count(trial: Trial[ProcessRegistry]) -> None:
    """The same types in another order are the same registration."""
    a, b = plain_type("a"), plain_type("b", {"type": "string"})
    first = await trial.subject.register_process(registration("p1", a, b))
    second = await trial.subject.register_process(registration("p1", b, a))
    expect_equal(second.registration_hash, first.registration_hash, "the hash")


@case(Contract.PROCESS_REGISTRY, rule="R-1")
async def registrations_of_different_numbers_differ(trial: Trial[ProcessRegistry]) -> None:
    """1, 1.0 and true in an input are three registrations; what is no JSON is refused."""
    await trial.subject.register_process(registration("p1").replace(input=ExternalInput(metadata=1)))
    for other in (1.0, True):
        with refused("process_registration_conflict", f"{other!r} in place of 1"):
            await trial.subject.register_process(
                registration("p1").replace(input=ExternalInput(metadata=other))
            )
    with refused("json_not_representable", "an input that holds NaN"):
        await trial.subject.register_process(
            registration("p2").replace(input=ExternalInput(metadata=float("nan")))
        )
    expect_equal(await trial.subject.get_process("p2"), None, "the process that was refused")


@case(Contract.PROCESS_REGISTRY)
async def a_repeat_returns_the_process_as_it_is_now(trial: Trial[ProcessRegistry]) -> None:
    """Registering again after the end returns the ended record, with its external ref."""
    await trial.subject.register_process(registration("p1"))
    ref = ProcessExternalRef(backend="worker", id="job-1")
    await trial.subject.set_external_ref("p1", ref)
    await trial.subject.complete_process("p1", success(1))
    again = await trial.subject.register_process(registration("p1"))
    expect(again.is_terminal, "the record is as it is now")
    expect_equal(again.external_ref, ref, "the external ref")


@case(Contract.PROCESS_REGISTRY)
async def of_concurrent_registrations_one_creates(trial: Trial[ProcessRegistry]) -> None:
    """Equal registrations at the same time are one process."""
    records = await asyncio.gather(*(trial.subject.register_process(registration("p1")) for _ in range(8)))
    expect_equal(len({record.registration_hash for record in records}), 1, "the hashes")
    listed = await trial.subject.list_non_terminal()
    expect_equal([record.id for record in listed], ["p1"], "the processes")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def external_refs_and_handle_grant_membership_round_trip(trial: Trial[ProcessRegistry]) -> None:
    """A ref persists on its process; a grant is there between grant and revoke, and not before or after."""
    registry, owner = trial.subject, ProcessScope("grant-owner")
    ref = ProcessExternalRef(backend="worker", id="job-123", metadata={"queue": "critical"})
    with refused(None, "a ref of an unknown process"):
        await registry.set_external_ref("missing-process", ref)
    await registry.register_process(registration("proc-external-ref"))
    updated = await registry.set_external_ref("proc-external-ref", ref)
    expect_equal(updated.external_ref, ref, "the ref of the returned record")
    expect_equal((await process(registry, "proc-external-ref")).external_ref, ref, "the ref that is stored")
    expect_equal(await registry.has_handle_grant(owner, "proc-external-ref"), False, "before the grant")
    await registry.grant_handle(owner, "proc-external-ref", DESCRIPTOR)
    expect_equal(await registry.has_handle_grant(owner, "proc-external-ref"), True, "after the grant")
    await registry.revoke_handle(owner, "proc-external-ref")
    expect_equal(await registry.has_handle_grant(owner, "proc-external-ref"), False, "after the revoke")
    expect_equal(await registry.list_handle_grants(owner), [], "the list after the revoke")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def list_non_terminal_excludes_terminal_processes(trial: Trial[ProcessRegistry]) -> None:
    """Only what is not over is listed, by id."""
    await trial.subject.register_process(registration("proc-live"))
    await trial.subject.register_process(registration("proc-done"))
    await trial.subject.complete_process("proc-done", success())
    ids = [record.id for record in await trial.subject.list_non_terminal()]
    expect_equal(ids, ["proc-live"], "the processes that are not over")


@case(Contract.PROCESS_REGISTRY)
async def running_processes_are_listed_by_code_point(trial: Trial[ProcessRegistry]) -> None:
    """Ids are opaque: upper case before lower, and beyond the basic plane last."""
    for process_id in ("b", "\U0001f680", "B", "\uffee", "a"):
        await trial.subject.register_process(registration(process_id))
    ids = [record.id for record in await trial.subject.list_non_terminal()]
    expect_equal(ids, ["B", "a", "b", "\uffee", "\U0001f680"], "the order of ids")


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def unknown_processes_are_told_apart(trial: Trial[ProcessRegistry]) -> None:
    """Every operation but get, revoke and has-grant says that there is no such process."""
    registry, scope = trial.subject, ProcessScope("s1")
    expect_equal(await registry.get_process("nowhere"), None, "a process that is not there")
    expect_equal(await registry.has_handle_grant(scope, "nowhere"), False, "a grant that is not there")
    await registry.revoke_handle(scope, "nowhere")
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "an append": lambda: registry.append_event("nowhere", appends("x")),
        "a read of events": lambda: registry.events_after("nowhere", 0),
        "a read of wakes": lambda: registry.wake_events_after("nowhere", 0),
        "a wait for an event": lambda: registry.wait_event_after("nowhere", "x", 0),
        "a wait for the end": lambda: registry.await_process("nowhere"),
        "a completion": lambda: registry.complete_process("nowhere", success()),
        "a grant": lambda: registry.grant_handle(scope, "nowhere", DESCRIPTOR),
        "a list of grants": lambda: registry.handle_grants_for_process("nowhere"),
        "a lease": lambda: registry.claim_process_lease("nowhere", "o", 1),
        "an external ref": lambda: registry.set_external_ref(
            "nowhere", ProcessExternalRef(backend="b", id="1")
        ),
    }
    for name, attempt in attempts.items():
        with refused("process_unknown", f"{name} of an unknown process"):
            await attempt()


@case(Contract.PROCESS_REGISTRY, rule="R-3", needs=Feature.CLOCK)
async def records_carry_their_times(trial: Trial[ProcessRegistry]) -> None:
    """Created once; updated by a ref and by every event that is new, not by a replay."""
    registry, born_at_ms = trial.subject, trial.clock.now_ms()
    record = await registry.register_process(registration("p1", plain_type("note")))
    expect_equal((record.created_at_ms, record.updated_at_ms), (born_at_ms, born_at_ms), "at first")
    at_ms = trial.clock.advance(5)
    event = (await registry.append_event("p1", appends("note", 1, key="k"))).event
    expect_equal(event.occurred_at_ms, at_ms, "when the event occurred")
    expect_equal((await process(registry, "p1")).updated_at_ms, at_ms, "after an event")
    trial.clock.advance(5)
    await registry.append_event("p1", appends("note", 1, key="k"))
    expect_equal((await process(registry, "p1")).updated_at_ms, at_ms, "after its replay")
    later_ms = trial.clock.now_ms()
    await registry.set_external_ref("p1", ProcessExternalRef(backend="b", id="1"))
    after = await process(registry, "p1")
    expect_equal((after.created_at_ms, after.updated_at_ms), (born_at_ms, later_ms), "after a ref")


@case(Contract.PROCESS_REGISTRY, seed=True, rule="R-6", needs=Feature.SECOND_HANDLE)
async def process_registry_survives_reopen(trial: Trial[ProcessRegistry]) -> None:
    """Record, event and grant are there for the second handle, and a keyed append replays through it."""
    scope, other = ProcessScope("reopen-session"), trial.second
    await trial.subject.register_process(registration("proc-reopen", wake_type("producer.reopen_wake")))
    await trial.subject.grant_handle(scope, "proc-reopen", DESCRIPTOR)
    request = appends(
        "producer.reopen_wake", {"wake_input": "survived reopen"}, key="producer:reopen", wakes=scope
    )
    appended = await trial.subject.append_event("proc-reopen", request)
    record = expect_present(await other.get_process("proc-reopen"), "the process after reopen")
    expect_equal(record.id, "proc-reopen", "its id")
    events = await other.events_after("proc-reopen", 0)
    expect_equal([event.sequence for event in events], [appended.event.sequence], "its events")
    expect_equal(len(await other.list_handle_grants(scope)), 1, "its grants")
    replayed = await other.append_event("proc-reopen", request)
    expect_equal(replayed.event.sequence, appended.event.sequence, "the replay's sequence")
