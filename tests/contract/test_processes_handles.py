"""Who may see a process (contract 2.C.3 to 2.C.7; R-10, R-21; ruling 32)."""

from __future__ import annotations

import pytest

from lash.contracts import Database, ProcessRegistry
from lash.values import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessScope,
    ProcessSessionDeleteReport,
    ProcessStartGrant,
)

from .conftest import Backend
from .process_samples import ROOT, event, registration, success, wake_type
from .samples import refused

A, B, C = ProcessScope("s1"), ProcessScope("s2"), ProcessScope("s3")
FRAME = ProcessScope("s1", "f")


def named(label: str) -> ProcessHandleDescriptor:
    return ProcessHandleDescriptor(kind="test", label=label)


@pytest.fixture
async def registry(db: Database) -> ProcessRegistry:
    for process_id in ("p1", "p2", "p10"):
        await db.process_registry.register_process(registration(process_id))
    return db.process_registry


async def _seen(registry: ProcessRegistry, scope: ProcessScope) -> list[tuple[str, str | None]]:
    return [
        (grant.process_id, grant.descriptor.label) for grant, _ in await registry.list_handle_grants(scope)
    ]


async def test_grant_is_there_until_it_is_revoked(registry: ProcessRegistry) -> None:
    assert not await registry.has_handle_grant(A, "p1")
    grant = await registry.grant_handle(A, "p1", named("one"))
    assert grant == ProcessHandleGrant(
        session_id="s1", scope_id="session:s1", process_id="p1", descriptor=named("one")
    )
    assert await registry.has_handle_grant(A, "p1")
    ((listed, record),) = await registry.list_handle_grants(A)
    assert (listed, record) == (grant, await registry.get_process("p1"))
    await registry.revoke_handle(A, "p1")
    await registry.revoke_handle(A, "p1")
    assert not await registry.has_handle_grant(A, "p1")
    assert await registry.list_handle_grants(A) == []
    assert await registry.events_after("p1", 0) == []


async def test_last_descriptor_wins(registry: ProcessRegistry) -> None:
    await registry.grant_handle(A, "p1", named("one"))
    await registry.grant_handle(A, "p1", named("two"))
    assert await _seen(registry, A) == [("p1", "two")]


async def test_frames_and_their_session_see_different_things(registry: ProcessRegistry) -> None:
    await registry.grant_handle(A, "p1", named("session"))
    await registry.grant_handle(FRAME, "p2", named("frame"))
    assert await _seen(registry, A) == [("p1", "session")]
    assert await _seen(registry, FRAME) == [("p2", "frame")]
    assert not await registry.has_handle_grant(A, "p2")
    # An empty frame is no frame; text that looks like a frame's is a session's own name.
    assert await registry.has_handle_grant(ProcessScope("s1", ""), "p1")
    assert not await registry.has_handle_grant(ProcessScope("s1/frame:f"), "p2")
    await registry.grant_handle(ProcessScope("s1/frame:f"), "p1", named("odd"))
    assert await _seen(registry, FRAME) == [("p2", "frame")]


async def test_grants_are_listed_by_process_id_and_live_ones_apart(registry: ProcessRegistry) -> None:
    for process_id in ("p2", "p10", "p1"):
        await registry.grant_handle(A, process_id, named(process_id))
    await registry.complete_process("p10", success())
    assert [process_id for process_id, _ in await _seen(registry, A)] == ["p1", "p10", "p2"]
    live = await registry.list_live_handle_grants(A)
    assert [(grant.process_id, record.is_terminal) for grant, record in live] == [
        ("p1", False),
        ("p2", False),
    ]


async def test_finished_process_may_be_granted(registry: ProcessRegistry) -> None:
    await registry.complete_process("p1", success())
    await registry.grant_handle(A, "p1", named("late"))
    assert await _seen(registry, A) == [("p1", "late")]


async def test_holders_are_listed_by_session_then_scope(registry: ProcessRegistry) -> None:
    for scope in (ProcessScope("s2", "b"), A, ProcessScope("s10"), B, ProcessScope("s2", "a"), FRAME):
        await registry.grant_handle(scope, "p1", named(scope.id))
    holders = [grant.scope_id for grant in await registry.handle_grants_for_process("p1")]
    assert holders == [
        "session:s1",
        "session:s1/frame:f",
        "session:s10",
        "session:s2",
        "session:s2/frame:a",
        "session:s2/frame:b",
    ]


async def test_transfer_moves_what_it_names_with_its_descriptors(registry: ProcessRegistry) -> None:
    for process_id in ("p1", "p2", "p10"):
        await registry.grant_handle(A, process_id, named(process_id))
    await registry.grant_handle(B, "p1", named("was here"))
    await registry.transfer_handle_grants(A, B, ["p1", "p10", "p1"])
    assert await _seen(registry, A) == [("p2", "p2")]
    assert await _seen(registry, B) == [("p1", "p1"), ("p10", "p10")]
    assert await registry.events_after("p1", 0) == []


async def test_transfer_is_all_or_nothing(registry: ProcessRegistry) -> None:
    await registry.grant_handle(A, "p1", named("one"))
    await registry.grant_handle(FRAME, "p2", named("another scope"))
    with refused("process_handle_not_granted") as problem:
        await registry.transfer_handle_grants(A, B, ["p1", "p2"])
    assert problem.value.process_id == "p2"
    assert await _seen(registry, A) == [("p1", "one")]
    assert await _seen(registry, B) == []
    with refused("process_unknown"):
        await registry.transfer_handle_grants(A, B, ["p1", "nowhere"])
    assert await _seen(registry, A) == [("p1", "one")]


async def test_transfer_to_itself_or_of_nothing_changes_nothing(registry: ProcessRegistry) -> None:
    await registry.grant_handle(A, "p1", named("one"))
    await registry.transfer_handle_grants(A, A, ["p1"])
    await registry.transfer_handle_grants(A, ProcessScope("s1", ""), ["p1"])
    await registry.transfer_handle_grants(A, B, [])
    assert await _seen(registry, A) == [("p1", "one")]
    with refused("process_handle_not_granted"):
        await registry.transfer_handle_grants(A, A, ["p2"])


async def test_transfer_between_frames_of_a_session(registry: ProcessRegistry) -> None:
    await registry.grant_handle(A, "p1", named("one"))
    await registry.transfer_handle_grants(A, FRAME, ["p1"])
    assert (await _seen(registry, A), await _seen(registry, FRAME)) == ([], [("p1", "one")])


async def test_deleting_a_session_revokes_and_reports_and_cancels_nothing(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("sole", wake_type()))
    await registry.append_event("sole", event("wake", {"wake_input": 1}, target=A))
    await registry.complete_process("p10", success())
    for scope, process_id in ((A, "sole"), (FRAME, "sole"), (A, "p1"), (B, "p1"), (FRAME, "p2"), (A, "p10")):
        await registry.grant_handle(scope, process_id, named(process_id))
    assert await registry.delete_session_process_state("s1") == ProcessSessionDeleteReport(
        session_id="s1",
        revoked_handle_count=5,
        deleted_wake_count=0,
        cancel_process_ids=("p2", "sole"),
        preserved_process_ids=("p1",),
    )
    assert (await _seen(registry, A), await _seen(registry, FRAME)) == ([], [])
    assert await _seen(registry, B) == [("p1", "p1")]
    record = await registry.get_process("sole")
    assert record is not None
    assert not record.is_terminal
    assert len(await registry.wake_events_after("sole", 0)) == 1
    empty = ProcessSessionDeleteReport(session_id="s1")
    assert await registry.delete_session_process_state("s1") == empty


async def test_unknown_session_has_an_empty_report(registry: ProcessRegistry) -> None:
    report = await registry.delete_session_process_state("nobody")
    assert report == ProcessSessionDeleteReport(session_id="nobody")


async def test_process_is_registered_together_with_its_grants(registry: ProcessRegistry) -> None:
    grants = [
        ProcessStartGrant(owner_scope=A, descriptor=named("starter")),
        ProcessStartGrant(owner_scope=FRAME),
    ]
    await registry.register_process(registration("new"), grants=grants)
    assert (await _seen(registry, A), await _seen(registry, FRAME)) == ([("new", "starter")], [("new", None)])
    await registry.revoke_handle(A, "new")
    await registry.register_process(registration("new"), grants=grants)
    assert await _seen(registry, A) == [("new", "starter")]
    with refused("process_registration_conflict"):
        await registry.register_process(
            registration("new", max_attempts=1), grants=[ProcessStartGrant(owner_scope=B)]
        )
    with refused("invalid_argument"):
        await registry.register_process(
            registration("newer"), grants=[ProcessStartGrant(owner_scope=ProcessScope(" "))]
        )
    assert await _seen(registry, B) == []
    assert await registry.get_process("newer") is None


async def test_nobody_cannot_be_granted_anything(registry: ProcessRegistry) -> None:
    with refused("invalid_argument"):
        await registry.grant_handle(ProcessScope(""), "p1", named("x"))
    with refused("json_not_representable"):
        await registry.grant_handle(ProcessScope("\ud800"), "p1", named("x"))
    assert await registry.handle_grants_for_process("p1") == []


async def test_grants_are_seen_through_another_handle(backend: Backend) -> None:
    other = (await backend.another_handle()).process_registry
    registry = backend.db.process_registry
    await registry.register_process(registration("p1"))
    await registry.grant_handle(ROOT, "p1", named("one"))
    assert await other.has_handle_grant(ROOT, "p1")
    await other.transfer_handle_grants(ROOT, B, ["p1"])
    assert await _seen(registry, B) == [("p1", "one")]
