"""Turns and processes that are parked on waits (contract 5, B-9, B-23): nothing held, nothing lost, nothing counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lash.contracts import Database
from lash.values import (
    ClaimedTurn,
    ClaimRefused,
    EffectScope,
    ExternalInput,
    FunctionInput,
    ProcessEventAppendRequest,
    ProcessHandleDescriptor,
    ProcessLease,
    ProcessProvenance,
    ProcessRegistration,
    ProcessScope,
    RecoveryDisposition,
    TurnState,
    WaitDraft,
)

from .conftest import Backend
from .process_samples import success
from .samples import EARLY, JOIN, commit, draft, refused, settling, stamp, turn
from .settable import START_MS, SettableClock

AGENTS = ("helper",)


@pytest.fixture(autouse=True)
async def admitted(db: Database) -> None:
    for session_id in ("s1", "s2"):
        await db.session_catalog.admit_session(session_id, agent="helper")


async def _ask(db: Database, session_id: str = "s1", owner_id: str = "w1") -> ClaimedTurn | ClaimRefused:
    return await db.turn_ingress.claim_turn(session_id, owner_id=owner_id, agents=AGENTS, lease_ttl_ms=100)


async def _claim(db: Database, session_id: str = "s1", owner_id: str = "w1") -> ClaimedTurn:
    answer = await _ask(db, session_id, owner_id)
    assert isinstance(answer, ClaimedTurn), answer
    return answer


async def _parked(db: Database, keys: Sequence[str] = ("k",), turn_id: str = "t1") -> ClaimedTurn:
    await db.turn_ingress.accept_turn(turn(turn_id))
    claimed = await _claim(db)
    assert await db.turn_ingress.park_turn(claimed, keys)
    return claimed


async def _ready(db: Database) -> list[str]:
    return [one.session_id for one in await db.turn_ingress.list_ready_sessions(AGENTS)]


async def test_parked_turn_is_left_alone_until_one_of_its_waits_is_resolved(db: Database) -> None:
    first = await _parked(db, ["a", "b"])
    assert await _ask(db) == ClaimRefused(reason="parked")
    assert await _ready(db) == []
    status = await db.turn_ingress.find_turn("s1", "t1")
    assert (status.state, status.parked_on) == (TurnState.RUNNING, ("a", "b"))
    assert await db.session_leases.find_session_lease("s1") is None
    await db.durable_waits.resolve_wait("other", 1)
    assert await _ready(db) == []
    await db.durable_waits.resolve_wait("b", 1)
    assert await _ready(db) == ["s1"]
    again = await _claim(db, owner_id="w2")
    assert (again.turn_id, again.restarts) == ("t1", first.restarts)
    assert [batch.batch_id for batch in again.work.batches] == [one.batch_id for one in first.work.batches]
    assert (await db.turn_ingress.find_turn("s1", "t1")).parked_on == ()


async def test_claim_after_parking_is_no_restart_but_one_after_a_crash_is(
    db: Database, clock: SettableClock
) -> None:
    await _parked(db)
    for n, key in enumerate(["k", "k2", "k3"]):
        await db.durable_waits.resolve_wait(key, 1)
        claimed = await _claim(db)
        assert claimed.restarts == 0
        if n < 2:
            assert await db.turn_ingress.park_turn(claimed, [f"k{n + 2}"])
    clock.advance(1000)  # the driver is gone
    claimed = await _claim(db, owner_id="w2")
    assert claimed.restarts == 1
    assert await db.turn_ingress.park_turn(claimed, ["k4"])
    await db.durable_waits.resolve_wait("k4", 1)
    assert (await _claim(db)).restarts == 1


async def test_turn_is_not_parked_on_what_is_resolved(db: Database) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    await db.durable_waits.resolve_wait("b", 1)
    assert not await db.turn_ingress.park_turn(claimed, ["a", "b"])
    lease = await db.session_leases.find_session_lease("s1")
    assert lease is not None
    assert lease.lease_token == claimed.lease.lease_token
    await db.turn_ingress.renew_turn(claimed, lease_ttl_ms=100)  # it goes on


async def test_turn_whose_cancel_is_requested_is_not_parked(db: Database) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    assert await db.turn_ingress.request_cancel("s1", claimed.turn_id) == "requested"
    assert not await db.turn_ingress.park_turn(claimed, ["a"])


async def test_cancel_of_a_parked_turn_makes_it_ready(db: Database) -> None:
    await _parked(db)
    assert await db.turn_ingress.request_cancel("s1", "t1") == "requested"
    assert await _ready(db) == ["s1"]
    assert (await _claim(db)).cancel_requested


async def test_deadline_of_its_wait_makes_a_parked_turn_ready(db: Database, clock: SettableClock) -> None:
    await db.durable_waits.open_wait(WaitDraft(key="k", deadline_ms=START_MS + 10))
    await _parked(db)
    clock.advance(10)
    assert await _ready(db) == []
    assert [one.key for one in await db.durable_waits.resolve_due()] == ["k"]
    assert await _ready(db) == ["s1"]


async def test_holder_of_a_token_makes_a_parked_turn_ready(db: Database) -> None:
    await db.durable_waits.open_wait(WaitDraft(key="k", token="tok"))
    await _parked(db)
    await db.durable_waits.resolve_by_token("tok", {"yes": True})
    assert await _ready(db) == ["s1"]


async def test_second_resolution_of_a_key_wakes_nothing_that_is_parked_anew(db: Database) -> None:
    await _parked(db, ["a", "b"])
    await db.durable_waits.resolve_wait("a", 1)
    assert await db.turn_ingress.park_turn(await _claim(db), ["c"])
    await db.durable_waits.resolve_wait("b", 1)
    assert await _ready(db) == []
    assert (await db.turn_ingress.find_turn("s1", "t1")).parked_on == ("c",)


async def test_only_the_driver_parks_a_turn(db: Database, clock: SettableClock) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    clock.advance(100)
    await _claim(db, owner_id="w2")
    with refused("session_lease_lost"):
        await db.turn_ingress.park_turn(claimed, ["k"])


@pytest.mark.parametrize("keys", [[], [" "], ["a\0"]])
async def test_parking_on_nothing_is_refused(db: Database, keys: list[str]) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    with refused("invalid_argument"):
        await db.turn_ingress.park_turn(await _claim(db), keys)


async def test_work_behind_a_parked_turn_waits_and_so_does_what_may_enter_it(db: Database) -> None:
    await _parked(db)
    await db.turn_ingress.accept_turn(turn("t2"), claim_owner_id="w2")
    await db.turn_ingress.accept_turn(turn("t3", on_busy="inject"))
    assert await _ask(db) == ClaimRefused(reason="parked")
    await db.turn_ingress.accept_turn(turn("t9", session_id="s2"))
    assert await _ready(db) == ["s2"]  # the work of another session goes on
    await db.durable_waits.resolve_wait("k", 1)
    claimed = await _claim(db)
    assert claimed.turn_id == "t1"
    taken = await db.turn_ingress.claim_injections(claimed, effect_id="e", lease_ttl_ms=100)
    assert taken is not None
    assert len(taken.batches) == 1


async def test_what_a_turn_took_in_is_parked_with_it(db: Database) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    store = db.runtime_persistence("s1")
    batch = await store.enqueue_queued_work(draft("more", "s1", delivery=EARLY, slot=JOIN))
    assert await db.turn_ingress.claim_injections(claimed, effect_id="e1", lease_ttl_ms=100) is not None
    assert await db.turn_ingress.park_turn(claimed, ["k"])
    await db.durable_waits.resolve_wait("k", 1)
    again = await _claim(db)
    assert [one.batch_id for one in again.injected["e1"].batches] == [batch.batch_id]
    assert again.restarts == 0


async def test_commit_of_a_turn_that_was_parked_ends_it_and_drops_its_waits(db: Database) -> None:
    scope_key = EffectScope.turn("s1", "t1").key
    await db.durable_waits.open_wait(WaitDraft(key="k", scope_key=scope_key))
    await db.durable_waits.open_wait(WaitDraft(key="elsewhere", scope_key="other"))
    await _parked(db)
    await db.durable_waits.resolve_wait("k", 1)
    claimed = await _claim(db)
    await db.runtime_persistence("s1").commit_runtime_state(
        commit(
            "s1",
            turn_commit=stamp("t1", session_id="s1"),
            completed_queue_claims=(claimed.work.completion(),),
            settlement=settling("t1", claimed.lease, path_digest="d1"),
        )
    )
    status = await db.turn_ingress.find_turn("s1", "t1")
    assert (status.state, status.parked_on) == (TurnState.COMMITTED, ())
    assert await _ready(db) == []
    assert await db.durable_waits.get_wait("k") is None
    assert await db.durable_waits.get_wait("elsewhere") is not None


async def test_deleted_session_leaves_nothing_parked(db: Database) -> None:
    await _parked(db)
    await db.session_catalog.delete_session("s1")
    await db.durable_waits.resolve_wait("k", 1)
    assert await _ready(db) == []


async def test_same_input_again_is_told_that_its_turn_is_parked(db: Database) -> None:
    await _parked(db)
    known = await db.turn_ingress.accept_turn(turn("t1"))
    assert known.known
    assert known.status.parked_on == ("k",)


async def test_parked_turn_survives_a_restart(backend: Backend) -> None:
    other = await backend.another_handle()
    await _parked(backend.db)
    await backend.restart(backend.db)
    handle = backend.db if backend.kind == "memory" else other
    assert await _ask(handle) == ClaimRefused(reason="parked")
    await handle.durable_waits.resolve_wait("k", 1)
    assert (await _claim(handle)).restarts == 0


@pytest.mark.parametrize("topic", ["queue", "session:s1"])
async def test_those_who_look_for_work_are_told_of_a_turn_that_is_ready(db: Database, topic: str) -> None:
    await _parked(db)
    subscription = db.subscribe([topic])
    try:
        await db.durable_waits.resolve_wait("k", 1)
        assert await subscription.wait(30_000)
    finally:
        subscription.close()


# Processes


def _registration(process_id: str = "p1", profile: str = "default", **fields: Any) -> ProcessRegistration:
    return ProcessRegistration(
        id=process_id,
        input=FunctionInput(name="f"),
        provenance=ProcessProvenance(host_profile_id=profile),
        **fields,
    )


async def _running(db: Database, process_id: str = "p1", **fields: Any) -> ProcessLease:
    await db.process_registry.register_process(_registration(process_id, **fields))
    return await _started(db, process_id)


async def _started(db: Database, process_id: str = "p1", owner_id: str = "w1") -> ProcessLease:
    lease = await db.process_registry.claim_process_lease(process_id, owner_id, 100)
    await db.process_registry.start_process_attempt(lease)
    return lease


async def _ready_ids(db: Database, profiles: Sequence[str] | None = None, **page: Any) -> list[str]:
    found = await db.process_registry.list_ready_processes(host_profiles=profiles, **page)
    return [record.id for record in found]


async def test_parked_process_is_ready_again_once_one_of_its_waits_is_resolved(db: Database) -> None:
    registry = db.process_registry
    lease = await _running(db)
    assert await _ready_ids(db) == []
    assert await registry.park_process(lease, ["a", "b"], frame=b"\x00frame")
    assert await _ready_ids(db) == []
    assert await registry.parked_processes(["p1", "nobody"]) == {"p1": ("a", "b")}
    with refused("process_lease_lost"):
        await registry.renew_process_lease(lease, 100)
    await db.durable_waits.resolve_wait("b", 1)
    assert await _ready_ids(db) == ["p1"]
    assert await registry.parked_processes(["p1"]) == {}
    assert await registry.process_frame("p1") == b"\x00frame"


async def test_process_that_was_parked_goes_on_with_its_attempt(db: Database, clock: SettableClock) -> None:
    registry = db.process_registry
    lease = await _running(db, recovery=RecoveryDisposition.OWNER_BOUND)
    for key in ("a", "b"):
        assert await registry.park_process(lease, [key])
        await db.durable_waits.resolve_wait(key, 1)
        lease = await _started(db, owner_id="w2")  # an owner-bound process may not be started twice
    record = await registry.get_process("p1")
    assert record is not None
    assert (record.attempts, record.last_sequence) == (1, 1)
    clock.advance(1000)
    lease = await registry.claim_process_lease("p1", "w3", 100)
    with refused("process_owner_bound"):
        await registry.start_process_attempt(lease)


async def test_crash_after_parking_is_a_new_attempt(db: Database, clock: SettableClock) -> None:
    registry = db.process_registry
    lease = await _running(db)
    assert await registry.park_process(lease, ["a"])
    await db.durable_waits.resolve_wait("a", 1)
    await _started(db)
    clock.advance(1000)
    await _started(db, owner_id="w2")
    record = await registry.get_process("p1")
    assert record is not None
    assert record.attempts == 2


async def test_process_is_not_parked_on_what_is_resolved_or_over(db: Database) -> None:
    registry = db.process_registry
    lease = await _running(db)
    await db.durable_waits.resolve_wait("b", 1)
    assert not await registry.park_process(lease, ["a", "b"], frame=b"x")
    assert await registry.process_frame("p1") is None
    await registry.register_process(_registration("child"))
    await registry.complete_process("child", success())
    assert not await registry.park_process(lease, ["process:child"])
    await registry.renew_process_lease(lease, 100)  # it goes on


async def test_process_that_is_asked_to_end_is_not_parked(db: Database) -> None:
    registry = db.process_registry
    lease = await _running(db)
    await registry.append_event("p1", ProcessEventAppendRequest.cancel_requested("p1"))
    assert not await registry.park_process(lease, ["a"])
    other = await _running(db, "p2")
    await registry.request_abandon("p2", requested_by="me", reason="old")
    assert not await registry.park_process(other, ["a"])


@pytest.mark.parametrize("how", ["cancel", "abandon"])
async def test_parked_process_is_ready_when_it_is_asked_to_end(db: Database, how: str) -> None:
    registry = db.process_registry
    assert await registry.park_process(await _running(db), ["a"])
    if how == "cancel":
        await registry.append_event("p1", ProcessEventAppendRequest.cancel_requested("p1"))
        record = await registry.get_process("p1")
        assert record is not None
        assert record.cancel_requested
    else:
        await registry.request_abandon("p1", requested_by="me", reason="old")
    assert await _ready_ids(db) == ["p1"]


async def test_end_of_a_process_makes_ready_what_is_parked_on_it(db: Database) -> None:
    registry = db.process_registry
    await registry.register_process(_registration("child"))
    assert await registry.park_process(await _running(db), ["process:child"])
    await _parked(db, ["process:child"])
    await registry.complete_process("child", success({"n": 1}))
    assert await _ready_ids(db) == ["p1"]
    assert await _ready(db) == ["s1"]
    found = await db.durable_waits.find_wait("process:child")
    assert found is not None
    assert found.value == {"type": "success", "value": {"n": 1}}


async def test_end_of_a_process_is_kept_as_a_wait_only_if_somebody_waits(db: Database) -> None:
    registry = db.process_registry
    for process_id in ("a", "b"):
        await registry.register_process(_registration(process_id))
    await db.durable_waits.open_wait(WaitDraft(key="process:a", kind="process"))
    for process_id in ("a", "b"):
        lease = await registry.claim_process_lease(process_id, "w1", 100)
        await registry.complete_process_with_lease(lease, success())
    assert await db.durable_waits.find_wait("process:a") is not None
    assert await db.durable_waits.get_wait("process:b") is None


async def test_process_that_is_over_is_not_parked_and_has_no_frame(db: Database) -> None:
    registry = db.process_registry
    lease = await _running(db)
    await registry.save_process_frame(lease, b"frame")
    assert await registry.process_frame("p1") == b"frame"
    await db.durable_waits.open_wait(WaitDraft(key="own", scope_key="process:p1"))
    await registry.complete_process("p1", success())
    assert await registry.process_frame("p1") is None
    for attempt in (registry.park_process(lease, ["a"]), registry.save_process_frame(lease, b"x")):
        with refused("process_already_terminal"):
            await attempt


async def test_parked_process_that_is_completed_from_outside_is_over(db: Database) -> None:
    registry = db.process_registry
    assert await registry.park_process(await _running(db), ["a"], frame=b"frame")
    await registry.complete_process("p1", success())
    await db.durable_waits.resolve_wait("a", 1)
    assert await _ready_ids(db) == []
    assert await registry.process_frame("p1") is None


async def test_ready_processes_are_listed_by_profile_and_page(db: Database, clock: SettableClock) -> None:
    registry = db.process_registry
    for process_id, profile in [("d", "x"), ("a", "y"), ("c", "x"), ("b", "z")]:
        await registry.register_process(_registration(process_id, profile))
    await registry.register_process(ProcessRegistration(id="e", input=ExternalInput()))
    assert await _ready_ids(db) == ["a", "b", "c", "d"]
    assert await _ready_ids(db, ["x", "y", "x"]) == ["a", "c", "d"]
    assert await _ready_ids(db, ["x", "y"], limit=2) == ["a", "c"]
    assert await _ready_ids(db, ["x", "y"], after="a", limit=2) == ["c", "d"]
    assert await _ready_ids(db, after="b", limit=1) == ["c"]
    assert await _ready_ids(db, []) == []
    await registry.claim_process_lease("a", "w1", 100)
    await registry.complete_process("b", success())
    assert await _ready_ids(db) == ["c", "d"]
    clock.advance(100)
    assert await _ready_ids(db) == ["a", "c", "d"]


async def test_process_of_a_dead_owner_is_ready_at_once(backend: Backend) -> None:
    first, second = backend.db, await backend.another_handle()
    await first.process_registry.register_process(_registration())
    await second.process_registry.claim_process_lease("p1", second.owner_id, 1_000_000)
    assert await _ready_ids(first) == []
    await backend.restart(second)
    if backend.kind == "postgres":
        return  # a server of another machine cannot know who is dead there: the time to live decides
    assert await _ready_ids(first) == ["p1"]


# Watching, and pruning

WATCHER = ProcessScope("s1")
LABEL = ProcessHandleDescriptor(kind="report", label="weekly")


async def test_scope_watches_a_process_without_a_right_on_it(db: Database) -> None:
    registry = db.process_registry
    for process_id in ("b", "a"):
        await registry.register_process(_registration(process_id))
        await registry.observe_process(WATCHER, process_id, ProcessHandleDescriptor())
    await registry.observe_process(WATCHER, "a", LABEL)
    watched = await registry.list_observed(WATCHER)
    assert [(descriptor, record.id) for descriptor, record in watched] == [
        (LABEL, "a"),
        (ProcessHandleDescriptor(), "b"),
    ]
    assert not await registry.has_handle_grant(WATCHER, "a")
    assert await registry.list_observed(ProcessScope("s1", "frame")) == []
    await registry.unobserve_process(WATCHER, "a")
    await registry.unobserve_process(WATCHER, "nobody")
    assert [record.id for _, record in await registry.list_observed(WATCHER)] == ["b"]
    with refused("process_unknown"):
        await registry.observe_process(WATCHER, "nobody", LABEL)


async def test_edges_go_with_their_session(db: Database) -> None:
    registry = db.process_registry
    await registry.register_process(_registration())
    await registry.observe_process(WATCHER, "p1", LABEL)
    await db.session_catalog.delete_session("s1")
    assert await registry.list_observed(WATCHER) == []
    assert await registry.get_process("p1") is not None


async def test_processes_that_ended_before_a_time_are_pruned_oldest_first(
    db: Database, clock: SettableClock
) -> None:
    registry = db.process_registry
    for process_id in ("a", "b", "c", "running"):
        await registry.register_process(_registration(process_id))
    for process_id in ("b", "a", "c"):
        await registry.complete_process(process_id, success())
        clock.advance(10)
    assert await registry.prune_processes(finished_before_ms=START_MS, watermark=None) == 0
    assert await registry.prune_processes(finished_before_ms=START_MS + 15, watermark=None, limit=1) == 1
    assert await registry.get_process("b") is None
    assert await registry.get_process("a") is not None
    assert await registry.prune_processes(finished_before_ms=START_MS + 15, watermark=None) == 1
    left, _ = await registry.processes_changed_since(0)
    assert {record.id for record in left} == {"c", "running"}


async def test_nothing_is_pruned_that_a_follower_has_not_read(db: Database, clock: SettableClock) -> None:
    registry = db.process_registry
    for process_id in ("a", "b"):
        await registry.register_process(_registration(process_id))
    await registry.complete_process("a", success())
    _, cursor = await registry.processes_changed_since(0)
    await registry.complete_process("b", success())
    clock.advance(10)
    assert await registry.prune_processes(finished_before_ms=START_MS + 10, watermark=cursor) == 1
    assert await registry.get_process("a") is None
    assert await registry.get_process("b") is not None


async def test_pruned_process_is_known_to_be_gone_and_its_id_stays_taken(
    db: Database, clock: SettableClock
) -> None:
    registry = db.process_registry
    await registry.register_process(_registration())
    await registry.grant_handle(WATCHER, "p1", LABEL)
    await registry.observe_process(WATCHER, "p1", LABEL)
    await db.durable_waits.open_wait(WaitDraft(key="process:p1", kind="process"))
    await registry.complete_process("p1", success())
    clock.advance(10)
    assert await registry.prune_processes(finished_before_ms=START_MS + 10, watermark=None) == 1
    for asked in (
        registry.await_process("p1"),
        registry.events_after("p1", 0),
        registry.claim_process_lease("p1", "w1", 100),
        registry.complete_process("p1", success()),
        registry.register_process(_registration()),
        registry.process_frame("p1"),
        registry.observe_process(WATCHER, "p1", LABEL),
        registry.wait_event_after("p1", "line", 0),
    ):
        with refused("process_no_longer_retained"):
            await asked
    assert await registry.get_process("p1") is None
    assert await registry.list_handle_grants(WATCHER) == []
    assert await registry.list_observed(WATCHER) == []
    assert await db.durable_waits.get_wait("process:p1") is None
    lease = await _running(db, "p2")
    assert not await registry.park_process(lease, ["process:p1"])
