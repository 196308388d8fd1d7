"""Turns on their way in: acceptance, claims, composition, cancellation (contract 5, B-4, B-13, B-28)."""

from __future__ import annotations

from typing import Any

import pytest

from lash.contracts import Database
from lash.values import (
    ClaimedTurn,
    ClaimRefused,
    DeliveryPolicy,
    EffectScope,
    FullGraph,
    RuntimeCommit,
    SlotPolicy,
    TurnState,
    TurnStatus,
)

from .conftest import Backend
from .samples import (
    DEFAULT,
    IDLE,
    JOIN,
    LATE,
    append,
    commit,
    done,
    draft,
    effect,
    ids,
    node,
    refused,
    settling,
    stamp,
    text_of,
    turn,
)
from .settable import START_MS, SettableClock

AGENTS = ("helper",)


@pytest.fixture(autouse=True)
async def admitted(db: Database) -> None:
    for session_id in ("s1", "s2"):
        await db.session_catalog.admit_session(session_id, agent="helper")


async def _claim(db: Database, session_id: str = "s1", **fields: Any) -> ClaimedTurn:
    answer = await _ask(db, session_id, **fields)
    assert isinstance(answer, ClaimedTurn), answer
    return answer


async def _ask(db: Database, session_id: str = "s1", **fields: Any) -> ClaimedTurn | ClaimRefused:
    asked: dict[str, Any] = {"owner_id": "w1", "agents": AGENTS, "lease_ttl_ms": 100}
    return await db.turn_ingress.claim_turn(session_id, **(asked | fields))


def _commit(claimed: ClaimedTurn, expected: int = 0, **fields: Any) -> RuntimeCommit:
    """What a driver commits at the end of its turn."""
    session_id = claimed.lease.session_id
    completions = [claimed.work.completion(), *(c.completion() for c in claimed.injected.values())]
    settlement = settling(claimed.turn_id, claimed.lease, path_digest="d1")
    base: dict[str, Any] = {
        "turn_commit": stamp(claimed.turn_id, session_id=session_id),
        "completed_queue_claims": tuple(completions),
        "settlement": settlement,
    }
    return commit(session_id, expected=expected, **(base | fields))


async def _finish(db: Database, claimed: ClaimedTurn, expected: int = 0) -> None:
    store = db.runtime_persistence(claimed.lease.session_id)
    await store.commit_runtime_state(_commit(claimed, expected))


async def _state(db: Database, turn_id: str, session_id: str = "s1") -> TurnState:
    return (await db.turn_ingress.find_turn(session_id, turn_id)).state


# -- acceptance


async def test_accepted_turn_is_a_waiting_batch_of_the_queue(db: Database) -> None:
    accepted = await db.turn_ingress.accept_turn(turn("t1", text="hello"))
    assert (accepted.turn_id, accepted.known, accepted.claimed) == ("t1", False, None)
    assert accepted.status == TurnStatus(turn_id="t1", state=TurnState.PENDING, batch_id=accepted.batch_id)
    (batch,) = await db.runtime_persistence().list_pending_queued_work("s1")
    assert (batch.batch_id, batch.enqueue_seq) == (accepted.batch_id, accepted.enqueue_seq)
    assert text_of(batch) == "hello"
    assert batch.source_key == "turn:t1"
    assert (batch.delivery_policy, batch.slot_policy) == (LATE, SlotPolicy.EXCLUSIVE)


async def test_input_to_inject_may_join_at_the_next_boundary(db: Database) -> None:
    await db.turn_ingress.accept_turn(turn("t1", on_busy="inject"))
    (batch,) = await db.runtime_persistence().list_queued_work("s1")
    assert (batch.delivery_policy, batch.slot_policy, batch.merge_key) == (
        DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        SlotPolicy.JOIN,
        DEFAULT,
    )


async def test_session_must_be_admitted_and_of_the_same_agent(db: Database) -> None:
    with refused("session_unknown"):
        await db.turn_ingress.accept_turn(turn("t1", "nobody"))
    with refused("agent_mismatch"):
        await db.turn_ingress.accept_turn(turn("t1", agent="other"))
    assert await db.runtime_persistence().list_queued_work("s1") == []


async def test_same_turn_again_is_known_in_every_state_and_enqueued_once(db: Database) -> None:
    ingress = db.turn_ingress
    first = await ingress.accept_turn(turn("t1"))
    again = await ingress.accept_turn(turn("t1"), claim_owner_id="w9")
    assert (again.known, again.batch_id, again.claimed) == (True, first.batch_id, None)
    assert again.status.state is TurnState.PENDING
    claimed = await _claim(db)
    assert (await ingress.accept_turn(turn("t1"))).status.state is TurnState.RUNNING
    await _finish(db, claimed)
    committed = await ingress.accept_turn(turn("t1"))
    assert (committed.known, committed.status.state) == (True, TurnState.COMMITTED)
    assert committed.status.receipt is not None
    assert (committed.status.receipt.turn_id, committed.status.receipt.head_revision) == ("t1", 1)
    assert isinstance(await _ask(db), ClaimRefused)


@pytest.mark.parametrize("change", [{"text": "other"}, {"on_busy": "inject"}])
async def test_same_turn_id_with_other_content_conflicts(db: Database, change: dict[str, Any]) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    with refused("idempotency_conflict"):
        await db.turn_ingress.accept_turn(turn("t1", **change))
    await _finish(db, await _claim(db))
    with refused("idempotency_conflict"):
        await db.turn_ingress.accept_turn(turn("t1", **change))
    assert len(await db.runtime_persistence().list_queued_work("s1")) == 0


async def test_turn_ids_belong_to_their_session(db: Database) -> None:
    one = await db.turn_ingress.accept_turn(turn("t1", "s1", text="one"))
    two = await db.turn_ingress.accept_turn(turn("t1", "s2", text="two"))
    assert not two.known
    assert one.batch_id != two.batch_id


async def test_refusing_input_is_refused_while_work_waits_or_runs(db: Database, clock: SettableClock) -> None:
    ingress = db.turn_ingress
    await ingress.accept_turn(turn("t1", on_busy="refuse"))
    with refused("session_busy"):
        await ingress.accept_turn(turn("t2", on_busy="refuse"))
    claimed = await _claim(db)
    with refused("session_busy"):
        await ingress.accept_turn(turn("t2", on_busy="refuse"))
    assert (await ingress.accept_turn(turn("t1", on_busy="refuse"))).known
    await _finish(db, claimed)
    assert (await ingress.accept_turn(turn("t2", on_busy="refuse"))).status.state is TurnState.PENDING
    await ingress.request_cancel("s1", "t2")
    lease = await db.session_leases.claim_session_lease("s1", owner_id="w", ttl_ms=10)
    with refused("session_busy"):
        await ingress.accept_turn(turn("t3", on_busy="refuse"))
    await db.session_leases.release_session_lease(lease)
    await ingress.accept_turn(turn("t3", on_busy="refuse"))


async def test_acceptance_takes_its_turn_up_if_it_comes_next(db: Database) -> None:
    accepted = await db.turn_ingress.accept_turn(turn("t1"), claim_owner_id="w1", lease_ttl_ms=500)
    claimed = accepted.claimed
    assert claimed is not None
    assert (claimed.turn_id, claimed.agent, claimed.restarts) == ("t1", "helper", 0)
    assert accepted.status.state is TurnState.RUNNING
    assert claimed.lease.expires_at_ms == claimed.work.expires_at_ms == START_MS + 500
    assert (claimed.lease.owner_id, claimed.work.owner_id) == ("w1", "w1")
    assert ids(claimed.work) == [accepted.batch_id]
    assert (claimed.head.revision, claimed.journal, claimed.injected) == (0, (), {})
    assert await db.session_leases.find_session_lease("s1") == claimed.lease
    # The next one waits, whoever asks.
    second = await db.turn_ingress.accept_turn(turn("t2"), claim_owner_id="w1")
    assert second.claimed is None
    assert second.status.state is TurnState.PENDING


async def test_acceptance_takes_nothing_up_when_other_work_comes_first(
    db: Database, clock: SettableClock
) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    accepted = await db.turn_ingress.accept_turn(turn("t2"), claim_owner_id="w1")
    assert accepted.claimed is None
    assert await db.session_leases.find_session_lease("s1") is None
    assert (await _claim(db)).turn_id == "t1"


async def test_turn_id_must_be_text_that_every_store_keeps(db: Database) -> None:
    for turn_id in ("a\x00b", "\ud800"):
        with refused("invalid_argument"):
            await db.turn_ingress.accept_turn(turn(turn_id))
    assert await db.runtime_persistence().list_queued_work("s1") == []


async def test_refused_acceptance_leaves_no_trace(db: Database) -> None:
    bad = turn("t1").replace(input=turn("t1").input.replace(context=float("nan")))
    with refused("json_not_representable"):
        await db.turn_ingress.accept_turn(bad, claim_owner_id="w1")
    with refused("invalid_argument"):
        await db.turn_ingress.accept_turn(turn("t1"), claim_owner_id="w1", lease_ttl_ms=-1)
    assert await db.runtime_persistence().list_queued_work("s1") == []
    assert await db.session_leases.find_session_lease("s1") is None
    assert await _state(db, "t1") is TurnState.UNKNOWN


# -- claims


async def test_claim_says_why_there_is_nothing(db: Database, clock: SettableClock) -> None:
    assert await _ask(db) == ClaimRefused(reason="empty")
    assert await _ask(db, "nobody") == ClaimRefused(reason="empty")
    await db.runtime_persistence().enqueue_queued_work(draft(session_id="s1", available_at_ms=START_MS + 50))
    assert await _ask(db) == ClaimRefused(reason="not_yet_available", retry_at_ms=START_MS + 50)
    clock.advance(50)
    assert await _ask(db, agents=("other",)) == ClaimRefused(reason="agent_not_served")
    claimed = await _claim(db)
    assert await _ask(db, owner_id="w2") == ClaimRefused(
        reason="session_leased", holder_id="w1", retry_at_ms=START_MS + 150
    )
    assert await db.session_leases.find_session_lease("s1") == claimed.lease


async def test_refused_claim_takes_no_lease_and_raises_no_generation(db: Database) -> None:
    for _ in range(3):
        await _ask(db)
    await db.turn_ingress.accept_turn(turn("t1"))
    await _ask(db, agents=())
    assert await db.session_leases.find_session_lease("s1") is None
    assert (await _claim(db)).lease.generation == 1


async def test_turns_are_taken_one_by_one_in_their_order(db: Database) -> None:
    for turn_id in ("t1", "t2", "t3"):
        await db.turn_ingress.accept_turn(turn(turn_id))
    taken = []
    for revision in range(3):
        claimed = await _claim(db)
        taken.append((claimed.turn_id, claimed.lease.generation, claimed.head.revision))
        await _finish(db, claimed, revision)
    assert taken == [("t1", 1, 0), ("t2", 2, 1), ("t3", 3, 2)]
    assert await _ask(db) == ClaimRefused(reason="empty")


async def test_claim_carries_where_the_session_stands(db: Database) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    first = await _claim(db)
    await db.runtime_persistence("s1").commit_runtime_state(_commit(first, graph=append(node("a"))))
    await db.turn_ingress.accept_turn(turn("t2"))
    head = (await _claim(db)).head
    assert (head.session_id, head.revision, head.leaf_node_id, head.path_digest) == ("s1", 1, "a", "d1")


async def test_joined_inputs_become_one_turn_under_the_id_of_the_first(db: Database) -> None:
    for turn_id in ("t1", "t2"):
        await db.turn_ingress.accept_turn(turn(turn_id, on_busy="inject"))
    await db.turn_ingress.accept_turn(turn("t3"))
    claimed = await _claim(db)
    assert claimed.turn_id == "t1"
    assert len(claimed.work.batches) == 2
    absorbed = await db.turn_ingress.find_turn("s1", "t2")
    assert (absorbed.state, absorbed.absorbed_by) == (TurnState.RUNNING, "t1")
    await _finish(db, claimed)
    absorbed = await db.turn_ingress.find_turn("s1", "t2")
    assert (absorbed.state, absorbed.absorbed_by) == (TurnState.COMMITTED, "t1")
    assert absorbed.receipt is not None
    assert absorbed.receipt.turn_id == "t1"
    first = await db.turn_ingress.find_turn("s1", "t1")
    assert (first.state, first.absorbed_by) == (TurnState.COMMITTED, None)


async def test_max_batches_bounds_a_new_turn(db: Database) -> None:
    for turn_id in ("t1", "t2", "t3"):
        await db.turn_ingress.accept_turn(turn(turn_id, on_busy="inject"))
    assert len((await _claim(db, max_batches=2)).work.batches) == 2


async def test_work_of_the_plain_queue_becomes_a_turn_too(db: Database) -> None:
    store = db.runtime_persistence()
    named = await store.enqueue_queued_work(draft("a", "s1", turn_id="mine"))
    plain = await store.enqueue_queued_work(draft("b", "s1"))
    first = await _claim(db)
    assert (first.turn_id, first.agent, ids(first.work)) == ("mine", "helper", [named.batch_id])
    await _finish(db, first)
    second = await _claim(db)
    assert (second.turn_id, ids(second.work)) == (f"turn:{plain.batch_id}", [plain.batch_id])


async def test_work_of_a_session_that_nobody_admitted_is_served_by_nobody(db: Database) -> None:
    await db.runtime_persistence().enqueue_queued_work(draft(session_id="nobody"))
    assert await _ask(db, "nobody") == ClaimRefused(reason="agent_not_served")


# -- interruption


async def test_interrupted_turn_comes_back_with_exactly_its_composition_and_its_journal(
    db: Database, clock: SettableClock
) -> None:
    ingress = db.turn_ingress
    for turn_id in ("t1", "t2"):
        await ingress.accept_turn(turn(turn_id, on_busy="inject"))
    first = await _claim(db)
    scope = EffectScope.turn("s1", "t1")
    await db.effect_journal.record_effects([(effect("e1", scope), done())], lease=first.lease)
    await ingress.accept_turn(turn("t3", on_busy="inject"))
    clock.advance(100)
    second = await _claim(db, owner_id="w2", max_batches=1)
    assert (second.turn_id, ids(second.work), second.restarts) == ("t1", ids(first.work), 1)
    assert second.lease.generation == first.lease.generation + 1
    assert second.work.fencing_token > first.work.fencing_token
    assert [line.identity.replay_key for line in second.journal] == ["e1"]
    assert second.journal[0].result == done()
    clock.advance(100)
    third = await _claim(db, owner_id="w3")
    assert (ids(third.work), third.restarts) == (ids(first.work), 2)
    for lost in (first, second):
        with refused("session_lease_lost"):
            await ingress.renew_turn(lost, lease_ttl_ms=100)
        with refused("session_lease_lost"):
            await _finish(db, lost)
        await ingress.abandon_turn(lost)
    assert await db.session_leases.find_session_lease("s1") == third.lease
    await _finish(db, third)
    assert (await _claim(db, owner_id="w3")).turn_id == "t3"


async def test_abandoned_turn_is_free_at_once_and_still_whole(db: Database) -> None:
    ingress = db.turn_ingress
    await ingress.accept_turn(turn("t1", on_busy="inject"))
    first = await _claim(db)
    await ingress.accept_turn(turn("t2", on_busy="inject"))
    await ingress.abandon_turn(first)
    assert await db.session_leases.find_session_lease("s1") is None
    assert await _state(db, "t1") is TurnState.RUNNING
    second = await _claim(db, owner_id="w2")
    assert (second.turn_id, ids(second.work), second.restarts) == ("t1", ids(first.work), 1)


async def test_batches_of_an_interrupted_turn_are_nobody_elses(db: Database, clock: SettableClock) -> None:
    store = db.runtime_persistence()
    accepted = await db.turn_ingress.accept_turn(turn("t1", on_busy="inject"))
    await _claim(db)
    clock.advance(100)
    other = await store.enqueue_queued_work(draft("x", "s1", slot=JOIN, merge=DEFAULT))
    assert await store.cancel_queued_work_batch("s1", accepted.batch_id) is None
    assert ids(await store.claim_for_running_turn("s1", "w2", 0, 10)) == [other.batch_id]
    assert ids(await store.claim_ready_queued_work("s1", "w2", IDLE, 0, 10)) == [other.batch_id]
    assert ids((await _claim(db, owner_id="w2")).work) == [accepted.batch_id]


async def test_running_turn_is_not_claimed_again_by_its_own_process(db: Database) -> None:
    for turn_id in ("t1", "t2"):
        await db.turn_ingress.accept_turn(turn(turn_id))
    claimed = await _claim(db)
    assert await _ask(db) == ClaimRefused(reason="session_leased", holder_id="w1", retry_at_ms=START_MS + 100)
    await _finish(db, claimed)


async def test_turn_that_is_committed_already_is_settled_and_passed_over(db: Database) -> None:
    for turn_id in ("t1", "t2"):
        await db.turn_ingress.accept_turn(turn(turn_id))
    await db.runtime_persistence("s1").commit_runtime_state(
        commit("s1", turn_commit=stamp("t1", session_id="s1"))
    )
    claimed = await _claim(db)
    assert claimed.turn_id == "t2"
    assert await _state(db, "t1") is TurnState.COMMITTED
    assert ids(await db.runtime_persistence().list_queued_work("s1")) == ids(claimed.work)


async def test_renewal_extends_lease_and_claims_from_now(db: Database, clock: SettableClock) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    clock.advance(90)
    renewed = await db.turn_ingress.renew_turn(claimed, lease_ttl_ms=200)
    assert renewed.lease == claimed.lease.replace(expires_at_ms=START_MS + 290)
    assert renewed.work == claimed.work.replace(expires_at_ms=START_MS + 290)
    assert not renewed.cancel_requested
    clock.advance(199)
    refusal = await _ask(db, owner_id="w2")
    assert isinstance(refusal, ClaimRefused)
    assert refusal.retry_at_ms == START_MS + 290
    clock.advance(1)
    await db.turn_ingress.renew_turn(renewed, lease_ttl_ms=10)  # expired, and nobody took over
    await _finish(db, renewed)


async def test_commit_of_a_turn_releases_its_lease_and_answers_again_without_it(db: Database) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    store = db.runtime_persistence("s1")
    first = await store.commit_runtime_state(_commit(claimed))
    assert await db.session_leases.find_session_lease("s1") is None
    again = await store.commit_runtime_state(_commit(claimed))
    assert again == first.replace(replayed=True)
    with refused("session_lease_lost"):
        await store.commit_runtime_state(
            _commit(claimed, 1, turn_commit=stamp("t2", session_id="s1"), completed_queue_claims=())
        )
    assert (await db.session_leases.claim_session_lease("s1", owner_id="w", ttl_ms=1)).generation == 2


# -- injections


async def test_checkpoint_takes_what_may_enter_the_running_turn(db: Database, clock: SettableClock) -> None:
    ingress = db.turn_ingress
    await ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    assert await ingress.claim_injections(claimed, effect_id="c1", lease_ttl_ms=100) is None
    await ingress.accept_turn(turn("later"))
    for turn_id in ("i1", "i2"):
        await ingress.accept_turn(turn(turn_id, text=turn_id, on_busy="inject"))
    taken = await ingress.claim_injections(claimed, effect_id="c1", lease_ttl_ms=100)
    assert taken is not None
    assert [text_of(batch) for batch in taken.batches] == ["i1", "i2"]
    assert taken.claim_id != claimed.work.claim_id
    assert (await ingress.find_turn("s1", "i1")).absorbed_by == "t1"
    assert await ingress.claim_injections(claimed, effect_id="c2", lease_ttl_ms=100) is None
    await db.runtime_persistence("s1").commit_runtime_state(
        _commit(claimed, completed_queue_claims=(claimed.work.completion(), taken.completion()))
    )
    assert await _state(db, "i1") is TurnState.COMMITTED
    assert (await _claim(db)).turn_id == "later"


async def test_restarted_turn_finds_what_each_checkpoint_took_and_what_has_come_since(
    db: Database, clock: SettableClock
) -> None:
    ingress = db.turn_ingress
    await ingress.accept_turn(turn("t1"))
    first = await _claim(db)
    await ingress.accept_turn(turn("i1", on_busy="inject"))
    one = await ingress.claim_injections(first, effect_id="c1", lease_ttl_ms=100)
    await ingress.accept_turn(turn("i2", on_busy="inject"))
    two = await ingress.claim_injections(first, effect_id="c2", lease_ttl_ms=100)
    clock.advance(100)
    second = await _claim(db, owner_id="w2")
    assert {effect_id: ids(claim) for effect_id, claim in second.injected.items()} == {
        "c1": ids(one),
        "c2": ids(two),
    }
    assert ids(second.work) == ids(first.work)
    assert len({second.work.claim_id, *(claim.claim_id for claim in second.injected.values())}) == 3
    new = await ingress.accept_turn(turn("i3", on_busy="inject"))
    again = await ingress.claim_injections(second, effect_id="c2", lease_ttl_ms=100)
    assert again is not None
    assert ids(again) == [*ids(two), new.batch_id]
    renewed = await ingress.renew_turn(second, lease_ttl_ms=100)
    assert {effect_id: ids(claim) for effect_id, claim in renewed.injected.items()} == {
        "c1": ids(one),
        "c2": ids(again),
    }
    await _finish(db, renewed)
    assert await db.runtime_persistence().list_queued_work("s1") == []


async def test_input_that_missed_its_turn_is_not_lost(db: Database) -> None:
    ingress = db.turn_ingress
    await ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    await ingress.accept_turn(turn("i1", on_busy="inject"))
    assert await ingress.claim_injections(claimed, effect_id="c1", lease_ttl_ms=100) is not None
    await _finish(db, claimed)  # the turn ended without having read it
    assert await _state(db, "i1") is TurnState.PENDING
    following = await _claim(db)
    assert (following.turn_id, following.restarts) == ("i1", 0)


async def test_superseded_driver_injects_nothing(db: Database, clock: SettableClock) -> None:
    ingress = db.turn_ingress
    await ingress.accept_turn(turn("t1"))
    first = await _claim(db)
    clock.advance(100)
    await _claim(db, owner_id="w2")
    await ingress.accept_turn(turn("i1", on_busy="inject"))
    with refused("session_lease_lost"):
        await ingress.claim_injections(first, effect_id="c1", lease_ttl_ms=100)
    assert await _state(db, "i1") is TurnState.PENDING


# -- cancellation


async def test_waiting_turn_is_cancelled_before_it_runs_and_its_id_is_free_again(db: Database) -> None:
    ingress = db.turn_ingress
    assert await ingress.request_cancel("s1", "t1") == "unknown_turn"
    first = await ingress.accept_turn(turn("t1"))
    assert await ingress.request_cancel("s2", "t1") == "unknown_turn"
    assert await ingress.request_cancel("s1", "t1") == "cancelled_before_execution"
    assert await _state(db, "t1") is TurnState.CANCELLED
    assert await _ask(db) == ClaimRefused(reason="empty")
    assert await ingress.request_cancel("s1", "t1") == "unknown_turn"
    second = await ingress.accept_turn(turn("t1", text="another text"))
    assert (second.known, second.batch_id != first.batch_id) == (False, True)
    assert await _state(db, "t1") is TurnState.PENDING


async def test_running_turn_is_told_and_the_commit_wins(db: Database) -> None:
    ingress = db.turn_ingress
    await ingress.accept_turn(turn("t1"))
    claimed = await _claim(db)
    assert not await ingress.is_cancel_requested("s1", "t1")
    assert await ingress.request_cancel("s1", "t1") == "requested"
    assert await ingress.request_cancel("s1", "t1") == "requested"
    assert await ingress.is_cancel_requested("s1", "t1")
    assert (await ingress.renew_turn(claimed, lease_ttl_ms=100)).cancel_requested
    await _finish(db, claimed)
    assert await ingress.request_cancel("s1", "t1") == "too_late"
    assert not await ingress.is_cancel_requested("s1", "t1"), "the commit drops the request"


async def test_request_reaches_the_turn_of_its_session_only(db: Database) -> None:
    ingress = db.turn_ingress
    for session_id in ("s1", "s2"):
        await ingress.accept_turn(turn("t1", session_id))
        await _claim(db, session_id)
    assert await ingress.request_cancel("s1", "t1") == "requested"
    assert not await ingress.is_cancel_requested("s2", "t1")


async def test_request_outlives_an_interruption(db: Database, clock: SettableClock) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    await db.turn_ingress.abandon_turn(await _claim(db))
    assert await db.turn_ingress.request_cancel("s1", "t1") == "requested"
    assert (await _claim(db, owner_id="w2")).cancel_requested


async def test_unknown_turn_has_the_state_unknown(db: Database) -> None:
    status = await db.turn_ingress.find_turn("s1", "nobody")
    assert status == TurnStatus(turn_id="nobody", state=TurnState.UNKNOWN)


# -- what there is to do


async def test_ready_sessions_come_oldest_work_first_and_later_ones_after(
    db: Database, clock: SettableClock
) -> None:
    store = db.runtime_persistence()
    for session_id in ("a", "b", "c", "d", "foreign"):
        agent = "other" if session_id == "foreign" else "helper"
        await db.session_catalog.admit_session(session_id, agent=agent)
    await store.enqueue_queued_work(draft(session_id="d", available_at_ms=START_MS + 70))
    await store.enqueue_queued_work(draft(session_id="c", available_at_ms=START_MS + 50))
    await db.turn_ingress.accept_turn(turn("t1", "b"))
    await db.turn_ingress.accept_turn(turn("t1", "a"))
    await db.turn_ingress.accept_turn(turn("t1", "foreign", agent="other"))
    await db.turn_ingress.accept_turn(turn("t1", "s1"))
    await _claim(db, "s1")
    ready = await db.turn_ingress.list_ready_sessions(AGENTS)
    assert [entry.session_id for entry in ready] == ["b", "a", "c", "d"]
    assert [entry.ready_at_ms <= START_MS for entry in ready] == [True, True, False, False]
    assert [entry.ready_at_ms for entry in ready[2:]] == [START_MS + 50, START_MS + 70]
    assert {entry.agent for entry in ready} == {"helper"}
    assert len(await db.turn_ingress.list_ready_sessions(AGENTS, limit=1)) == 1
    assert [e.session_id for e in await db.turn_ingress.list_ready_sessions(("other",))] == ["foreign"]
    assert await db.turn_ingress.list_ready_sessions(()) == []


async def test_session_is_ready_again_once_its_driver_is_gone(db: Database, clock: SettableClock) -> None:
    await db.turn_ingress.accept_turn(turn("t1"))
    await _claim(db)
    assert await db.turn_ingress.list_ready_sessions(AGENTS) == []
    clock.advance(100)
    (entry,) = await db.turn_ingress.list_ready_sessions(AGENTS)
    assert (entry.session_id, entry.ready_at_ms <= clock.now_ms()) == ("s1", True)
    await _finish(db, await _claim(db, owner_id="w2"))
    assert await db.turn_ingress.list_ready_sessions(AGENTS) == []


async def test_unserved_work_is_counted_by_agent(db: Database) -> None:
    await db.session_catalog.admit_session("x", agent="other")
    await db.turn_ingress.accept_turn(turn("t1", "s1"))
    await db.turn_ingress.accept_turn(turn("t2", "s1"))
    await db.turn_ingress.accept_turn(turn("t1", "x", agent="other"))
    assert await db.turn_ingress.list_unserved(("helper",)) == {"other": 1}
    assert await db.turn_ingress.list_unserved(()) == {"helper": 2, "other": 1}
    assert await db.turn_ingress.list_unserved(("helper", "other")) == {}


async def test_living_owners_keep_what_they_hold(backend: Backend) -> None:
    db = backend.db
    other = await backend.another_handle()
    await db.turn_ingress.accept_turn(turn("t1"), claim_owner_id=db.owner_id)
    assert await other.turn_ingress.release_dead_owners() == 0
    lease = await other.session_leases.find_session_lease("s1")
    assert lease is not None
    assert lease.owner_id == db.owner_id


async def test_what_a_closed_handle_held_is_free_without_waiting(backend: Backend) -> None:
    owner = await backend.another_handle()
    owner_id = owner.owner_id
    await owner.turn_ingress.accept_turn(turn("t1"), claim_owner_id=owner_id, lease_ttl_ms=10**9)
    await backend.restart(owner)
    assert await backend.db.turn_ingress.release_dead_owners() > 0
    claimed = await _claim(backend.db, owner_id=backend.db.owner_id)
    assert (claimed.turn_id, claimed.restarts) == ("t1", 1)


async def test_turn_is_accepted_driven_and_told_about_across_handles(backend: Backend) -> None:
    mine, theirs = backend.db, await backend.another_handle()
    await mine.turn_ingress.accept_turn(turn("t1"))
    claimed = await _claim(theirs, owner_id="w2")
    assert await mine.turn_ingress.request_cancel("s1", "t1") == "requested"
    assert await theirs.turn_ingress.is_cancel_requested("s1", "t1")
    await _finish(theirs, claimed)
    assert await _state(mine, "t1") is TurnState.COMMITTED
    read = await mine.runtime_persistence("s1").load_session(FullGraph())
    assert read is not None
    assert read.head_revision == 1


# -- retention


async def _complete(db: Database, turn_id: str, revision: int) -> None:
    """Take up the next turn and commit it."""
    claimed = await _claim(db)
    assert claimed.turn_id == turn_id
    await _finish(db, claimed, revision)


async def test_settled_batches_go_when_they_are_old_and_no_others(db: Database, clock: SettableClock) -> None:
    ingress, store = db.turn_ingress, db.runtime_persistence()
    seeded = await store.enqueue_queued_work(draft("seed", "s1", source_key="k"))
    await store.cancel_queued_work_batch("s1", seeded.batch_id)
    await ingress.accept_turn(turn("t1"))
    await _complete(db, "t1", 0)
    clock.advance(10)
    await ingress.accept_turn(turn("t2"))
    await ingress.accept_turn(turn("t3"))
    await _complete(db, "t2", 1)
    assert await ingress.prune_settled_work(settled_before_ms=START_MS) == 0  # the bound is exclusive
    assert await ingress.prune_settled_work(settled_before_ms=START_MS + 1, limit=0) == 0
    assert await ingress.prune_settled_work(settled_before_ms=START_MS + 1, limit=1) == 1
    assert await ingress.prune_settled_work(settled_before_ms=START_MS + 10, limit=9) == 1
    with refused("idempotency_conflict"):  # still kept, so the other content is noticed
        await ingress.accept_turn(turn("t2", text="other"))
    assert await ingress.prune_settled_work(settled_before_ms=START_MS + 10**9) == 1
    (waiting,) = await store.list_queued_work("s1")
    assert waiting.source_key == "turn:t3"


async def test_a_pruned_turn_is_still_answered_with_its_receipt(db: Database) -> None:
    ingress = db.turn_ingress
    await ingress.accept_turn(turn("t1"))
    await _complete(db, "t1", 0)
    before = await ingress.find_turn("s1", "t1")
    assert await ingress.prune_settled_work(settled_before_ms=START_MS + 1) == 1
    after = await ingress.find_turn("s1", "t1")
    assert after == before.replace(batch_id=None)
    assert after.receipt is not None
    assert await ingress.request_cancel("s1", "t1") == "too_late"
    again = await ingress.accept_turn(turn("t1"), claim_owner_id="w")
    assert (again.claimed, again.status.state, again.status.receipt) == (None, after.state, after.receipt)
    assert await ingress.claim_turn("s1", owner_id="w", agents=["helper"], lease_ttl_ms=1) == ClaimRefused(
        reason="empty"
    )


async def test_the_key_of_an_accepted_turn_is_no_key_for_other_work(db: Database) -> None:
    store = db.runtime_persistence()
    await db.turn_ingress.accept_turn(turn("t1"))
    for revision in (0, None):  # waiting, then committed
        with refused("idempotency_conflict"):
            await store.enqueue_queued_work(draft("other", "s1", source_key="turn:t1"))
        if revision is not None:
            await _complete(db, "t1", revision)
