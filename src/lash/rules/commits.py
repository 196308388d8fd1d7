"""Whether a commit may be applied: one decision over facts that were read in one flight (contract 2.D.3).

The order of the checks is normative: a recorded stamp answers before anything that the first commit has
itself changed (lease, revision, claims) is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from lash.errors import LashError
from lash.rules.blobs import check_components
from lash.rules.graph import KnownNodes, check_delta
from lash.rules.leases import NO_LEASE, LeaseRow, check_current_lease
from lash.rules.queue import check_completion
from lash.values import EffectScope, RuntimeCommit

ClaimKey = tuple[str, str]
"""A claim's id and its token."""


class CommitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a store knows about a commit before it decides.

    Attributes:
        bound_session_id: The session that the handle is bound to, if any.
        recorded_hash: The hash stored under the commit's (session, turn id), if it has a stamp.
        lease: The session's lease row; looked at only for a settlement that names a lease.
        head_revision: The stored revision, 0 without a head.
        held: For each completed claim, the unsettled batches of the session stored under its id and token.
        known_nodes: What is stored of `graph.ids_named_by(commit.graph)`.
        stored_refs: Which of `blobs.bare_refs(commit.checkpoint)` are stored.
        is_deleted: Whether the session's id is a tombstone.
    """

    bound_session_id: str | None = None
    recorded_hash: str | None = None
    lease: LeaseRow = NO_LEASE
    head_revision: int = 0
    held: Mapping[ClaimKey, Collection[str]] = {}
    known_nodes: KnownNodes = {}
    stored_refs: Collection[str] = ()
    is_deleted: bool = False


def check_commit(commit: RuntimeCommit, facts: CommitFacts) -> bool:
    """Return True when the stored result of the same stamp is the answer, False when it is to be applied.

    Raises:
        LashError: see `RuntimePersistence.commit_runtime_state`.
    """
    check_binding(commit, facts.bound_session_id)
    check_settled_effects(commit)
    if is_recorded(commit, facts.recorded_hash):
        return True
    check_settlement(commit, facts.lease)
    check_revision(commit, facts.head_revision)
    check_completions(commit, facts.held)
    check_delta(commit.graph, facts.known_nodes)
    check_components(commit.checkpoint, facts.stored_refs)
    if facts.is_deleted:
        raise session_deleted(commit.session_id)
    return False


def check_binding(commit: RuntimeCommit, bound_session_id: str | None) -> None:
    """Refuse a commit of another session than the handle's.

    Raises:
        LashError: `session_binding_mismatch`.
    """
    if bound_session_id is not None and bound_session_id != commit.session_id:
        raise LashError(
            "session_binding_mismatch",
            f"this handle belongs to session {bound_session_id!r} and cannot commit {commit.session_id!r}",
            bound_session_id=bound_session_id,
            session_id=commit.session_id,
        )


def check_settled_effects(commit: RuntimeCommit) -> None:
    """Refuse a settlement that brings effects of anything but the turn that it settles.

    Raises:
        LashError: `invalid_argument`.
    """
    settlement = commit.settlement
    if settlement is None:
        return
    turn_id = settlement.receipt.turn_id
    scope = EffectScope.turn(commit.session_id, turn_id)
    for line in settlement.effects:
        if line.identity.scope != scope:
            raise LashError(
                "invalid_argument",
                f"the commit of turn {turn_id!r} of session {commit.session_id!r} brings effect "
                f"{line.identity.replay_key!r} of another scope; settle each scope's effects with its own commit",
                session_id=commit.session_id,
                turn_id=turn_id,
                replay_key=line.identity.replay_key,
            )


def is_recorded(commit: RuntimeCommit, recorded_hash: str | None) -> bool:
    """Whether the commit's stamp is recorded already, with the same hash.

    Raises:
        LashError: `runtime_turn_commit_conflict` for a stamp of another session, or another hash.
    """
    stamp = commit.turn_commit
    if stamp is None:
        return False
    if stamp.session_id != commit.session_id:
        why = f"its stamp is of session {stamp.session_id!r}"
    elif recorded_hash is None:
        return False
    elif recorded_hash == stamp.turn_commit_hash:
        return True
    else:
        why = "that turn is committed with another content"
    raise LashError(
        "runtime_turn_commit_conflict",
        f"turn {stamp.turn_id!r} of session {commit.session_id!r} cannot be committed: {why}",
        session_id=commit.session_id,
        turn_id=stamp.turn_id,
    )


def check_settlement(commit: RuntimeCommit, lease: LeaseRow) -> None:
    """Refuse to settle a turn under a lease that is not the session's current one.

    Raises:
        LashError: `session_lease_lost`.
    """
    settlement = commit.settlement
    if settlement is not None and settlement.lease is not None:
        check_current_lease(settlement.lease, lease)


def check_revision(commit: RuntimeCommit, actual: int) -> None:
    """Refuse a commit that was built on another head; no expectation means no head (R-20).

    Raises:
        LashError: `head_revision_conflict`.
    """
    expected = commit.expected_head_revision or 0
    if expected != actual:
        raise LashError(
            "head_revision_conflict",
            f"session {commit.session_id!r} is at revision {actual}, the commit expects {expected}; "
            "reload, then decide",
            session_id=commit.session_id,
            expected=expected,
            actual=actual,
        )


def check_completions(commit: RuntimeCommit, held: Mapping[ClaimKey, Collection[str]]) -> None:
    """Refuse completions that do not name exactly what their claims hold (R-31).

    Raises:
        LashError: `queue_claim_expired`.
    """
    completed: set[ClaimKey] = set()
    for completion in commit.completed_queue_claims:
        key = (completion.claim_id, completion.lease_token)
        # The first completion of a claim uses it up, so naming it again names nothing that is held.
        check_completion(completion, commit.session_id, () if key in completed else held.get(key, ()))
        completed.add(key)


def session_deleted(session_id: str) -> LashError:
    """Return the error for a session whose id is a tombstone (B-5)."""
    return LashError(
        "session_deleted",
        f"session {session_id!r} was deleted; ids are used once, take a new one",
        session_id=session_id,
    )
