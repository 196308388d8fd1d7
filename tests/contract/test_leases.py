"""Session leases (contract 5, B-4; R-4, R-5, R-26, R-27)."""

from __future__ import annotations

from lash.contracts import Database

from .conftest import Backend
from .samples import refused
from .settable import START_MS, SettableClock


async def test_live_lease_keeps_everyone_else_out_until_its_last_millisecond(
    db: Database, clock: SettableClock
) -> None:
    leases = db.session_leases
    lease = await leases.claim_session_lease("s1", owner_id="a", ttl_ms=100)
    assert (lease.generation, lease.claimed_at_ms, lease.expires_at_ms) == (1, START_MS, START_MS + 100)
    assert await leases.find_session_lease("s1") == lease
    clock.advance(99)
    with refused("session_lease_held") as problem:
        await leases.claim_session_lease("s1", owner_id="b", ttl_ms=100)
    assert problem.value.facts["owner_id"] == "a"
    assert problem.value.facts["expires_at_ms"] == START_MS + 100
    clock.advance(1)
    assert await leases.find_session_lease("s1") is None
    second = await leases.claim_session_lease("s1", owner_id="b", ttl_ms=100)
    assert second.generation == 2
    assert second.lease_token != lease.lease_token


async def test_two_works_of_one_owner_exclude_each_other(db: Database) -> None:
    await db.session_leases.claim_session_lease("s1", owner_id="a", ttl_ms=100)
    with refused("session_lease_held"):
        await db.session_leases.claim_session_lease("s1", owner_id="a", ttl_ms=100)


async def test_sessions_have_their_own_leases(db: Database) -> None:
    one = await db.session_leases.claim_session_lease("s1", owner_id="a", ttl_ms=100)
    two = await db.session_leases.claim_session_lease("s2", owner_id="b", ttl_ms=100)
    assert (one.generation, two.generation) == (1, 1)


async def test_generation_survives_release_and_is_never_reused(db: Database) -> None:
    leases = db.session_leases
    generations = []
    for _ in range(3):
        lease = await leases.claim_session_lease("s1", owner_id="a", ttl_ms=100)
        generations.append(lease.generation)
        await leases.release_session_lease(lease)
        assert await leases.find_session_lease("s1") is None
    assert generations == [1, 2, 3]


async def test_time_to_live_of_zero_is_over_at_once(db: Database) -> None:
    leases = db.session_leases
    first = await leases.claim_session_lease("s1", owner_id="a", ttl_ms=0)
    second = await leases.claim_session_lease("s1", owner_id="b", ttl_ms=1000)
    assert second.generation == 2
    with refused("session_lease_lost"):
        await leases.renew_session_lease(first, ttl_ms=1000)
    with refused("invalid_argument"):
        await leases.claim_session_lease("s2", owner_id="a", ttl_ms=-1)


async def test_renewal_counts_from_now(db: Database, clock: SettableClock) -> None:
    leases = db.session_leases
    lease = await leases.claim_session_lease("s1", owner_id="a", ttl_ms=20)
    clock.advance(10)
    renewed = await leases.renew_session_lease(lease, ttl_ms=100)
    assert renewed == lease.replace(expires_at_ms=START_MS + 110)
    clock.advance(99)
    assert await leases.find_session_lease("s1") == renewed
    # The value before the renewal names the same grant.
    await leases.renew_session_lease(lease, ttl_ms=100)


async def test_lease_that_is_not_the_live_one_cannot_be_renewed(db: Database, clock: SettableClock) -> None:
    leases = db.session_leases
    lease = await leases.claim_session_lease("s1", owner_id="a", ttl_ms=100)
    for change in ({"lease_token": "forged"}, {"owner_id": "b"}, {"generation": 2}):
        with refused("session_lease_lost"):
            await leases.renew_session_lease(lease.replace(**change), ttl_ms=100)
    clock.advance(100)
    with refused("session_lease_lost"):
        await leases.renew_session_lease(lease, ttl_ms=100)
    with refused("session_lease_lost"):
        await leases.renew_session_lease(lease.replace(session_id="s2"), ttl_ms=100)


async def test_stale_release_leaves_the_live_lease_alone(db: Database, clock: SettableClock) -> None:
    leases = db.session_leases
    old = await leases.claim_session_lease("s1", owner_id="a", ttl_ms=10)
    clock.advance(10)
    live = await leases.claim_session_lease("s1", owner_id="b", ttl_ms=100)
    await leases.release_session_lease(old)
    assert await leases.find_session_lease("s1") == live
    await leases.renew_session_lease(live, ttl_ms=100)


async def test_lease_is_seen_through_another_handle(backend: Backend) -> None:
    other = await backend.another_handle()
    lease = await backend.db.session_leases.claim_session_lease("s1", owner_id="a", ttl_ms=100)
    assert await other.session_leases.find_session_lease("s1") == lease
    with refused("session_lease_held"):
        await other.session_leases.claim_session_lease("s1", owner_id="b", ttl_ms=100)
