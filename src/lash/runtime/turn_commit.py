"""What a turn changes, as one commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from lash.contracts import RuntimePersistence
from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.history import rolling_digest
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.turn import TurnConclusion
from lash.values import (
    ClaimedTurn,
    EventNode,
    GraphAppend,
    GraphUnchanged,
    HydratedSessionCheckpoint,
    QueuedWorkCompletion,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionConfig,
    SessionNodeRecord,
    SessionPolicy,
    TokenLedgerEntry,
    TurnReceipt,
    TurnSettlement,
    UnwrittenEffect,
    derived_node_id,
)

TURN_USAGE_SOURCE = "turn"


async def commit_turn(
    services: RuntimeServices,
    agent: BoundAgent,
    persistence: RuntimePersistence,
    resident: ResidentSession,
    claimed: ClaimedTurn,
    conclusion: TurnConclusion,
    *,
    completions: Sequence[QueuedWorkCompletion],
    effects: tuple[UnwrittenEffect, ...],
    model_keys: dict[int, str],
    attachment_ids: tuple[str, ...],
    execution_state: bytes | None = None,
) -> TurnReceipt:
    """Commit a turn and bring the resident session to the new revision.

    Should something else have moved the head meanwhile (the lease keeps other turns out, not every writer),
    the turn is put after it: its content does not depend on where it stands. `execution_state` is the new body
    of that component; None leaves it as it is.

    Raises:
        LashError: see `RuntimePersistence.commit_runtime_state`.
    """
    usage = _usage(agent, conclusion, model_keys)
    while True:
        stamp_time = _rfc3339(services.clock.now_ms())
        nodes = _nodes(resident, claimed, conclusion, stamp_time)
        commit = _commit(agent, resident, conclusion, nodes, usage, stamp_time)
        if execution_state is not None:
            commit = commit.replace(checkpoint=commit.checkpoint.replace(execution_state=execution_state))
        receipt = _receipt(claimed, conclusion, nodes)
        digest = resident.history.digest
        for node in nodes:
            digest = rolling_digest(digest, node.payload)
        commit = commit.replace(
            turn_commit=RuntimeTurnCommitStamp(
                session_id=resident.session_id,
                turn_id=claimed.turn_id,
                turn_commit_hash=commit.turn_commit_hash(),
            ),
            completed_queue_claims=(claimed.work.completion(), *completions),
            committed_attachment_ids=attachment_ids,
            settlement=TurnSettlement(
                receipt=receipt, lease=claimed.lease, path_digest=digest, effects=effects
            ),
        )
        try:
            result = await persistence.commit_runtime_state(commit)
        except LashError as problem:
            if problem.code != "head_revision_conflict":
                raise
            head = await services.database.session_catalog.find_head(resident.session_id)
            await resident.refresh(persistence, head)
            continue
        resident.revision = result.head_revision
        resident.history.extend(nodes, digest)
        resident.frames = commit.agent_frames
        resident.config = commit.config
        if execution_state is not None:
            resident.execution_state = execution_state
        resident.checkpoint = HydratedSessionCheckpoint(
            turn_state=result.manifest.turn_state,
            tool_state_ref=result.manifest.tool_state_ref,
            plugin_snapshot_ref=result.manifest.plugin_snapshot_ref,
            plugin_snapshot_revision=result.manifest.plugin_snapshot_revision,
            execution_state_ref=result.manifest.execution_state_ref,
        )
        return receipt.replace(head_revision=result.head_revision)


def _commit(
    agent: BoundAgent,
    resident: ResidentSession,
    conclusion: TurnConclusion,
    nodes: tuple[SessionNodeRecord, ...],
    usage: tuple[TokenLedgerEntry, ...],
    stamp_time: str,
) -> RuntimeCommit:
    spec = agent.model.spec
    resident.open_frame(
        SessionPolicy(model=spec, provider_id=agent.model.provider_id, session_id=resident.session_id),
        stamp_time,
    )
    before = resident.turn_state
    last = conclusion.model_usage[-1].usage if conclusion.model_usage else before.last_prompt_usage
    turn_state = before.replace(
        turn_index=before.turn_index + 1,
        token_usage=before.token_usage + conclusion.usage,
        last_prompt_usage=last,
    )
    return RuntimeCommit(
        session_id=resident.session_id,
        expected_head_revision=resident.revision,
        config=SessionConfig(provider_id=agent.model.provider_id, model=spec),
        agent_frames=resident.frames,
        current_agent_frame_id=resident.frame_id,
        graph=GraphAppend(nodes=nodes, leaf_node_id=nodes[-1].node_id)
        if nodes
        else GraphUnchanged(leaf_node_id=resident.history.leaf_node_id),
        checkpoint=resident.checkpoint.replace(turn_state=turn_state),
        usage_deltas=usage,
    )


def _nodes(
    resident: ResidentSession, claimed: ClaimedTurn, conclusion: TurnConclusion, stamp_time: str
) -> tuple[SessionNodeRecord, ...]:
    nodes: list[SessionNodeRecord] = []
    parent = resident.history.leaf_node_id
    for ordinal, record in enumerate(conclusion.records):
        node = SessionNodeRecord(
            node_id=derived_node_id(
                resident.session_id, resident.revision, f"turn:{claimed.turn_id}", ordinal
            ),
            parent_node_id=parent,
            payload=EventNode(event=record),
            timestamp=stamp_time,
        )
        nodes.append(node)
        parent = node.node_id
    return tuple(nodes)


def _usage(
    agent: BoundAgent, conclusion: TurnConclusion, model_keys: dict[int, str]
) -> tuple[TokenLedgerEntry, ...]:
    return tuple(
        TokenLedgerEntry(
            source=TURN_USAGE_SOURCE,
            model=agent.model.spec.id,
            usage=call.usage,
            key=model_keys.get(call.effect_id),
        )
        for call in conclusion.model_usage
    )


def _receipt(
    claimed: ClaimedTurn, conclusion: TurnConclusion, nodes: tuple[SessionNodeRecord, ...]
) -> TurnReceipt:
    return TurnReceipt(
        turn_id=claimed.turn_id,
        stop=conclusion.stop,
        output=conclusion.output,
        has_output=conclusion.has_output,
        usage=conclusion.usage,
        issues=conclusion.issues,
        model_calls=conclusion.model_calls,
        node_ids=tuple(node.node_id for node in nodes),
    )


def _rfc3339(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
