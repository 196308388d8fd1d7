"""Turns on their way in: acceptance, status, cancelling, what there is to do (contract 5, B-13)."""

from __future__ import annotations

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_present, refused
from lash.testing.conformance.samples.turns import AGENT, LEASE_MS, admitted, claimed, settling, turn
from lash.testing.conformance.trial import Trial
from lash.values import TurnState

USES = (Contract.SESSION_CATALOG, Contract.RUNTIME_PERSISTENCE)


async def _state(database: Database, turn_id: str) -> TurnState:
    return (await database.turn_ingress.find_turn("root", turn_id)).state


@case(Contract.TURN_INGRESS, uses=USES, rule="B-13")
async def accepted_turns_are_known_by_their_id(trial: Trial[Database]) -> None:
    """The same input again is answered with what became of the first; other input conflicts."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    first = await ingress.accept_turn(turn("t1"))
    expect_equal((first.known, first.status.state), (False, TurnState.PENDING), "the first answer")
    again = await ingress.accept_turn(turn("t1"))
    expect_equal((again.known, again.batch_id), (True, first.batch_id), "the answer to the same input")
    with refused("idempotency_conflict", "other input under the turn id"):
        await ingress.accept_turn(turn("t1", text="other"))
    listed = await database.runtime_persistence("root").list_queued_work("root")
    expect_equal([batch.batch_id for batch in listed], [first.batch_id], "the queue")


@case(Contract.TURN_INGRESS, uses=USES, rule="B-5")
async def only_admitted_sessions_accept_turns(trial: Trial[Database]) -> None:
    """A session that was never admitted, is deleted or belongs to another agent takes no input."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    with refused("session_unknown", "input for a session that was never admitted"):
        await ingress.accept_turn(turn("t1"))
    await admitted(database)
    with refused("agent_mismatch", "input for another agent's session"):
        await ingress.accept_turn(turn("t1").replace(agent="other"))
    await database.session_catalog.delete_session("root")
    with refused("session_deleted", "input for a deleted session"):
        await ingress.accept_turn(turn("t1"))


@case(Contract.TURN_INGRESS, uses=USES, rule="B-13")
async def a_turn_goes_from_pending_to_committed(trial: Trial[Database]) -> None:
    """Its status follows it, and its receipt is kept with the commit."""
    database = trial.subject
    await admitted(database)
    expect_equal(await _state(database, "t1"), TurnState.UNKNOWN, "a turn that nobody asked for")
    await database.turn_ingress.accept_turn(turn("t1"))
    expect_equal(await _state(database, "t1"), TurnState.PENDING, "an accepted turn")
    claim = await claimed(database)
    expect_equal(await _state(database, "t1"), TurnState.RUNNING, "a claimed turn")
    await database.runtime_persistence("root").commit_runtime_state(settling(claim))
    status = await database.turn_ingress.find_turn("root", "t1")
    expect_equal(status.state, TurnState.COMMITTED, "a committed turn")
    receipt = expect_present(status.receipt, "a committed turn has a receipt")
    expect_equal((receipt.turn_id, receipt.head_revision), ("t1", 1), "the receipt")


@case(Contract.TURN_INGRESS, uses=USES)
async def busy_sessions_refuse_who_does_not_want_to_wait(trial: Trial[Database]) -> None:
    """`refuse` needs a session without waiting and running work."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    await ingress.accept_turn(turn("t1"))
    with refused("session_busy", "input that refuses to wait, while input waits"):
        await ingress.accept_turn(turn("t2", on_busy="refuse"))
    claim = await claimed(database)
    with refused("session_busy", "input that refuses to wait, while a turn runs"):
        await ingress.accept_turn(turn("t2", on_busy="refuse"))
    await database.runtime_persistence("root").commit_runtime_state(settling(claim))
    accepted = await ingress.accept_turn(turn("t2", on_busy="refuse"))
    expect_equal(accepted.known, False, "input for an idle session")


@case(Contract.TURN_INGRESS, uses=USES)
async def an_idle_session_is_taken_up_with_its_input(trial: Trial[Database]) -> None:
    """Who accepts may drive at once if the turn has come, and only then."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    accepted = await ingress.accept_turn(turn("t1"), claim_owner_id="d1", lease_ttl_ms=LEASE_MS)
    claim = expect_present(accepted.claimed, "the first input of an idle session is claimed with it")
    expect_equal((claim.turn_id, claim.lease.owner_id), ("t1", "d1"), "the claim")
    second = await ingress.accept_turn(turn("t2"), claim_owner_id="d2", lease_ttl_ms=LEASE_MS)
    expect_equal(second.claimed, None, "input behind a running turn")


@case(Contract.TURN_INGRESS, uses=USES)
async def a_waiting_turn_is_cancelled_before_it_runs(trial: Trial[Database]) -> None:
    """It leaves the queue, its id is free again, and what cannot be cancelled says why."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    await ingress.accept_turn(turn("t1"))
    answer = await ingress.request_cancel("root", "t1")
    expect_equal(answer, "cancelled_before_execution", "a cancel of a waiting turn")
    expect_equal(await _state(database, "t1"), TurnState.CANCELLED, "the turn")
    expect_equal(await ingress.request_cancel("root", "nowhere"), "unknown_turn", "an unknown turn")
    again = await ingress.accept_turn(turn("t1", text="other"))
    expect_equal(again.known, False, "the id of a cancelled turn is free")


@case(Contract.TURN_INGRESS, uses=USES)
async def a_running_turn_is_told_to_stop(trial: Trial[Database]) -> None:
    """The request reaches the driver with its renewal; the commit wins and ends the request."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database)
    await ingress.accept_turn(turn("t1"))
    claim = await claimed(database)
    expect_equal(claim.cancel_requested, False, "before the request")
    expect_equal(await ingress.request_cancel("root", "t1"), "requested", "a cancel of a running turn")
    expect_equal(await ingress.is_cancel_requested("root", "t1"), True, "the request")
    renewed = await ingress.renew_turn(claim, lease_ttl_ms=LEASE_MS)
    expect_equal(renewed.cancel_requested, True, "what the renewal tells")
    await database.runtime_persistence("root").commit_runtime_state(settling(renewed))
    expect_equal(await ingress.request_cancel("root", "t1"), "too_late", "a cancel after the commit")
    expect_equal(await ingress.is_cancel_requested("root", "t1"), False, "the request after the commit")


@case(Contract.TURN_INGRESS, uses=USES)
async def ready_sessions_are_found_by_agent_and_age(trial: Trial[Database]) -> None:
    """Oldest work first, without sessions that are driven or that other agents serve."""
    database, ingress = trial.subject, trial.subject.turn_ingress
    await admitted(database, "s1", "s2", "s3")
    for turn_id, session_id in (("t2", "s2"), ("t1", "s1"), ("t3", "s3")):
        await ingress.accept_turn(turn(turn_id, session_id))
    await claimed(database, "s3")
    ready = await ingress.list_ready_sessions((AGENT,))
    expect_equal([session.session_id for session in ready], ["s2", "s1"], "the sessions with work to do")
    expect_equal(await ingress.list_ready_sessions(("other",)), [], "another agent's sessions")
    expect_equal(await ingress.list_unserved(("other",)), {AGENT: 3}, "what nobody of these serves")
    expect_equal(await ingress.list_unserved((AGENT,)), {}, "what is served")


@case(Contract.TURN_INGRESS, uses=USES, rule="R-6", needs=Feature.SECOND_HANDLE)
async def turns_are_seen_through_the_other_handle(trial: Trial[Database]) -> None:
    """What one handle accepts another one finds, claims and commits."""
    database, other = trial.subject, trial.second
    await admitted(database)
    await database.turn_ingress.accept_turn(turn("t1"))
    expect_equal(await _state(other, "t1"), TurnState.PENDING, "the turn through the other handle")
    claim = await claimed(other)
    await other.runtime_persistence("root").commit_runtime_state(settling(claim))
    expect(await _state(database, "t1") is TurnState.COMMITTED, "committed through the other handle")
