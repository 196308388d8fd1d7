"""A commit: everything that one turn changes, applied in one transaction (contract 1.15)."""

from __future__ import annotations

import re
from typing import TypeAlias

from lash.values.graph import SessionGraph, SessionNodeRecord
from lash.values.hashing import bytes_hash, stable_hash
from lash.values.journal import EffectIdentity, EffectState
from lash.values.leases import SessionLease
from lash.values.queue import QueuedWorkCompletion
from lash.values.record import Json, JsonRecord, Record, encode_record, plain
from lash.values.sessions import (
    AgentFrameRecord,
    HydratedSessionCheckpoint,
    PersistedTurnState,
    RuntimeSessionState,
    SessionCheckpoint,
    SessionConfig,
)
from lash.values.turns import TurnReceipt
from lash.values.usage import TokenLedgerEntry


class GraphUnchanged(Record, frozen=True, tag="unchanged"):
    """No new nodes; the leaf may move to another live node, or to None."""

    leaf_node_id: str | None = None


class GraphAppend(Record, frozen=True, tag="append"):
    """New nodes, and the leaf after them."""

    nodes: tuple[SessionNodeRecord, ...]
    leaf_node_id: str | None = None


class GraphReplaceFull(Record, frozen=True, tag="replace_full"):
    """A whole graph in place of what is stored. The seed asks for it; the runtime only appends (B-2)."""

    graph: SessionGraph


GraphCommitDelta: TypeAlias = GraphUnchanged | GraphAppend | GraphReplaceFull


class RuntimeTurnCommitStamp(Record, frozen=True, kw_only=True):
    """The idempotency stamp of a turn's commit: the same turn with the same hash commits once."""

    session_id: str
    turn_id: str
    turn_commit_hash: str


class UnwrittenEffect(JsonRecord, frozen=True, kw_only=True, eq=False):
    """An effect that ended so close to the commit that the commit itself records it.

    Its outcome is in the nodes of the same commit; the ledger gets its line.
    """

    identity: EffectIdentity
    state: EffectState
    attempts: int = 1


class TurnSettlement(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What the commit of a driven turn does beside the seed's commit, in the same transaction.

    The lease is checked and released, the turn's effect journal is marked settled, its cancel request is
    dropped, and the receipt is kept with the stamp. `effects` are lines that were not written before.
    """

    receipt: TurnReceipt
    lease: SessionLease | None = None
    path_digest: str | None = None  # rolling digest of the history up to the new leaf
    effects: tuple[UnwrittenEffect, ...] = ()


class RuntimeCommit(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A session's next state. `expected_head_revision` of None means 0: there is no head yet (R-20)."""

    session_id: str
    config: SessionConfig
    agent_frames: tuple[AgentFrameRecord, ...]
    current_agent_frame_id: str
    graph: GraphCommitDelta
    checkpoint: HydratedSessionCheckpoint
    expected_head_revision: int | None = None
    usage_deltas: tuple[TokenLedgerEntry, ...] = ()
    turn_commit: RuntimeTurnCommitStamp | None = None
    completed_queue_claims: tuple[QueuedWorkCompletion, ...] = ()
    committed_attachment_ids: tuple[str, ...] = ()
    settlement: TurnSettlement | None = None

    @classmethod
    def persisted_state(
        cls,
        state: RuntimeSessionState,
        usage_deltas: tuple[TokenLedgerEntry, ...] | list[TokenLedgerEntry] = (),
    ) -> RuntimeCommit:
        """Return the commit that stores `state`.

        The graph is replaced whole when the state asks for it or has never been committed; otherwise it
        is unchanged, and a turn supplies its own append (contract 1.13).
        """
        replace = state.graph_replace_required or state.head_revision is None
        graph: GraphCommitDelta = (
            GraphReplaceFull(graph=state.session_graph)
            if replace
            else GraphUnchanged(leaf_node_id=state.session_graph.leaf_node_id)
        )
        return cls(
            session_id=state.session_id,
            expected_head_revision=state.head_revision,
            config=SessionConfig(provider_id=state.policy.provider_id.strip(), model=state.policy.model),
            agent_frames=state.agent_frames,
            current_agent_frame_id=state.current_agent_frame_id,
            graph=graph,
            checkpoint=_checkpoint_of(state),
            usage_deltas=tuple(usage_deltas),
        )

    def with_turn_commit(self, stamp: RuntimeTurnCommitStamp) -> RuntimeCommit:
        return self.replace(turn_commit=stamp)

    def completing_queue_claim(self, completion: QueuedWorkCompletion) -> RuntimeCommit:
        return self.replace(completed_queue_claims=(*self.completed_queue_claims, completion))

    def with_committed_attachments(self, attachment_ids: tuple[str, ...] | list[str]) -> RuntimeCommit:
        return self.replace(committed_attachment_ids=tuple(attachment_ids))

    def turn_commit_hash(self) -> str:
        """Return the hash of what this commit means (rule R-14, ruling 35).

        An allow-list: session, config, frames without clock values and execution bytes, node payloads,
        turn state, component references and usage. The revision, the stamp, lease material, completed
        claims, attachment ids and the delta's variant stay out, so that a re-driven turn hashes alike.
        Derived node ids are in, with their parents and the leaf; ids that a caller made are not.
        """
        return stable_hash(
            {
                "session_id": self.session_id,
                "config": plain(self.config),
                "frames": [_frame_projection(frame) for frame in self.agent_frames],
                "current_frame": self.current_agent_frame_id,
                "nodes": [_node_projection(node) for node in self.nodes],
                "leaf": leaf if (leaf := self.leaf_node_id) and is_derived_node_id(leaf) else None,
                "checkpoint": plain(checkpoint_manifest(self.checkpoint)),
                "usage": [plain(entry) for entry in self.usage_deltas],
            }
        )

    @property
    def nodes(self) -> tuple[SessionNodeRecord, ...]:
        """The nodes that the delta brings."""
        match self.graph:
            case GraphUnchanged():
                return ()
            case GraphAppend(nodes=nodes):
                return nodes
            case GraphReplaceFull(graph=graph):
                return graph.nodes

    @property
    def leaf_node_id(self) -> str | None:
        """The leaf after the commit."""
        if isinstance(self.graph, GraphReplaceFull):
            return self.graph.graph.leaf_node_id
        return self.graph.leaf_node_id


class RuntimeCommitResult(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What became durable. `replayed` tells a stamp's stored result from a fresh commit."""

    head_revision: int
    checkpoint_ref: str
    manifest: SessionCheckpoint
    replayed: bool = False


def checkpoint_manifest(checkpoint: HydratedSessionCheckpoint) -> SessionCheckpoint:
    """Return the manifest of a checkpoint: bodies become references, supplied references stay."""
    return SessionCheckpoint(
        turn_state=checkpoint.turn_state,
        tool_state_ref=_ref(checkpoint.tool_state, checkpoint.tool_state_ref),
        plugin_snapshot_ref=_ref(checkpoint.plugin_snapshot, checkpoint.plugin_snapshot_ref),
        plugin_snapshot_revision=checkpoint.plugin_snapshot_revision,
        execution_state_ref=_ref(checkpoint.execution_state, checkpoint.execution_state_ref),
    )


def component_body(component: object) -> bytes:
    """Return the bytes that a checkpoint component is stored as and addressed by."""
    return component if isinstance(component, bytes) else encode_record(component)


def checkpoint_ref(manifest: SessionCheckpoint) -> str:
    """Return the reference of a manifest: equal manifests share one (contract 1.14)."""
    return bytes_hash(encode_record(manifest))


_DERIVED_NODE_ID = re.compile(r"n[0-9a-f]{8}\.[0-9a-f]{3,}\.[0-9a-f]{16}\Z")


def derived_node_id(session_id: str, head_revision: int, operation: str, ordinal: int) -> str:
    """Return the id of the `ordinal`-th node that `operation` appends after `head_revision`.

    Time-ordered, so that the id index grows at its end; the same operation on the same head makes the
    same ids, so a re-driven turn is the same commit (ruling 8, contract 5 B-2).
    """
    return f"n{head_revision:08x}.{ordinal:03x}.{stable_hash([session_id, operation, ordinal])[:16]}"


def is_derived_node_id(node_id: str) -> bool:
    """Whether `derived_node_id` made this id."""
    return _DERIVED_NODE_ID.match(node_id) is not None


def _checkpoint_of(state: RuntimeSessionState) -> HydratedSessionCheckpoint:
    return HydratedSessionCheckpoint(
        turn_state=PersistedTurnState(
            turn_index=state.turn_index,
            token_usage=state.token_usage,
            last_prompt_usage=state.last_prompt_usage,
            protocol_turn_options=state.protocol_turn_options,
        ),
        tool_state=state.tool_state_snapshot,
        tool_state_ref=state.tool_state_ref,
        plugin_snapshot=state.plugin_snapshot,
        plugin_snapshot_ref=state.plugin_snapshot_ref,
        plugin_snapshot_revision=state.plugin_snapshot_revision,
        execution_state=state.execution_state_snapshot,
        execution_state_ref=state.execution_state_ref,
    )


def _ref(body: object | None, ref: str | None) -> str | None:
    return ref if body is None else bytes_hash(component_body(body))


def _frame_projection(frame: AgentFrameRecord) -> Json:
    fields: dict[str, Json] = plain(frame)
    fields.pop("created_at", None)
    fields.pop("execution_state_snapshot", None)
    return fields


def _node_projection(node: SessionNodeRecord) -> Json:
    fields: dict[str, Json] = plain(node)
    fields.pop("timestamp", None)
    if not is_derived_node_id(node.node_id):
        fields.pop("node_id", None)
        fields.pop("parent_node_id", None)
    return fields
