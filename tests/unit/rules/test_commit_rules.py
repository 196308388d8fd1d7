"""The order of a commit's checks: of any faults together, the first of the contract is reported (2.D.3)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.rules.commits import CommitFacts, check_commit
from lash.rules.leases import LeaseRow
from lash.values import (
    GraphUnchanged,
    HydratedSessionCheckpoint,
    QueuedWorkCompletion,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionConfig,
    SessionLease,
    TurnReceipt,
    TurnSettlement,
)

ORDER = [
    "session_binding_mismatch",
    "runtime_turn_commit_conflict",
    "session_lease_lost",
    "head_revision_conflict",
    "queue_claim_expired",
    "invalid_graph_leaf",
    "checkpoint_component_missing",
    "session_deleted",
]

LEASE = SessionLease(
    session_id="s", owner_id="w", lease_token="token", generation=3, claimed_at_ms=0, expires_at_ms=10
)
COMMIT = RuntimeCommit(
    session_id="s",
    config=SessionConfig(),
    agent_frames=(),
    current_agent_frame_id="f",
    graph=GraphUnchanged(leaf_node_id="n"),
    checkpoint=HydratedSessionCheckpoint(tool_state_ref="r"),
    expected_head_revision=4,
    turn_commit=RuntimeTurnCommitStamp(session_id="s", turn_id="t", turn_commit_hash="h"),
    completed_queue_claims=(
        QueuedWorkCompletion(session_id="s", claim_id="c", lease_token="x", batch_ids=("b",)),
    ),
    settlement=TurnSettlement(receipt=TurnReceipt(turn_id="t"), lease=LEASE),
)


def _facts(faults: set[str], recorded: str | None = None) -> CommitFacts:
    return CommitFacts(
        bound_session_id="other" if "session_binding_mismatch" in faults else "s",
        recorded_hash="other" if "runtime_turn_commit_conflict" in faults else recorded,
        lease=LeaseRow(
            generation=3,
            owner_id="w",
            lease_token="newer" if "session_lease_lost" in faults else "token",
            expires_at_ms=10,
        ),
        head_revision=5 if "head_revision_conflict" in faults else 4,
        held={("c", "x"): [] if "queue_claim_expired" in faults else ["b"]},
        known_nodes={} if "invalid_graph_leaf" in faults else {"n": True},
        stored_refs=[] if "checkpoint_component_missing" in faults else ["r"],
        is_deleted="session_deleted" in faults,
    )


def _outcome(facts: CommitFacts) -> str:
    try:
        return "replayed" if check_commit(COMMIT, facts) else "applied"
    except LashError as problem:
        return problem.code


@given(st.sets(st.sampled_from(ORDER)))
def test_first_fault_in_the_contracts_order_is_reported(faults: set[str]) -> None:
    expected = next((code for code in ORDER if code in faults), "applied")
    assert _outcome(_facts(faults)) == expected


@given(st.sets(st.sampled_from(ORDER[2:])))
def test_recorded_stamp_answers_whatever_else_is_wrong(faults: set[str]) -> None:
    assert _outcome(_facts(faults, recorded="h")) == "replayed"
