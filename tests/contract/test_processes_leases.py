"""Who runs a process, and how it is given up (contract 2.C.17 to 2.C.19; R-4, R-5, R-26, R-27; B-9, B-10)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash.contracts import Database, ProcessRegistry
from lash.values import (
    AwaitFailure,
    ExternalInput,
    LashlangProcessInput,
    PreparedToolCall,
    ProcessLeaseCompletion,
    ProcessRegistration,
    ProcessTerminalState,
    ToolCallInput,
)

from .conftest import Backend
from .process_samples import failure, registration, success
from .samples import refused
from .settable import START_MS, SettableClock


@pytest.fixture
async def registry(db: Database) -> ProcessRegistry:
    await db.process_registry.register_process(registration("p1"))
    return db.process_registry


async def test_live_lease_keeps_others_out_until_its_last_millisecond(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    lease = await registry.claim_process_lease("p1", "a", 100)
    assert (lease.fencing_token, lease.claimed_at_ms, lease.expires_at_ms, lease.schema_version) == (
        1,
        START_MS,
        START_MS + 100,
        1,
    )
    clock.advance(99)
    with refused("process_lease_held") as problem:
        await registry.claim_process_lease("p1", "b", 100)
    assert "already leased" in str(problem.value)
    assert (problem.value.owner_id, problem.value.expires_at_ms) == ("a", START_MS + 100)
    clock.advance(1)
    second = await registry.claim_process_lease("p1", "b", 100)
    assert second.fencing_token == 2
    assert second.lease_token != lease.lease_token
    with refused("process_lease_lost") as lost:
        await registry.renew_process_lease(lease, 100)
    assert "missing or expired" in str(lost.value)


async def test_claim_by_its_holder_is_a_new_grant(registry: ProcessRegistry) -> None:
    first = await registry.claim_process_lease("p1", "a", 100)
    second = await registry.claim_process_lease("p1", "a", 100)
    assert second.fencing_token == 2
    with refused("process_lease_lost"):
        await registry.renew_process_lease(first, 100)
    await registry.renew_process_lease(second, 100)


async def test_time_to_live_of_zero_is_over_at_once(registry: ProcessRegistry) -> None:
    old = await registry.claim_process_lease("p1", "a", 0)
    live = await registry.claim_process_lease("p1", "b", 100)
    assert live.fencing_token == 2
    with refused("process_lease_lost"):
        await registry.renew_process_lease(old, 100)
    with refused("process_lease_held"):
        await registry.claim_process_lease("p1", "a", 0)


async def test_huge_time_to_live_clamps_and_a_negative_one_is_refused(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    lease = await registry.claim_process_lease("p1", "a", 2**63 - 1)
    assert lease.expires_at_ms == 2**63 - 1
    for call in (
        registry.claim_process_lease("p1", "a", -1),
        registry.renew_process_lease(lease, -1),
        registry.claim_process_lease("p1", " ", 10),
    ):
        with refused("invalid_argument"):
            await call
    clock.advance(10**12)
    await registry.renew_process_lease(lease, 10)


async def test_renewal_counts_from_now_and_may_shorten(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    lease = await registry.claim_process_lease("p1", "a", 20)
    clock.advance(19)
    renewed = await registry.renew_process_lease(lease, 1000)
    assert renewed == lease.replace(expires_at_ms=START_MS + 1019)
    clock.advance(500)
    assert (await registry.renew_process_lease(lease, 5)).expires_at_ms == START_MS + 524
    clock.advance(5)
    with refused("process_lease_lost"):
        await registry.renew_process_lease(renewed, 1000)


@pytest.mark.parametrize(
    "forged", [{"lease_token": "forged"}, {"owner_id": "b"}, {"fencing_token": 2}, {"fencing_token": 0}]
)
async def test_renewal_needs_the_whole_proof(registry: ProcessRegistry, forged: dict[str, Any]) -> None:
    lease = await registry.claim_process_lease("p1", "a", 100)
    with refused("process_lease_lost"):
        await registry.renew_process_lease(lease.replace(**forged), 100)
    echoed = lease.replace(claimed_at_ms=7, expires_at_ms=9)
    assert await registry.renew_process_lease(echoed, 100) == lease


async def test_release_frees_at_once_and_keeps_the_fence(registry: ProcessRegistry) -> None:
    fences = []
    for owner in ("a", "b", "a"):
        lease = await registry.claim_process_lease("p1", owner, 60_000)
        fences.append(lease.fencing_token)
        await registry.complete_process_lease(lease.completion())
        await registry.complete_process_lease(lease.completion())
        with refused("process_lease_lost"):
            await registry.renew_process_lease(lease, 100)
    assert fences == [1, 2, 3]


async def test_stale_release_leaves_the_live_lease_alone(registry: ProcessRegistry) -> None:
    old = await registry.claim_process_lease("p1", "a", 0)
    live = await registry.claim_process_lease("p1", "b", 60_000)
    await registry.complete_process_lease(old.completion())
    await registry.complete_process_lease(ProcessLeaseCompletion(process_id="p1", lease_token="never"))
    with refused("process_lease_held"):
        await registry.claim_process_lease("p1", "c", 100)
    await registry.renew_process_lease(live, 100)


async def test_expired_lease_may_still_be_given_back(registry: ProcessRegistry, clock: SettableClock) -> None:
    lease = await registry.claim_process_lease("p1", "a", 10)
    clock.advance(10)
    await registry.complete_process_lease(lease.completion())
    assert (await registry.claim_process_lease("p1", "b", 10)).fencing_token == 2


async def test_finished_process_may_be_leased_and_keeps_its_lease(registry: ProcessRegistry) -> None:
    lease = await registry.claim_process_lease("p1", "a", 100)
    await registry.complete_process("p1", success())
    await registry.renew_process_lease(lease, 100)
    await registry.complete_process_lease(lease.completion())
    await registry.claim_process_lease("p1", "b", 100)


async def test_one_of_many_claimants_wins(registry: ProcessRegistry) -> None:
    answers = await asyncio.gather(
        *(registry.claim_process_lease("p1", f"owner-{n}", 60_000) for n in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


async def test_lease_is_seen_through_another_handle(backend: Backend) -> None:
    other = (await backend.another_handle()).process_registry
    registry = backend.db.process_registry
    await registry.register_process(registration("p1"))
    lease = await registry.claim_process_lease("p1", "a", 100)
    with refused("process_lease_held"):
        await other.claim_process_lease("p1", "b", 100)
    assert (await other.renew_process_lease(lease, 200)).expires_at_ms == START_MS + 200


async def test_lease_of_a_handle_that_is_gone_is_over(backend: Backend) -> None:
    if backend.kind == "memory":
        registry, holder = backend.db.process_registry, backend.db
    else:
        registry, holder = backend.db.process_registry, await backend.another_handle()
    await registry.register_process(registration("p1"))
    await holder.process_registry.claim_process_lease("p1", holder.owner_id, 60_000)
    await holder.close()
    assert (await registry.claim_process_lease("p1", "b", 100)).fencing_token == 2


async def test_completion_with_a_lease_ends_the_process_and_gives_it_back(registry: ProcessRegistry) -> None:
    lease = await registry.claim_process_lease("p1", "a", 100)
    record = await registry.complete_process_with_lease(lease, success(1))
    assert record.await_output == success(1)
    assert (await registry.claim_process_lease("p1", "b", 100)).fencing_token == 2


async def test_superseded_or_expired_worker_cannot_end_the_process(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    stale = await registry.claim_process_lease("p1", "a", 10)
    clock.advance(10)
    with refused("process_lease_lost"):
        await registry.complete_process_with_lease(stale, success(1))
    live = await registry.claim_process_lease("p1", "b", 100)
    for forged in (stale, live.replace(fencing_token=1), live.replace(owner_id="a")):
        with refused("process_lease_lost"):
            await registry.complete_process_with_lease(forged, success(1))
    assert await registry.events_after("p1", 0) == []
    await registry.complete_process_with_lease(live, success(2))
    with refused("process_lease_lost"):
        await registry.complete_process_with_lease(stale, success(2))


async def test_lost_answer_of_a_completion_is_got_by_asking_again(registry: ProcessRegistry) -> None:
    lease = await registry.claim_process_lease("p1", "a", 100)
    record = await registry.complete_process_with_lease(lease, success(1))
    assert await registry.complete_process_with_lease(lease, success(1)) == record
    with refused("process_event_replay_conflict"):
        await registry.complete_process_with_lease(lease, success(2))
    with refused("process_already_terminal"):
        await registry.complete_process_with_lease(lease, failure())
    assert len(await registry.events_after("p1", 0)) == 1


async def test_refused_completion_keeps_the_lease(registry: ProcessRegistry) -> None:
    lease = await registry.claim_process_lease("p1", "a", 100)
    await registry.complete_process("p1", failure())
    with refused("process_already_terminal"):
        await registry.complete_process_with_lease(lease, success())
    await registry.renew_process_lease(lease, 100)


RERUNNABLE = LashlangProcessInput("m", {"component": "c", "pos": 0}, "s", "n")
ONCE = ToolCallInput(PreparedToolCall(call_id="c", tool_name="t", args={}))


async def test_attempts_are_numbered_and_limited(registry: ProcessRegistry) -> None:
    await registry.register_process(ProcessRegistration(id="r", input=RERUNNABLE, max_attempts=2))
    for attempt in (1, 2):
        lease = await registry.claim_process_lease("r", "a", 100)
        assert (await registry.start_process_attempt(lease)).attempts == attempt
    log = await registry.events_after("r", 0)
    assert [one.payload for one in log] == [
        {"attempt": 1, "owner_id": "a", "fencing_token": 1},
        {"attempt": 2, "owner_id": "a", "fencing_token": 2},
    ]
    with refused("process_attempts_exhausted"):
        await registry.start_process_attempt(lease)
    assert len(await registry.events_after("r", 0)) == 2


async def test_attempt_needs_the_live_lease_of_a_running_process(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    await registry.register_process(ProcessRegistration(id="r", input=RERUNNABLE))
    lease = await registry.claim_process_lease("r", "a", 10)
    clock.advance(10)
    with refused("process_lease_lost"):
        await registry.start_process_attempt(lease)
    live = await registry.claim_process_lease("r", "b", 10)
    await registry.complete_process("r", success())
    with refused("process_already_terminal"):
        await registry.start_process_attempt(live)


async def test_external_process_is_never_run_here(registry: ProcessRegistry) -> None:
    await registry.register_process(ProcessRegistration(id="e", input=ExternalInput()))
    lease = await registry.claim_process_lease("e", "a", 10)
    with refused("process_externally_owned"):
        await registry.start_process_attempt(lease)
    await registry.complete_process_lease(lease.completion())
    with refused("process_not_abandonable"):
        await registry.abandon_process("e", written_by="sweep", evidence="old")


async def test_what_must_not_run_twice_is_abandoned_with_evidence(registry: ProcessRegistry) -> None:
    await registry.register_process(ProcessRegistration(id="o", input=ONCE))
    with refused("process_not_abandonable"):
        await registry.abandon_process("o", written_by="sweep", evidence=None)
    lease = await registry.claim_process_lease("o", "a", 100)
    await registry.start_process_attempt(lease)
    with refused("process_owner_bound"):
        await registry.start_process_attempt(lease)
    with refused("process_lease_held"):
        await registry.abandon_process("o", written_by="sweep", evidence=None)
    await registry.complete_process_lease(lease.completion())
    record = await registry.abandon_process("o", written_by="sweep", evidence={"bell": "silent"})
    assert record.terminal_state is ProcessTerminalState.ABANDONED
    output = await registry.await_process("o")
    assert isinstance(output, AwaitFailure)
    assert (output.code, output.raw) == (
        "process_abandoned",
        {"written_by": "sweep", "evidence": {"bell": "silent"}},
    )
    with refused("process_already_terminal"):
        await registry.abandon_process("o", written_by="sweep", evidence=None)
    with refused("process_already_terminal"):
        await registry.complete_process("o", success())


async def test_request_to_abandon_waits_for_the_lease(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    await registry.register_process(ProcessRegistration(id="r", input=RERUNNABLE))
    await registry.claim_process_lease("r", "a", 100)
    assert (await registry.request_abandon("r", requested_by="op", reason="stuck")).abandon_requested
    await registry.request_abandon("r", requested_by="other", reason="too")
    assert [one.payload for one in await registry.events_after("r", 0)] == [
        {"requested_by": "op", "reason": "stuck"}
    ]
    with refused("process_lease_held"):
        await registry.abandon_process("r", written_by="op", evidence=None)
    clock.advance(100)
    record = await registry.abandon_process("r", written_by="op", evidence=None)
    assert record.terminal_state is ProcessTerminalState.ABANDONED
    with refused("process_already_terminal"):
        await registry.request_abandon("r", requested_by="op", reason="again")
