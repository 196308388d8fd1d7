"""Process leases: who runs a process (contracts 2.C.17 to 2.C.19)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lash.contracts import ProcessRegistry
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, refused
from lash.testing.conformance.samples.processes import MINUTE_MS, registration, success
from lash.testing.conformance.trial import Trial
from lash.values import ProcessLease, ProcessLeaseCompletion

NOBODYS = "a token that nobody was given"


async def _leased(
    registry: ProcessRegistry, process_id: str, owner: str = "owner-a", ttl_ms: int = MINUTE_MS
) -> ProcessLease:
    """Register a process and take its lease."""
    await registry.register_process(registration(process_id))
    return await registry.claim_process_lease(process_id, owner, ttl_ms)


@case(Contract.PROCESS_REGISTRY, seed=True)
async def active_process_lease_fences_competing_owner(trial: Trial[ProcessRegistry]) -> None:
    """A live lease keeps other owners out, and says so; its own owner may claim again."""
    await _leased(trial.subject, "proc-lease-active")
    with refused(None, "a claim of a leased process", says="already leased"):
        await trial.subject.claim_process_lease("proc-lease-active", "owner-b", MINUTE_MS)
    await trial.subject.claim_process_lease("proc-lease-active", "owner-a", MINUTE_MS)


@case(Contract.PROCESS_REGISTRY, seed=True, rule="R-5")
async def superseded_process_lease_cannot_renew(trial: Trial[ProcessRegistry]) -> None:
    """A lease of no time may be taken over at once; the old value then renews no more, and is told why."""
    old = await _leased(trial.subject, "proc-lease-superseded", ttl_ms=0)
    await trial.subject.claim_process_lease("proc-lease-superseded", "owner-b", MINUTE_MS)
    with refused(None, "the renewal of a superseded lease", says="missing or expired"):
        await trial.subject.renew_process_lease(old, MINUTE_MS)


@case(Contract.PROCESS_REGISTRY, seed=True)
async def renewed_process_lease_survives_original_expiry(trial: Trial[ProcessRegistry]) -> None:
    """A renewal counts from now: past the first expiry the lease is still held."""
    lease = await _leased(trial.subject, "proc-lease-renew", ttl_ms=20)
    renewed = await trial.subject.renew_process_lease(lease, MINUTE_MS)
    await trial.pass_time(30)
    await trial.subject.renew_process_lease(renewed, MINUTE_MS)


@case(Contract.PROCESS_REGISTRY, seed=True)
async def completed_lease_releases_and_reclaim_bumps_fencing(trial: Trial[ProcessRegistry]) -> None:
    """A lease that is given back is free at once, and the next one has a larger fence."""
    first = await _leased(trial.subject, "proc-lease-complete")
    await trial.subject.complete_process_lease(first.completion())
    second = await trial.subject.claim_process_lease("proc-lease-complete", "owner-b", MINUTE_MS)
    expect(second.fencing_token > first.fencing_token, "a re-claim has a larger fence")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def stale_lease_completion_cannot_release_live_lease(trial: Trial[ProcessRegistry]) -> None:
    """A superseded holder that gives its lease back changes nothing for the live one."""
    registry, name = trial.subject, "proc-lease-stale-complete"
    old = await _leased(registry, name, ttl_ms=0)
    current = await registry.claim_process_lease(name, "owner-b", MINUTE_MS)
    await registry.complete_process_lease(old.completion())
    with refused(None, "a claim of a process that is still leased", says="already leased"):
        await registry.claim_process_lease(name, "owner-c", MINUTE_MS)
    await registry.renew_process_lease(current, MINUTE_MS)


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def lease_refusals_are_coded(trial: Trial[ProcessRegistry]) -> None:
    """Held and lost have their codes; a blank owner and a negative time are arguments without sense."""
    registry = trial.subject
    lease = await _leased(registry, "p1")
    with refused("process_lease_held", "a claim of a leased process", says="owner-a"):
        await registry.claim_process_lease("p1", "owner-b", MINUTE_MS)
    with refused("invalid_argument", "a blank owner"):
        await registry.claim_process_lease("p1", " ", MINUTE_MS)
    attempts: list[Callable[[], Awaitable[ProcessLease]]] = [
        lambda: registry.claim_process_lease("p1", "owner-a", -1),
        lambda: registry.renew_process_lease(lease, -1),
    ]
    for attempt in attempts:
        with refused("invalid_argument", "a negative time to live"):
            await attempt()
    await registry.complete_process_lease(lease.completion())
    with refused("process_lease_lost", "the renewal of a lease that was given back"):
        await registry.renew_process_lease(lease, MINUTE_MS)


@case(Contract.PROCESS_REGISTRY, rule=("R-13", "R-26"))
async def a_re_claim_by_its_owner_rotates_the_lease(trial: Trial[ProcessRegistry]) -> None:
    """The owner's second claim has a new token and fence, and the first value stops working."""
    registry = trial.subject
    first = await _leased(registry, "p1")
    second = await registry.claim_process_lease("p1", "owner-a", MINUTE_MS)
    expect(second.lease_token != first.lease_token, "a new token")
    expect_equal(second.fencing_token, first.fencing_token + 1, "the next fence")
    with refused("process_lease_lost", "the renewal of the first value"):
        await registry.renew_process_lease(first, MINUTE_MS)


@case(Contract.PROCESS_REGISTRY, rule="R-27")
async def a_renewal_must_match_in_every_part(trial: Trial[ProcessRegistry]) -> None:
    """Token, fence and owner are all compared; a renewal keeps all three."""
    registry = trial.subject
    lease = await _leased(registry, "p1")
    for wrong in (
        lease.replace(lease_token=NOBODYS),
        lease.replace(fencing_token=lease.fencing_token + 1),
        lease.replace(owner_id="owner-b"),
    ):
        with refused("process_lease_lost", "the renewal of a lease that was not given"):
            await registry.renew_process_lease(wrong, MINUTE_MS)
    renewed = await registry.renew_process_lease(lease, MINUTE_MS)
    kept = renewed.replace(expires_at_ms=lease.expires_at_ms)
    expect_equal(kept, lease, "what a renewal keeps")


@case(Contract.PROCESS_REGISTRY, rule="R-4", needs=Feature.CLOCK)
async def a_lease_is_over_in_the_millisecond_of_its_expiry(trial: Trial[ProcessRegistry]) -> None:
    """Before that it keeps others out; from then on it neither does nor renews."""
    registry = trial.subject
    lease = await _leased(registry, "p1", ttl_ms=10)
    expect_equal(lease.expires_at_ms, trial.clock.now_ms() + 10, "the expiry")
    trial.clock.advance(9)
    with refused("process_lease_held", "a claim one millisecond before the expiry"):
        await registry.claim_process_lease("p1", "owner-b", MINUTE_MS)
    trial.clock.advance(1)
    with refused("process_lease_lost", "the renewal of an expired lease that nobody took"):
        await registry.renew_process_lease(lease, MINUTE_MS)
    await registry.claim_process_lease("p1", "owner-b", MINUTE_MS)


@case(Contract.PROCESS_REGISTRY)
async def giving_back_never_fails(trial: Trial[ProcessRegistry]) -> None:
    """Twice, with a token that was never given, of an expired lease: all are fine."""
    registry = trial.subject
    lease = await _leased(registry, "p1", ttl_ms=0)
    await registry.complete_process_lease(ProcessLeaseCompletion(process_id="p1", lease_token=NOBODYS))
    for _ in range(2):
        await registry.complete_process_lease(lease.completion())
    again = await registry.claim_process_lease("p1", "owner-b", MINUTE_MS)
    expect_equal(again.fencing_token, lease.fencing_token + 1, "the fence that was kept")


@case(Contract.PROCESS_REGISTRY)
async def of_concurrent_lease_claims_one_wins(trial: Trial[ProcessRegistry]) -> None:
    """One of many owners gets the lease; the others are told that it is held."""
    await trial.subject.register_process(registration("p1"))
    answers = await asyncio.gather(
        *(trial.subject.claim_process_lease("p1", f"o{index}", MINUTE_MS) for index in range(8)),
        return_exceptions=True,
    )
    won = [answer for answer in answers if isinstance(answer, ProcessLease)]
    expect_equal(len(won), 1, "the winners")
    codes = {getattr(answer, "code", repr(answer)) for answer in answers if answer not in won}
    expect_equal(codes, {"process_lease_held"}, "what the others are told")


@case(Contract.PROCESS_REGISTRY)
async def a_lease_outlives_the_end_of_its_process(trial: Trial[ProcessRegistry]) -> None:
    """Completing without a lease leaves the lease; an ended process may be leased."""
    registry = trial.subject
    lease = await _leased(registry, "p1")
    await registry.complete_process("p1", success())
    await registry.renew_process_lease(lease, MINUTE_MS)
    await registry.complete_process_lease(lease.completion())
    await registry.claim_process_lease("p1", "owner-b", MINUTE_MS)
