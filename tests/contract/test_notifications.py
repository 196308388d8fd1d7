"""Waking up: every change that somebody may wait for rings, and no ring is lost (R-24)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lash.contracts import Database
from lash.values import ClaimedTurn, EffectClaim

from .conftest import Backend
from .samples import IDLE, commit, done, draft, effect, stamp, turn

LONG_MS = 10_000  # how long a test waits for what must come
SHORT_MS = 60  # how long it waits for what must not

Act = Callable[[Database], Awaitable[object]]


async def _accept(db: Database) -> None:
    await db.turn_ingress.accept_turn(turn("t2"))


async def _enqueue(db: Database) -> None:
    await db.runtime_persistence().enqueue_queued_work(draft(session_id="s1"))


async def _abandon_claim(db: Database) -> None:
    store = db.runtime_persistence()
    claim = await store.claim_ready_queued_work("s1", "w", IDLE, 1000, 1)
    assert claim is not None
    await store.abandon_queued_work_claim(claim)


async def _abandon_turn(db: Database) -> None:
    claimed = await db.turn_ingress.claim_turn("s1", owner_id="w", agents=("helper",), lease_ttl_ms=1000)
    assert isinstance(claimed, ClaimedTurn)
    await db.turn_ingress.abandon_turn(claimed)


async def _commit(db: Database) -> None:
    await db.runtime_persistence("s1").commit_runtime_state(
        commit("s1", turn_commit=stamp("t9", session_id="s1"))
    )


async def _cancel(db: Database) -> None:
    assert await db.turn_ingress.request_cancel("s1", "t1") == "cancelled_before_execution"


async def _tell_running(db: Database) -> None:
    await db.turn_ingress.claim_turn("s1", owner_id="w", agents=("helper",), lease_ttl_ms=1000)
    assert await db.turn_ingress.request_cancel("s1", "t1") == "requested"


async def _release(db: Database) -> None:
    lease = await db.session_leases.claim_session_lease("s1", owner_id="w", ttl_ms=1000)
    await db.session_leases.release_session_lease(lease)


async def _record(db: Database) -> None:
    claim = await db.effect_journal.claim_effect(effect("k1"), owner_id="w", ttl_ms=1000)
    assert isinstance(claim, EffectClaim)
    await db.effect_journal.record_effect(claim, done())


async def _give_effect_back(db: Database) -> None:
    claim = await db.effect_journal.claim_effect(effect("k1"), owner_id="w", ttl_ms=1000)
    assert isinstance(claim, EffectClaim)
    await db.effect_journal.release_effect_claim(claim)


RINGS: list[tuple[str, Act]] = [
    ("queue", _accept),
    ("queue", _enqueue),
    ("queue", _abandon_claim),
    ("queue", _abandon_turn),
    ("session:s1", _accept),
    ("session:s1", _enqueue),
    ("session:s1", _abandon_turn),
    ("session:s1", _commit),
    ("session:s1", _cancel),
    ("session:s1", _tell_running),
    ("session:s1", _release),
    ("effect:k1", _record),
    ("effect:k1", _give_effect_back),
]


@pytest.fixture(autouse=True)
async def accepted(db: Database) -> None:
    await db.session_catalog.admit_session("s1", agent="helper")
    await db.turn_ingress.accept_turn(turn("t1"))


@pytest.mark.parametrize(("topic", "act"), RINGS, ids=[f"{topic}-{act.__name__}" for topic, act in RINGS])
async def test_change_rings_its_topic_here_and_on_other_handles(
    backend: Backend, topic: str, act: Act
) -> None:
    other = await backend.another_handle()
    subscriptions = [backend.db.subscribe([topic, "never"]), other.subscribe([topic])]
    waiting = [asyncio.ensure_future(s.wait(LONG_MS)) for s in subscriptions]
    await asyncio.sleep(0)
    await act(backend.db)
    assert await asyncio.gather(*waiting) == [True, True]
    for subscription in subscriptions:
        subscription.close()


async def test_ring_between_the_look_and_the_wait_ends_the_wait_at_once(db: Database) -> None:
    subscription = db.subscribe(["session:s1"])
    await _commit(db)
    assert await subscription.wait(LONG_MS)
    subscription.close()


async def test_wait_without_a_ring_times_out_and_works_again(db: Database) -> None:
    subscription = db.subscribe(["session:other"])
    assert not await subscription.wait(SHORT_MS)
    await db.runtime_persistence("other").commit_runtime_state(commit("other"))
    assert await subscription.wait(LONG_MS)
    subscription.close()


async def test_closed_subscription_hears_nothing(db: Database) -> None:
    closed, open_one = db.subscribe(["session:s1"]), db.subscribe(["session:s1"])
    closed.close()
    closed.close()
    await _commit(db)
    assert await open_one.wait(LONG_MS)
    assert not await closed.wait(0)
    open_one.close()
