"""The session lease by itself (contract 5, B-4)."""

from __future__ import annotations

import asyncio

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, refused
from lash.testing.conformance.trial import Trial
from lash.values import SessionLease

LEASE_MS = 30_000


async def _lease(database: Database, owner: str = "o1", ttl_ms: int = LEASE_MS) -> SessionLease:
    return await database.session_leases.claim_session_lease("root", owner_id=owner, ttl_ms=ttl_ms)


NOBODYS = "a token that nobody was given"


@case(Contract.SESSION_LEASES, rule="B-4")
async def a_live_session_lease_keeps_everyone_out(trial: Trial[Database]) -> None:
    """Its owner included, and the refusal names it; other sessions are free."""
    lease = await _lease(trial.subject)
    for owner in ("o1", "o2"):
        with refused("session_lease_held", f"a second lease, by {owner!r}", says="o1"):
            await _lease(trial.subject, owner)
    expect_equal(await trial.subject.session_leases.find_session_lease("root"), lease, "the live lease")
    other = await trial.subject.session_leases.claim_session_lease("other", owner_id="o2", ttl_ms=LEASE_MS)
    expect_equal(other.session_id, "other", "another session's lease")


@case(Contract.SESSION_LEASES, rule="B-4")
async def generations_grow_over_every_claim(trial: Trial[Database]) -> None:
    """Across releases and expiries; tokens are fresh."""
    leases = []
    for _ in range(3):
        lease = await _lease(trial.subject)
        await trial.subject.session_leases.release_session_lease(lease)
        leases.append(lease)
    leases.append(await _lease(trial.subject, ttl_ms=0))
    leases.append(await _lease(trial.subject, "o2"))
    generations = [lease.generation for lease in leases]
    expect_equal(generations, sorted(set(generations)), "the generations")
    expect_equal(len({lease.lease_token for lease in leases}), 5, "the tokens")


@case(Contract.SESSION_LEASES, rule=("R-4", "R-5"), needs=Feature.CLOCK)
async def a_session_lease_is_over_in_the_millisecond_of_its_expiry(trial: Trial[Database]) -> None:
    """Held one millisecond before, free and not renewable at it; a negative time is refused."""
    leases = trial.subject.session_leases
    lease = await _lease(trial.subject, ttl_ms=10)
    expect_equal(lease.expires_at_ms, trial.clock.now_ms() + 10, "the expiry")
    trial.clock.advance(9)
    with refused("session_lease_held", "a claim one millisecond before the expiry"):
        await _lease(trial.subject, "o2")
    trial.clock.advance(1)
    expect_equal(await leases.find_session_lease("root"), None, "the lease at its expiry")
    with refused("session_lease_lost", "the renewal of an expired lease"):
        await leases.renew_session_lease(lease, ttl_ms=10)
    with refused("invalid_argument", "a lease for a negative time"):
        await _lease(trial.subject, "o2", -1)
    await _lease(trial.subject, "o2")


@case(Contract.SESSION_LEASES, rule="B-4")
async def only_the_current_lease_renews(trial: Trial[Database]) -> None:
    """Token, owner and generation must match; a release by a superseded holder changes nothing."""
    leases = trial.subject.session_leases
    old = await _lease(trial.subject, ttl_ms=0)
    lease = await _lease(trial.subject, "o2")
    for wrong in (
        old,
        lease.replace(lease_token=NOBODYS),
        lease.replace(owner_id="o3"),
        lease.replace(generation=lease.generation + 1),
    ):
        with refused("session_lease_lost", "the renewal of a lease that is not the current one"):
            await leases.renew_session_lease(wrong, ttl_ms=LEASE_MS)
        await leases.release_session_lease(wrong)
    renewed = await leases.renew_session_lease(lease, ttl_ms=LEASE_MS * 2)
    expect(renewed.expires_at_ms > lease.expires_at_ms, "a renewal counts from now")
    expect_equal(renewed.generation, lease.generation, "a renewal keeps the generation")


@case(Contract.SESSION_LEASES)
async def of_concurrent_session_claims_one_wins(trial: Trial[Database]) -> None:
    """Many owners at once: one has the session."""
    answers = await asyncio.gather(
        *(_lease(trial.subject, f"o{index}") for index in range(8)), return_exceptions=True
    )
    expect_equal(sum(isinstance(answer, SessionLease) for answer in answers), 1, "the winners")


@case(Contract.SESSION_LEASES, rule="R-6", needs=Feature.SECOND_HANDLE)
async def session_leases_hold_across_handles(trial: Trial[Database]) -> None:
    """What one handle holds the other one sees, may not take, and may have after the release."""
    lease = await _lease(trial.subject)
    expect_equal(await trial.second.session_leases.find_session_lease("root"), lease, "the lease")
    with refused("session_lease_held", "a claim through the other handle"):
        await _lease(trial.second, "o2")
    await trial.subject.session_leases.release_session_lease(lease)
    await _lease(trial.second, "o2")
