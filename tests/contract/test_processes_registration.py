"""Registering processes (contract 1.8, 2.C.1, 2.C.2, 2.C.16; R-11, rulings 13, 14, 36)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash.contracts import Database, ProcessRegistry
from lash.values import (
    CausedByTurn,
    DurabilityTier,
    ExternalInput,
    LashlangProcessInput,
    PreparedToolCall,
    ProcessEventType,
    ProcessExternalRef,
    ProcessHandleDescriptor,
    ProcessProvenance,
    ProcessRegistration,
    ProcessScope,
    ProcessTerminalState,
    RecoveryDisposition,
    ToolCallInput,
)

from .conftest import Backend
from .process_samples import (
    ROOT,
    event,
    plain_type,
    registration,
    success,
    terminal_type,
)
from .samples import refused
from .settable import START_MS, SettableClock

CORE_NAMES = ["process.cancel_requested", "process.completed", "process.failed", "process.cancelled"]


@pytest.fixture
def registry(db: Database) -> ProcessRegistry:
    return db.process_registry


async def test_registry_has_the_tier_of_its_database(backend: Backend, registry: ProcessRegistry) -> None:
    expected = DurabilityTier.INLINE if backend.kind == "memory" else DurabilityTier.DURABLE
    assert registry.durability_tier is expected


async def test_new_process_runs_and_has_no_grants(registry: ProcessRegistry) -> None:
    record = await registry.register_process(registration("p1"))
    assert (record.id, record.created_at_ms, record.updated_at_ms) == ("p1", START_MS, START_MS)
    assert not record.is_terminal
    assert record.terminal_state is None
    assert [one.name for one in record.event_types] == CORE_NAMES
    assert record.provenance == ProcessProvenance(owner_scope=ROOT, host_profile_id="default")
    assert await registry.get_process("p1") == record
    assert await registry.handle_grants_for_process("p1") == []
    assert await registry.list_handle_grants(ROOT) == []


async def test_same_registration_returns_the_process_as_it_is_now(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    first = await registry.register_process(registration("p1"))
    clock.advance(5)
    ref = ProcessExternalRef(backend="elsewhere", id="7")
    await registry.set_external_ref("p1", ref)
    await registry.complete_process("p1", success())
    again = await registry.register_process(registration("p1"))
    assert again.registration_hash == first.registration_hash
    assert (again.terminal_state, again.external_ref) == (ProcessTerminalState.COMPLETED, ref)
    assert (again.created_at_ms, again.updated_at_ms) == (START_MS, START_MS + 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"input": ExternalInput(metadata=1)},
        {"input": ExternalInput(metadata=1.0)},
        {"provenance": ProcessProvenance(host_profile_id="other")},
        {"provenance": ProcessProvenance(owner_scope=ProcessScope("root", "f"))},
        {"provenance": ProcessProvenance(caused_by=CausedByTurn(session_id="s", turn_id="t"))},
        {"recovery": RecoveryDisposition.RERUNNABLE},
        {"max_attempts": 3},
        {"wake_target": ROOT},
        {"environment_ref": "env:1"},
        {"event_types": (plain_type(),)},
        {"event_types": (plain_type("process.completed"),)},
    ],
)
async def test_another_registration_under_a_taken_id_is_refused(
    registry: ProcessRegistry, changes: dict[str, Any]
) -> None:
    first = await registry.register_process(registration("p1"))
    with refused("process_registration_conflict") as problem:
        await registry.register_process(registration("p1").replace(**changes))
    assert problem.value.stored_hash == first.registration_hash
    assert problem.value.hash != first.registration_hash
    assert await registry.get_process("p1") == first


async def test_order_of_event_types_and_said_defaults_are_the_same_registration(
    registry: ProcessRegistry,
) -> None:
    one, two = plain_type("one"), plain_type("two")
    first = await registry.register_process(registration("p1", one, two))
    await registry.register_process(registration("p1", two, one))
    bare = ProcessRegistration(id="p1", input=ExternalInput(), event_types=(two, one))
    assert (await registry.register_process(bare)).registration_hash == first.registration_hash
    spoken = registration("p1", one, two, recovery=RecoveryDisposition.EXTERNALLY_OWNED)
    assert (await registry.register_process(spoken)).registration_hash == first.registration_hash


async def test_grants_and_events_do_not_enter_the_identity(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type()))
    await registry.grant_handle(ROOT, "p1", ProcessHandleDescriptor(kind="k"))
    await registry.append_event("p1", event("line", 1))
    await registry.register_process(registration("p1", plain_type()))


def _tool(effect: Any) -> ToolCallInput:
    return ToolCallInput(PreparedToolCall(call_id="c", tool_name="t", args={}, effect=effect))


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (ExternalInput(), RecoveryDisposition.EXTERNALLY_OWNED),
        (_tool("at_most_once"), RecoveryDisposition.OWNER_BOUND),
        (_tool("idempotent"), RecoveryDisposition.RERUNNABLE),
        (_tool("read_only"), RecoveryDisposition.RERUNNABLE),
        (LashlangProcessInput("m", {"component": "c", "pos": 1}, "s", "n"), RecoveryDisposition.RERUNNABLE),
    ],
)
async def test_recovery_follows_from_the_input_unless_it_is_said(
    registry: ProcessRegistry, work: Any, expected: RecoveryDisposition
) -> None:
    record = await registry.register_process(ProcessRegistration(id="p1", input=work))
    assert record.recovery is expected
    said = ProcessRegistration(id="p2", input=work, recovery=RecoveryDisposition.OWNER_BOUND, max_attempts=2)
    assert (await registry.register_process(said)).recovery is RecoveryDisposition.OWNER_BOUND


async def test_extra_type_with_a_core_name_replaces_it(registry: ProcessRegistry) -> None:
    mine = terminal_type("process.completed", ProcessTerminalState.COMPLETED)
    record = await registry.register_process(registration("p1", mine))
    assert [one.name for one in record.event_types] == CORE_NAMES
    assert record.event_types[1] == mine


@pytest.mark.parametrize(
    "bad",
    [
        registration(""),
        registration(" \t"),
        registration("p", plain_type("")),
        registration("p", plain_type(" ")),
        registration("p", plain_type("a"), plain_type("a")),
        registration("p", plain_type("process.failed"), plain_type("process.failed", {"type": "object"})),
        registration("p", terminal_type("end", ProcessTerminalState.FAILED)),
        registration("p", terminal_type("end", ProcessTerminalState.CANCELLED)),
        registration("p", plain_type("process.external_ref_set")),
        registration("p", plain_type("a", {"type": "no such type"})),
        registration("p", plain_type("a", {"$ref": "file:///etc/hostname"})),
        registration("p", max_attempts=0),
        registration("p", wake_target=ProcessScope("")),
        registration("p", provenance=ProcessProvenance(owner_scope=ProcessScope(""))),
        registration("p", provenance=ProcessProvenance(host_profile_id=" ")),
    ],
)
async def test_invalid_registration_leaves_no_trace(
    registry: ProcessRegistry, bad: ProcessRegistration
) -> None:
    with refused("process_registration_invalid"):
        await registry.register_process(bad)
    assert await registry.get_process(bad.id) is None
    assert await registry.list_non_terminal() == []


async def test_registration_that_is_no_json_is_refused(registry: ProcessRegistry) -> None:
    for metadata in (float("nan"), "\ud800", {1: 2}, 2**64):
        with refused("json_not_representable"):
            await registry.register_process(
                ProcessRegistration(id="p", input=ExternalInput(metadata=metadata))
            )
    assert await registry.get_process("p") is None


async def test_concurrent_registrations_make_one_process(registry: ProcessRegistry) -> None:
    records = await asyncio.gather(*(registry.register_process(registration("p1")) for _ in range(8)))
    assert {record.registration_hash for record in records} == {records[0].registration_hash}
    assert len(await registry.list_non_terminal()) == 1


async def test_running_processes_are_listed_by_id(registry: ProcessRegistry) -> None:
    for process_id in ("p2", "p10", "\U0001f600", "p1", "\uffee"):
        await registry.register_process(registration(process_id))
    await registry.complete_process("p2", success())
    running = [record.id for record in await registry.list_non_terminal()]
    assert running == ["p1", "p10", "\uffee", "\U0001f600"]


async def test_external_ref_is_overwritten_and_noted_in_the_log(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    ref = ProcessExternalRef(backend="worker", id="job-1", metadata={"queue": "critical"})
    with refused("process_unknown"):
        await registry.set_external_ref("p1", ref)
    await registry.register_process(registration("p1"))
    await registry.complete_process("p1", success())
    clock.advance(3)
    updated = await registry.set_external_ref("p1", ref)
    assert (updated.external_ref, updated.updated_at_ms) == (ref, START_MS + 3)
    assert updated.terminal_state is ProcessTerminalState.COMPLETED
    second = ref.replace(id="job-2")
    assert (await registry.set_external_ref("p1", second)).external_ref == second
    assert (await registry.set_external_ref("p1", ref)).external_ref == ref
    log = await registry.events_after("p1", 0)
    assert [one.event_type for one in log[1:]] == ["process.external_ref_set"] * 3


async def test_unknown_process_is_none_and_no_other_operation_takes_it(registry: ProcessRegistry) -> None:
    assert await registry.get_process("nowhere") is None
    assert await registry.has_handle_grant(ROOT, "nowhere") is False
    await registry.revoke_handle(ROOT, "nowhere")
    for call in (
        lambda: registry.grant_handle(ROOT, "nowhere", ProcessHandleDescriptor()),
        lambda: registry.handle_grants_for_process("nowhere"),
        lambda: registry.append_event("nowhere", event()),
        lambda: registry.events_after("nowhere", 0),
        lambda: registry.wake_events_after("nowhere", 0),
        lambda: registry.wait_event_after("nowhere", "line", 0),
        lambda: registry.ack_wake("nowhere", 1),
        lambda: registry.list_wake_deliveries("nowhere"),
        lambda: registry.complete_process("nowhere", success()),
        lambda: registry.await_process("nowhere"),
        lambda: registry.claim_process_lease("nowhere", "a", 10),
        lambda: registry.request_abandon("nowhere", requested_by="me", reason="because"),
        lambda: registry.abandon_process("nowhere", written_by="me", evidence=None),
    ):
        with refused("process_unknown"):
            await call()


async def test_process_is_seen_through_another_handle(backend: Backend) -> None:
    other = (await backend.another_handle()).process_registry
    record = await backend.db.process_registry.register_process(registration("p1", plain_type()))
    assert await other.get_process("p1") == record
    await other.append_event("p1", event("line", 1))
    assert [one.payload for one in await backend.db.process_registry.events_after("p1", 0)] == [1]


async def test_change_feed_returns_each_process_at_its_last_change(registry: ProcessRegistry) -> None:
    for process_id in ("a", "b", "c"):
        await registry.register_process(registration(process_id, plain_type()))
    first, cursor = await registry.processes_changed_since(0, limit=2)
    assert [record.id for record in first] == ["a", "b"]
    await registry.append_event("a", event("line", 1))
    rest, cursor = await registry.processes_changed_since(cursor)
    assert [(record.id, record.last_sequence) for record in rest] == [("c", 0), ("a", 1)]
    assert await registry.processes_changed_since(cursor) == ([], cursor)
    await registry.complete_process("b", success())
    assert [one.id for one in (await registry.processes_changed_since(cursor))[0]] == ["b"]


def test_event_type_without_a_schema_accepts_everything() -> None:
    assert ProcessEventType(name="a").payload_schema == {}
