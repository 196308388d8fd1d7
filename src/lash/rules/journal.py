"""What a claim of an effect finds, and who may still write its line (contract 2.B, STARTED to UNKNOWN).

A line that was started and never ended says nothing about whether the work was done. Running it again is
right for every effect but an at-most-once one: that becomes unknown, and stays so until somebody knows.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto

import msgspec

from lash.errors import LashError
from lash.rules.leases import NOBODY, LeaseRow, is_live, lease_is_live
from lash.values import EffectClaim, EffectIdentity, EffectScope, EffectState


class EffectRow(msgspec.Struct, frozen=True):
    """A line of the journal as decisions see it: everything but its outcome."""

    envelope_hash: str
    state: str
    at_most_once: bool = False
    claim_owner_id: str | None = None
    claim_token: str | None = None
    claim_expires_at_ms: int = 0
    settled: bool = False


class EffectDecision(Enum):
    """What `claim_effect` does."""

    INSERT = auto()  # no line: store one, started, under a new claim
    TAKE_OVER = auto()  # started, claimed by nobody now: one more run, the due time stays
    BECOME_UNKNOWN = auto()  # the same, but it must not run twice: record it as unknown, answer with that
    ANSWER_RECORD = auto()  # it has a result, or is another effect: answer with the line
    ANSWER_BUSY = auto()  # somebody runs it now


def decide_effect_claim(
    row: EffectRow | None, identity: EffectIdentity, now_ms: int, dead_owners: Collection[str] = NOBODY
) -> EffectDecision:
    """Return what a claim of `identity` does, given the line under its scope and key."""
    if row is None:
        return EffectDecision.INSERT
    if row.settled or row.state != EffectState.STARTED or row.envelope_hash != identity.envelope_hash:
        return EffectDecision.ANSWER_RECORD
    if is_effect_claimed(row, now_ms, dead_owners):
        return EffectDecision.ANSWER_BUSY
    if row.at_most_once or identity.at_most_once:
        return EffectDecision.BECOME_UNKNOWN
    return EffectDecision.TAKE_OVER


def is_effect_claimed(row: EffectRow, now_ms: int, dead_owners: Collection[str] = NOBODY) -> bool:
    """Whether somebody runs the effect under a claim of its own."""
    owner = row.claim_owner_id if row.claim_token is not None else None
    return is_live(owner, row.claim_expires_at_ms, now_ms, dead_owners)


def holds_effect(row: EffectRow | None, claim: EffectClaim) -> bool:
    """Whether a claim was neither superseded, nor given back, nor used up by a result."""
    return row is not None and row.claim_token == claim.claim_token and row.state == EffectState.STARTED


def check_effect_claim(row: EffectRow | None, claim: EffectClaim) -> None:
    """Refuse to renew or record under a claim that is not held any more; expiry alone does not void it.

    Raises:
        LashError: `effect_replay_lease_lost`.
    """
    if not holds_effect(row, claim):
        raise LashError(
            "effect_replay_lease_lost",
            f"the claim of {claim.owner_id!r} on effect {claim.replay_key!r} is no longer held; "
            "stop the work: what the journal says stands",
            replay_key=claim.replay_key,
            owner_id=claim.owner_id,
        )


def check_settleable(
    replay_key: str,
    row: EffectRow | None,
    now_ms: int,
    *,
    session_lease: LeaseRow | None = None,
    dead_owners: Collection[str] = NOBODY,
) -> None:
    """Refuse an operator's verdict on an effect that is known, or that may be running right now.

    Args:
        replay_key: Which effect, for the message.
        row: Its line.
        now_ms: The time of the operation.
        session_lease: The lease of the session that the effect's turn belongs to: a driver runs the effects
            that it merely started under it.
        dead_owners: Owners known to be gone.

    Raises:
        LashError: `effect_unknown_key`, `effect_not_unknown`.
    """
    if row is None:
        raise LashError(
            "effect_unknown_key", f"no effect is recorded under {replay_key!r}", replay_key=replay_key
        )
    if row.state == EffectState.UNKNOWN:
        return
    if row.state != EffectState.STARTED:
        raise _not_unknown(replay_key, f"it is recorded as {row.state}")
    if is_effect_claimed(row, now_ms, dead_owners):
        raise _not_unknown(replay_key, f"{row.claim_owner_id!r} is running it")
    driven = session_lease is not None and lease_is_live(session_lease, now_ms, dead_owners)
    if driven and not row.settled:
        raise _not_unknown(replay_key, "its turn is being driven; stop it first")


def turn_scopes_prefix(session_id: str) -> str:
    """Return what the keys of exactly this session's turn scopes start with."""
    return EffectScope.turn(session_id, "").key


def cancel_wait_key(session_id: str, turn_id: str) -> str:
    """Return the durable wait that a cancel request resolves. Turn ids are unique in a session only (R-8)."""
    return f"turn-cancel:{EffectScope.turn(session_id, turn_id).key}"


def _not_unknown(replay_key: str, why: str) -> LashError:
    return LashError(
        "effect_not_unknown",
        f"effect {replay_key!r} cannot be settled by hand: {why}",
        replay_key=replay_key,
    )
