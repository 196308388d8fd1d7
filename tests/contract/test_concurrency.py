"""Many tasks at once, on one handle and on two: one winner, nothing lost, nothing twice (contract 2.D, D.5)."""

from __future__ import annotations

import asyncio
from collections import Counter

from lash.contracts import Database
from lash.errors import LashError
from lash.values import ClaimedTurn, EffectClaim, EffectRecord, FullGraph, SessionLease

from .conftest import Backend
from .samples import (
    DEFAULT,
    IDLE,
    JOIN,
    append,
    commit,
    done,
    draft,
    effect,
    ids,
    node,
    settling,
    stamp,
    turn,
    usage,
)

TASKS = 16


async def _handles(backend: Backend) -> list[Database]:
    other = await backend.another_handle()
    return [backend.db if i % 2 else other for i in range(TASKS)]


def _codes(outcomes: list[object]) -> Counter[str]:
    return Counter(
        outcome.code if isinstance(outcome, LashError) else type(outcome).__name__ for outcome in outcomes
    )


async def test_of_many_commits_on_one_head_exactly_one_wins(backend: Backend) -> None:
    handles = await _handles(backend)
    outcomes = await asyncio.gather(
        *(
            handle.runtime_persistence("s1").commit_runtime_state(
                commit("s1", graph=append(node(f"n{i}")), turn_commit=stamp(f"t{i}", session_id="s1"))
            )
            for i, handle in enumerate(handles)
        ),
        return_exceptions=True,
    )
    assert _codes(list(outcomes)) == {"RuntimeCommitResult": 1, "head_revision_conflict": TASKS - 1}
    read = await backend.db.runtime_persistence("s1").load_session(FullGraph())
    assert read is not None
    assert (read.head_revision, len(read.graph.nodes)) == (1, 1)


async def test_one_stamp_committed_by_many_is_applied_once(backend: Backend) -> None:
    handles = await _handles(backend)
    results = await asyncio.gather(
        *(
            handle.runtime_persistence("s1").commit_runtime_state(
                commit(
                    "s1",
                    graph=append(node("n")),
                    turn_commit=stamp("t", session_id="s1"),
                    usage_deltas=(usage(3),),
                )
            )
            for handle in handles
        )
    )
    assert [result.replayed for result in results].count(False) == 1
    assert {(result.head_revision, result.checkpoint_ref) for result in results} == {
        (1, results[0].checkpoint_ref)
    }
    read = await backend.db.runtime_persistence("s1").load_session(FullGraph())
    assert read is not None
    assert read.token_ledger == (usage(3),)


async def test_one_source_key_enqueued_by_many_is_one_batch(backend: Backend) -> None:
    handles = await _handles(backend)
    batches = await asyncio.gather(
        *(
            handle.runtime_persistence().enqueue_queued_work(draft(f"{i}", source_key="k"))
            for i, handle in enumerate(handles)
        )
    )
    assert len({batch.batch_id for batch in batches}) == 1
    assert len(await backend.db.runtime_persistence().list_queued_work("root")) == 1


async def test_no_row_is_ever_claimed_by_two(backend: Backend) -> None:
    store = backend.db.runtime_persistence()
    rows = [(await store.enqueue_queued_work(draft(slot=JOIN, merge=DEFAULT))).batch_id for _ in range(40)]
    handles = await _handles(backend)
    claims = await asyncio.gather(
        *(
            handle.runtime_persistence().claim_ready_queued_work("root", f"w{i}", IDLE, 60_000, 3)
            for i, handle in enumerate(handles)
        )
    )
    taken = [batch_id for claim in claims for batch_id in ids(claim)]
    assert sorted(taken) == sorted(rows)
    assert [len(ids(claim)) for claim in claims].count(3) == 13


async def test_enqueue_order_is_strict_over_many_writers(backend: Backend) -> None:
    handles = await _handles(backend)
    batches = await asyncio.gather(
        *(
            handle.runtime_persistence().enqueue_queued_work(draft(session_id=f"s{i % 3}"))
            for i, handle in enumerate(handles)
        )
    )
    assert len({batch.enqueue_seq for batch in batches}) == TASKS
    assert len({batch.batch_id for batch in batches}) == TASKS


async def test_of_many_lease_claims_exactly_one_wins(backend: Backend) -> None:
    handles = await _handles(backend)
    outcomes = await asyncio.gather(
        *(
            handle.session_leases.claim_session_lease("s1", owner_id=f"w{i}", ttl_ms=60_000)
            for i, handle in enumerate(handles)
        ),
        return_exceptions=True,
    )
    assert _codes(list(outcomes)) == {"SessionLease": 1, "session_lease_held": TASKS - 1}
    (lease,) = [outcome for outcome in outcomes if isinstance(outcome, SessionLease)]
    assert lease.generation == 1


async def test_one_turn_accepted_and_claimed_by_many_has_one_driver(backend: Backend) -> None:
    await backend.db.session_catalog.admit_session("s1", agent="helper")
    handles = await _handles(backend)
    accepted = await asyncio.gather(
        *(
            handle.turn_ingress.accept_turn(turn("t1"), claim_owner_id=f"w{i}", lease_ttl_ms=60_000)
            for i, handle in enumerate(handles)
        )
    )
    assert [acceptance.known for acceptance in accepted].count(False) == 1
    assert len([acceptance for acceptance in accepted if acceptance.claimed is not None]) == 1
    answers = await asyncio.gather(
        *(
            handle.turn_ingress.claim_turn("s1", owner_id=f"x{i}", agents=("helper",), lease_ttl_ms=60_000)
            for i, handle in enumerate(handles)
        )
    )
    assert not [answer for answer in answers if isinstance(answer, ClaimedTurn)]


async def test_of_many_claims_of_one_effect_exactly_one_runs(backend: Backend) -> None:
    handles = await _handles(backend)
    answers = await asyncio.gather(
        *(
            handle.effect_journal.claim_effect(effect("k"), owner_id=f"w{i}", ttl_ms=60_000)
            for i, handle in enumerate(handles)
        )
    )
    (claim,) = [answer for answer in answers if isinstance(answer, EffectClaim)]
    await backend.db.effect_journal.record_effect(claim, done())
    again = await handles[0].effect_journal.claim_effect(effect("k"), owner_id="w", ttl_ms=1)
    assert isinstance(again, EffectRecord)
    assert again.runs == 1


async def test_many_sessions_are_driven_side_by_side_in_order(backend: Backend) -> None:
    sessions, turns = 8, 4
    handles = await _handles(backend)

    async def drive(number: int) -> list[str]:
        db, session_id, driven = handles[number], f"s{number}", []
        await db.session_catalog.admit_session(session_id, agent="helper")
        for index in range(turns):
            await db.turn_ingress.accept_turn(turn(f"t{index}", session_id))
        for revision in range(turns):
            claimed = await db.turn_ingress.claim_turn(
                session_id, owner_id=f"w{number}", agents=("helper",), lease_ttl_ms=60_000
            )
            assert isinstance(claimed, ClaimedTurn)
            driven.append(claimed.turn_id)
            parent = claimed.head.leaf_node_id
            await db.runtime_persistence(session_id).commit_runtime_state(
                commit(
                    session_id,
                    expected=revision,
                    graph=append(node(f"n{revision}", parent)),
                    turn_commit=stamp(claimed.turn_id, session_id=session_id),
                    completed_queue_claims=(claimed.work.completion(),),
                    settlement=settling(claimed.turn_id, claimed.lease),
                    usage_deltas=(usage(1, key=f"k{revision}"),),
                )
            )
        return driven

    driven = await asyncio.gather(*(drive(number) for number in range(sessions)))
    assert driven == [[f"t{index}" for index in range(turns)]] * sessions
    for number in range(sessions):
        read = await backend.db.runtime_persistence(f"s{number}").load_session(FullGraph())
        assert read is not None
        assert [n.node_id for n in read.graph.nodes] == [f"n{i}" for i in range(turns)]
        assert read.token_ledger == (usage(turns),)
    assert await backend.db.turn_ingress.list_ready_sessions(("helper",)) == []


async def test_cancelled_caller_leaves_the_store_before_or_after_its_step(backend: Backend) -> None:
    store = backend.db.runtime_persistence("s1")
    task = asyncio.ensure_future(
        store.commit_runtime_state(
            commit("s1", graph=append(node("a")), turn_commit=stamp("t", session_id="s1"))
        )
    )
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    again = await store.commit_runtime_state(
        commit("s1", graph=append(node("a")), turn_commit=stamp("t", session_id="s1"))
    )
    assert again.head_revision == 1
    assert await store.load_node("a") == node("a")
