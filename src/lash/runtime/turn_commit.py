"""What a turn changes, as one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lash.contracts import RuntimePersistence
from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.frames import FinishedLeg, OpenedFrame, superseded
from lash.runtime.history import History, rolling_digest
from lash.runtime.resident import ResidentSession, node_frame
from lash.runtime.services import RuntimeServices
from lash.turn import TurnConclusion
from lash.values import (
    AgentFrameRecord,
    CausedByTurn,
    ClaimedTurn,
    ConversationRecord,
    EventNode,
    GraphAppend,
    GraphUnchanged,
    HydratedSessionCheckpoint,
    Json,
    PluginSessionSnapshot,
    QueuedWorkCompletion,
    RuntimeCommit,
    RuntimeCommitResult,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """Everything that a driven turn hands to its commit.

    Attributes:
        legs: The turn's stretches, frame by frame.
        conclusion: The turn as its user sees it.
        completions: What it completes of the queued work that entered it.
        effects: Outcomes that nobody has written yet.
        attachment_ids: What becomes permanent.
        execution_state: The new body of that component; None leaves it as it is.
        plugin_states: The plugins' states by id, if they have changed.
        plugin_options: What a new session gave its plugins.
        plugin_usage: What plugins have spent on models.
    """

    legs: tuple[FinishedLeg, ...]
    conclusion: TurnConclusion
    completions: Sequence[QueuedWorkCompletion] = ()
    effects: tuple[UnwrittenEffect, ...] = ()
    attachment_ids: tuple[str, ...] = ()
    execution_state: bytes | None = None
    plugin_states: dict[str, Json] | None = None
    plugin_options: dict[str, Json] = field(default_factory=dict)
    plugin_usage: tuple[TokenLedgerEntry, ...] = ()

    @property
    def frames(self) -> tuple[OpenedFrame, ...]:
        """The frames that the turn has opened."""
        return tuple(leg.frame for leg in self.legs if leg.frame is not None)


async def commit_turn(
    services: RuntimeServices,
    agent: BoundAgent,
    persistence: RuntimePersistence,
    resident: ResidentSession,
    claimed: ClaimedTurn,
    outcome: TurnOutcome,
) -> TurnReceipt:
    """Commit a turn and bring the resident session to the new revision.

    Should something else have moved the head meanwhile (the lease keeps other turns out, not every writer),
    the turn is put after it: its content does not depend on where it stands.

    Raises:
        LashError: see `RuntimePersistence.commit_runtime_state`.
    """
    while True:
        stamp_time = _rfc3339(services.clock.now_ms())
        nodes = _nodes(resident, claimed, outcome.legs, stamp_time)
        commit = _commit(agent, resident, claimed, outcome, nodes, stamp_time)
        receipt = _receipt(claimed, outcome.conclusion, nodes)
        digest = resident.history.digest
        for node in nodes:
            digest = rolling_digest(digest, node.payload)
        commit = commit.replace(
            turn_commit=RuntimeTurnCommitStamp(
                session_id=resident.session_id,
                turn_id=claimed.turn_id,
                turn_commit_hash=commit.turn_commit_hash(),
            ),
            completed_queue_claims=(claimed.work.completion(), *outcome.completions),
            committed_attachment_ids=outcome.attachment_ids,
            settlement=TurnSettlement(
                receipt=receipt, lease=claimed.lease, path_digest=digest, effects=outcome.effects
            ),
        )
        try:
            result = await persistence.commit_runtime_state(commit)
        except LashError as problem:
            if problem.code != "head_revision_conflict":
                raise
            head = await services.database.session_catalog.find_head(resident.session_id)
            await resident.refresh(services.database, head)
            continue
        _adopt(resident, commit, result, nodes, digest, outcome)
        return receipt.replace(head_revision=result.head_revision)


def _adopt(
    resident: ResidentSession,
    commit: RuntimeCommit,
    result: RuntimeCommitResult,
    nodes: tuple[SessionNodeRecord, ...],
    digest: str,
    outcome: TurnOutcome,
) -> None:
    """Bring a resident session to what was committed."""
    if outcome.frames:
        resident.frame_id = commit.current_agent_frame_id
        resident.history = History(node_frame(resident.session_id, resident.frame_id))
        resident.execution_state = None
    resident.revision = result.head_revision
    resident.history.extend(nodes, digest)
    resident.frames = commit.agent_frames
    resident.config = commit.config
    if outcome.execution_state is not None:
        resident.execution_state = outcome.execution_state
    if outcome.plugin_states is not None:
        resident.plugin_states = outcome.plugin_states
    resident.checkpoint = HydratedSessionCheckpoint(
        turn_state=result.manifest.turn_state,
        tool_state_ref=result.manifest.tool_state_ref,
        plugin_snapshot_ref=result.manifest.plugin_snapshot_ref,
        plugin_snapshot_revision=result.manifest.plugin_snapshot_revision,
        execution_state_ref=result.manifest.execution_state_ref,
    )


def _commit(
    agent: BoundAgent,
    resident: ResidentSession,
    claimed: ClaimedTurn,
    outcome: TurnOutcome,
    nodes: tuple[SessionNodeRecord, ...],
    stamp_time: str,
) -> RuntimeCommit:
    spec = agent.model.spec
    resident.open_frame(
        SessionPolicy(model=spec, provider_id=agent.model.provider_id, session_id=resident.session_id),
        stamp_time,
        outcome.plugin_options,
    )
    frames = resident.frames
    for opened in outcome.frames:
        frames = superseded(frames, _record(frames[-1], claimed, opened, stamp_time))
    return RuntimeCommit(
        session_id=resident.session_id,
        expected_head_revision=resident.revision,
        config=SessionConfig(provider_id=agent.model.provider_id, model=spec),
        agent_frames=frames,
        current_agent_frame_id=frames[-1].frame_id if outcome.frames else resident.frame_id,
        graph=GraphAppend(nodes=nodes, leaf_node_id=nodes[-1].node_id)
        if nodes
        else GraphUnchanged(leaf_node_id=resident.history.leaf_node_id),
        checkpoint=_checkpoint(resident, outcome),
        usage_deltas=(*_usage(agent, outcome.legs), *outcome.plugin_usage),
    )


def _checkpoint(resident: ResidentSession, outcome: TurnOutcome) -> HydratedSessionCheckpoint:
    before = resident.turn_state
    conclusion = outcome.conclusion
    spent = sum((entry.usage for entry in outcome.plugin_usage), conclusion.usage)
    last = conclusion.model_usage[-1].usage if conclusion.model_usage else before.last_prompt_usage
    checkpoint = resident.checkpoint.replace(
        turn_state=before.replace(
            turn_index=before.turn_index + 1,
            token_usage=before.token_usage + spent,
            last_prompt_usage=None if outcome.frames and not conclusion.model_usage else last,
        )
    )
    if outcome.frames:
        checkpoint = checkpoint.replace(execution_state_ref=None)  # it belongs to the frame that is left
    if outcome.execution_state is not None:
        checkpoint = checkpoint.replace(execution_state=outcome.execution_state)
    if outcome.plugin_states is not None:
        checkpoint = checkpoint.replace(
            plugin_snapshot=PluginSessionSnapshot(plugins=outcome.plugin_states),
            plugin_snapshot_revision=before.turn_index + 1,
        )
    return checkpoint


def _record(
    before: AgentFrameRecord, claimed: ClaimedTurn, opened: OpenedFrame, stamp_time: str
) -> AgentFrameRecord:
    """Return the record of a frame that inherits what the one before it was opened with."""
    session_id = before.session_id
    return AgentFrameRecord(
        frame_id=opened.frame_id,
        session_id=session_id,
        previous_frame_id=before.frame_id,
        reason=opened.reason,
        caused_by=CausedByTurn(session_id, claimed.turn_id),
        created_at=stamp_time,
        assignment=before.assignment,
        protocol_turn_options=before.protocol_turn_options,
    )


def _nodes(
    resident: ResidentSession, claimed: ClaimedTurn, legs: Sequence[FinishedLeg], stamp_time: str
) -> tuple[SessionNodeRecord, ...]:
    nodes: list[SessionNodeRecord] = []
    parent = resident.history.leaf_node_id
    frame_id = node_frame(resident.session_id, resident.frame_id)
    for leg in legs:
        seeds: tuple[ConversationRecord, ...] = ()
        if leg.frame is not None:
            frame_id, seeds = leg.frame.frame_id, leg.frame.seeds
        for record in (*seeds, *leg.conclusion.records):
            node = SessionNodeRecord(
                node_id=derived_node_id(
                    resident.session_id, resident.revision, f"turn:{claimed.turn_id}", len(nodes)
                ),
                parent_node_id=parent,
                payload=EventNode(event=record),
                timestamp=stamp_time,
                agent_frame_id=frame_id,
            )
            nodes.append(node)
            parent = node.node_id
    return tuple(nodes)


def _usage(agent: BoundAgent, legs: Sequence[FinishedLeg]) -> tuple[TokenLedgerEntry, ...]:
    return tuple(
        TokenLedgerEntry(
            source=TURN_USAGE_SOURCE,
            model=agent.model.spec.id,
            usage=call.usage,
            key=leg.model_keys.get(call.effect_id),
        )
        for leg in legs
        for call in leg.conclusion.model_usage
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
