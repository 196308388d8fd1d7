"""Turns on their way in: admitted sessions, drafts, claims, and the commit that settles them."""

from __future__ import annotations

from typing import Any

from lash.contracts import Database
from lash.testing.conformance.expectations import expect_kind
from lash.testing.conformance.samples.sessions import next_commit, stamp
from lash.values import (
    ClaimedTurn,
    OnBusy,
    RuntimeCommit,
    TurnDraft,
    TurnInput,
    TurnReceipt,
    TurnSettlement,
)

AGENT = "helper"
LEASE_MS = 30_000


async def admitted(database: Database, *session_ids: str) -> None:
    """Admit sessions of the one agent; `root` unless told."""
    for session_id in session_ids or ("root",):
        await database.session_catalog.admit_session(session_id, agent=AGENT)


def turn(
    turn_id: str, session_id: str = "root", *, text: str = "hello", on_busy: OnBusy = "queue"
) -> TurnDraft:
    """Return input for a turn."""
    return TurnDraft(
        session_id=session_id, turn_id=turn_id, input=TurnInput.text(text), agent=AGENT, on_busy=on_busy
    )


async def claimed(database: Database, session_id: str = "root", *, owner: str = "driver") -> ClaimedTurn:
    """Claim the session's next turn, failing when there is none."""
    answer = await database.turn_ingress.claim_turn(
        session_id, owner_id=owner, agents=(AGENT,), lease_ttl_ms=LEASE_MS
    )
    return expect_kind(answer, ClaimedTurn, f"a turn of {session_id!r} that {owner!r} may drive")


def settling(claim: ClaimedTurn, **changes: Any) -> RuntimeCommit:
    """Return the commit that a driver ends its turn with."""
    commit = next_commit(claim.head.revision)
    commit = commit.replace(
        session_id=claim.lease.session_id,
        turn_commit=stamp(claim.turn_id, session_id=claim.lease.session_id),
        completed_queue_claims=(claim.work.completion(),),
        settlement=TurnSettlement(receipt=TurnReceipt(turn_id=claim.turn_id), lease=claim.lease),
    )
    return commit.replace(**changes)
