"""Turns that wait for something outside: nothing held, nothing lost, nothing counted (contract 5, B-23, B-28)."""

from __future__ import annotations

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_kind
from lash.testing.conformance.samples.queue import ids
from lash.testing.conformance.samples.turns import AGENT, LEASE_MS, admitted, claimed, turn
from lash.testing.conformance.trial import Trial
from lash.values import ClaimedTurn, ClaimRefused, WaitDraft

USES = (Contract.SESSION_CATALOG, Contract.DURABLE_WAITS)


async def _parked(database: Database, *keys: str) -> ClaimedTurn:
    await admitted(database)
    await database.turn_ingress.accept_turn(turn("t1"))
    claim = await claimed(database)
    expect_equal(
        await database.turn_ingress.park_turn(claim, keys), True, "a turn that has to wait is parked"
    )
    return claim


async def _why_not(database: Database) -> str:
    answer = await database.turn_ingress.claim_turn(
        "root", owner_id="other", agents=(AGENT,), lease_ttl_ms=LEASE_MS
    )
    return expect_kind(answer, ClaimRefused, "a claim that must be refused").reason


async def _ready(database: Database) -> list[str]:
    return [one.session_id for one in await database.turn_ingress.list_ready_sessions([AGENT])]


@case(Contract.TURN_INGRESS, uses=USES, rule="B-23")
async def a_parked_turn_waits_for_one_of_its_keys(trial: Trial[Database]) -> None:
    """Its session is left alone, new work in it too, until one of the keys is resolved; then it comes back whole."""
    database = trial.subject
    first = await _parked(database, "a", "b")
    await database.turn_ingress.accept_turn(turn("t2"))
    expect_equal(await _why_not(database), "parked", "a claim of its session")
    expect_equal(await _ready(database), [], "the ready sessions")
    status = await database.turn_ingress.find_turn("root", "t1")
    expect_equal(status.parked_on, ("a", "b"), "what it is parked on")
    await database.durable_waits.resolve_wait("c", 1)
    expect_equal(await _why_not(database), "parked", "a claim after another key was resolved")
    await database.durable_waits.resolve_wait("b", 1)
    expect_equal(await _ready(database), ["root"], "the ready sessions")
    again = await claimed(database, owner="next")
    expect_equal((again.turn_id, ids(again.work)), ("t1", ids(first.work)), "the turn and its input")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-28", needs=Feature.CLOCK)
async def taking_up_a_parked_turn_is_no_restart(trial: Trial[Database]) -> None:
    """However often it was parked; a driver that dies is one."""
    database = trial.subject
    await _parked(database, "k1")
    await database.durable_waits.resolve_wait("k1", 1)
    again = await claimed(database)
    expect_equal(again.restarts, 0, "the restarts after parking")
    expect_equal(await database.turn_ingress.park_turn(again, ["k2"]), True, "parked again")
    await database.durable_waits.resolve_wait("k2", 1)
    await claimed(database, owner="dies")
    trial.clock.advance(LEASE_MS)
    expect_equal((await claimed(database, owner="next")).restarts, 1, "the restarts after a driver has died")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-23")
async def no_turn_is_parked_on_what_is_resolved(trial: Trial[Database]) -> None:
    """The wait was resolved, or a cancel requested, before it could be parked: its driver goes on."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    await ingress.accept_turn(turn("t1"))
    claim = await claimed(database)
    await database.durable_waits.resolve_wait("b", 1)
    expect_equal(await ingress.park_turn(claim, ["a", "b"]), False, "parking on a resolved wait")
    await ingress.renew_turn(claim, lease_ttl_ms=LEASE_MS)
    expect_equal(await ingress.request_cancel("root", "t1"), "requested", "the cancel")
    expect_equal(await ingress.park_turn(claim, ["a"]), False, "parking after a cancel")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-24")
async def a_cancel_wakes_a_parked_turn(trial: Trial[Database]) -> None:
    """It comes back and is told."""
    database = trial.subject
    await _parked(database, "a")
    expect_equal(await database.turn_ingress.request_cancel("root", "t1"), "requested", "the cancel")
    expect((await claimed(database)).cancel_requested, "its driver is told")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-23", needs=Feature.CLOCK)
async def a_deadline_wakes_a_parked_turn(trial: Trial[Database]) -> None:
    """A wait that timed out is a resolved one."""
    database = trial.subject
    deadline_ms = trial.clock.now_ms() + 10
    await database.durable_waits.open_wait(WaitDraft(key="k", deadline_ms=deadline_ms))
    await _parked(database, "k")
    trial.clock.advance(10)
    await database.durable_waits.resolve_due()
    expect_equal((await claimed(database)).turn_id, "t1", "the turn")
