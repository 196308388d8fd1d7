"""Driving turns: one driver a session, and a composition that survives restarts (contract 5, B-4, B-28)."""

from __future__ import annotations

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_kind, expect_present, refused
from lash.testing.conformance.samples.queue import ids
from lash.testing.conformance.samples.turns import AGENT, LEASE_MS, admitted, claimed, settling, turn
from lash.testing.conformance.trial import Trial
from lash.values import ClaimRefused, TurnState

USES = (Contract.SESSION_CATALOG, Contract.RUNTIME_PERSISTENCE)


async def _why_not(
    database: Database, session_id: str = "root", *, owner: str = "other", agent: str = AGENT
) -> str:
    answer = await database.turn_ingress.claim_turn(
        session_id, owner_id=owner, agents=(agent,), lease_ttl_ms=LEASE_MS
    )
    return expect_kind(answer, ClaimRefused, "a claim that must be refused").reason


@case(Contract.TURN_INGRESS, uses=USES, rule="B-4")
async def one_driver_has_a_session(trial: Trial[Database]) -> None:
    """While a turn is driven nobody else gets one; without work, or for other agents, there is none."""
    database = trial.subject
    await admitted(database)
    expect_equal(await _why_not(database), "empty", "a session without work")
    await database.turn_ingress.accept_turn(turn("t1"))
    await database.turn_ingress.accept_turn(turn("t2"))
    expect_equal(await _why_not(database, agent="stranger"), "agent_not_served", "another agent's claim")
    claim = await claimed(database)
    expect_equal((claim.turn_id, claim.restarts, claim.head.revision), ("t1", 0, 0), "the claim")
    expect_equal(await _why_not(database), "session_leased", "a second driver")
    await database.runtime_persistence("root").commit_runtime_state(settling(claim))
    expect_equal((await claimed(database, owner="other")).turn_id, "t2", "the next turn")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-28", needs=Feature.CLOCK)
async def an_interrupted_turn_comes_back_whole(trial: Trial[Database]) -> None:
    """After its lease has expired the next driver gets the same turn, with the same input, before others."""
    database = trial.subject
    await admitted(database)
    await database.turn_ingress.accept_turn(turn("t1"))
    first = await claimed(database, owner="dead")
    await database.turn_ingress.accept_turn(turn("t2", on_busy="inject"))
    trial.clock.advance(LEASE_MS)
    second = await claimed(database, owner="next")
    expect_equal((second.turn_id, second.restarts), ("t1", 1), "the interrupted turn")
    expect_equal(ids(second.work), ids(first.work), "its composition")
    expect(second.lease.generation > first.lease.generation, "the lease has a new generation")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-4", needs=Feature.CLOCK)
async def a_superseded_driver_is_stopped(trial: Trial[Database]) -> None:
    """It neither renews, nor takes work in, nor commits; what it gives back is left alone."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    store = database.runtime_persistence("root")
    await admitted(database)
    await ingress.accept_turn(turn("t1"))
    late = await claimed(database, owner="late")
    trial.clock.advance(LEASE_MS)
    winner = await claimed(database, owner="winner")
    with refused("session_lease_lost", "a renewal by a superseded driver"):
        await ingress.renew_turn(late, lease_ttl_ms=LEASE_MS)
    with refused("session_lease_lost", "an injection into a superseded driver's turn"):
        await ingress.claim_injections(late, effect_id="c1", lease_ttl_ms=LEASE_MS)
    with refused("session_lease_lost", "a commit by a superseded driver"):
        await store.commit_runtime_state(settling(late))
    await ingress.abandon_turn(late)
    expect_equal(await _why_not(database), "session_leased", "the winner's lease")
    await store.commit_runtime_state(settling(winner))
    status = await ingress.find_turn("root", "t1")
    expect_equal(status.state, TurnState.COMMITTED, "the winner's turn")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-28")
async def an_abandoned_turn_keeps_its_composition(trial: Trial[Database]) -> None:
    """Given back, it is the next to be claimed, with what it had."""
    database = trial.subject
    await admitted(database)
    await database.turn_ingress.accept_turn(turn("t1"))
    first = await claimed(database)
    await database.turn_ingress.abandon_turn(first)
    second = await claimed(database, owner="other")
    expect_equal((second.turn_id, ids(second.work)), ("t1", ids(first.work)), "the turn and its input")
    expect_equal(second.restarts, 1, "the restarts")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-28")
async def checkpoints_take_in_the_same_work_again(trial: Trial[Database]) -> None:
    """What a checkpoint took in before a restart it gets again, and what has come since."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    await ingress.accept_turn(turn("t1"))
    first = await claimed(database)
    none = await ingress.claim_injections(first, effect_id="c1", lease_ttl_ms=LEASE_MS)
    expect_equal(none, None, "a checkpoint without work to take in")
    one = await ingress.accept_turn(turn("t2", on_busy="inject"))
    taken = await ingress.claim_injections(first, effect_id="c1", lease_ttl_ms=LEASE_MS)
    expect_equal(ids(expect_present(taken, "work to take in")), [one.batch_id], "what is taken in")
    await ingress.abandon_turn(first)
    two = await ingress.accept_turn(turn("t3", on_busy="inject"))
    second = await claimed(database, owner="next")
    again = await ingress.claim_injections(second, effect_id="c1", lease_ttl_ms=LEASE_MS)
    wanted = [one.batch_id, two.batch_id]
    expect_equal(ids(expect_present(again, "work to take in")), wanted, "what is taken in after a restart")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-13")
async def work_that_a_commit_missed_goes_back(trial: Trial[Database]) -> None:
    """Injected work that the turn's commit does not complete is the next turn."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    await ingress.accept_turn(turn("t1"))
    claim = await claimed(database)
    missed = await ingress.accept_turn(turn("t2", on_busy="inject"))
    await ingress.claim_injections(claim, effect_id="c1", lease_ttl_ms=LEASE_MS)
    await database.runtime_persistence("root").commit_runtime_state(settling(claim))
    following = await claimed(database)
    expect_equal((following.turn_id, ids(following.work)), ("t2", [missed.batch_id]), "the next turn")
    expect_equal(following.restarts, 0, "it has not run before")


@case(Contract.TURN_INGRESS, uses=USES, rule="R-4", needs=Feature.CLOCK)
async def renewals_keep_a_driver_in_place(trial: Trial[Database]) -> None:
    """A renewed lease counts from the renewal, and is over in the millisecond of its expiry."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    await ingress.accept_turn(turn("t1"))
    claim = await claimed(database)
    trial.clock.advance(LEASE_MS - 1)
    renewed = await ingress.renew_turn(claim, lease_ttl_ms=LEASE_MS)
    expect_equal(renewed.lease.expires_at_ms, trial.clock.now_ms() + LEASE_MS, "the renewed lease")
    trial.clock.advance(LEASE_MS - 1)
    expect_equal(await _why_not(database), "session_leased", "one millisecond before the expiry")
    trial.clock.advance(1)
    expect_equal((await claimed(database, owner="next")).turn_id, "t1", "at the expiry")
