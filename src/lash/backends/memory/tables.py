"""Everything that a memory database holds, and the few questions that several ports ask of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.memory.effect_table import EffectTable
from lash.backends.memory.hub import MemoryHub
from lash.backends.memory.parking import ParkingTable
from lash.backends.memory.process_table import ProcessTable
from lash.backends.memory.queue_table import QueueTable
from lash.backends.memory.trigger_table import TriggerTable
from lash.backends.memory.wait_table import WaitTable
from lash.rules.graph import ChainNode
from lash.rules.journal import cancel_wait_key
from lash.rules.leases import NO_LEASE, LeaseRow
from lash.values import (
    AgentFrameRecord,
    AttachmentManifestEntry,
    Clock,
    IdSource,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionConfig,
    SessionHead,
    SessionNodeRecord,
    StoredAttachment,
    TokenLedgerEntry,
    TurnReceipt,
    decode_record,
)


class StoredHead(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session stands. What may hold JSON is kept encoded."""

    revision: int
    leaf_node_id: str | None
    path_digest: str
    current_agent_frame_id: str
    checkpoint_ref: str
    config: bytes
    frames: bytes
    manifest: bytes

    def decoded_config(self) -> SessionConfig:
        return decode_record(SessionConfig, self.config, what="session config")

    def decoded_frames(self) -> tuple[AgentFrameRecord, ...]:
        return decode_record(tuple[AgentFrameRecord, ...], self.frames, what="agent frames")

    def decoded_manifest(self) -> SessionCheckpoint:
        return decode_record(SessionCheckpoint, self.manifest, what="checkpoint manifest")


class StoredNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node; a tombstoned one stays until a vacuum."""

    node_id: str
    parent_node_id: str | None
    body: bytes
    is_live: bool = True

    def chain_node(self) -> ChainNode:
        return ChainNode(self.node_id, self.parent_node_id, self.is_live)

    def record(self) -> SessionNodeRecord:
        return decode_record(SessionNodeRecord, self.body, what=f"node {self.node_id!r}")


class StoredStamp(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn's commit answered, and the receipt of a driven turn."""

    turn_commit_hash: str
    result: bytes
    receipt: bytes | None = None

    def decoded_result(self) -> RuntimeCommitResult:
        return decode_record(RuntimeCommitResult, self.result, what="commit result")

    def decoded_receipt(self) -> TurnReceipt | None:
        return None if self.receipt is None else decode_record(TurnReceipt, self.receipt, what="turn receipt")


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """An admitted session."""

    session_id: str
    agent: str
    created_at_ms: int
    updated_at_ms: int
    labels: tuple[str, ...] = ()
    title: str | None = None


class Tables:
    """The state of one memory database, shared by all its ports."""

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        self.clock = clock
        self.ids = ids
        self.hub = MemoryHub()
        self.dead_owners: set[str] = set()
        self.sessions: dict[str, StoredSession] = {}
        self.deleted: set[str] = set()
        self.heads: dict[str, StoredHead] = {}
        self.nodes: dict[str, dict[str, StoredNode]] = {}
        self.blobs: dict[str, bytes] = {}
        self.stamps: dict[tuple[str, str], StoredStamp] = {}
        self.usage: dict[str, tuple[TokenLedgerEntry, ...]] = {}  # totals, in first-seen order
        self.counted: dict[str, set[str]] = {}  # the usage keys of a session that were counted
        self.metas: dict[str, bytes] = {}
        self.manifest: dict[tuple[str, str], AttachmentManifestEntry] = {}
        self.attachments: dict[str, StoredAttachment] = {}
        self.leases: dict[str, LeaseRow] = {}
        self.waits = WaitTable()
        self.parking = ParkingTable()
        self.queue = QueueTable(ids)
        self.effects = EffectTable()
        self.processes = ProcessTable()
        self.triggers = TriggerTable()
        self.artifacts: dict[str, bytes] = {}

    def lease(self, session_id: str) -> LeaseRow:
        """Return a session's lease row."""
        return self.leases.get(session_id, NO_LEASE)

    def head(self, session_id: str) -> SessionHead:
        """Return where a session stands; revision 0 before its first commit."""
        stored = self.heads.get(session_id)
        if stored is None:
            return SessionHead(session_id=session_id)
        return SessionHead(
            session_id=session_id,
            revision=stored.revision,
            leaf_node_id=stored.leaf_node_id,
            path_digest=stored.path_digest,
        )

    def touch(self, session_id: str, now_ms: int) -> None:
        """Note that a session changed."""
        session = self.sessions.get(session_id)
        if session is not None:
            self.sessions[session_id] = msgspec.structs.replace(session, updated_at_ms=now_ms)

    def announce(self, session_id: str, *, queue: bool = False) -> None:
        """Wake who waits for a session, and who looks for work."""
        self.hub.publish(f"session:{session_id}", *(("queue",) if queue else ()))

    def is_cancel_requested(self, session_id: str, turn_id: str) -> bool:
        """Whether somebody asked a turn to stop."""
        wait = self.waits.find(cancel_wait_key(session_id, turn_id))
        return wait is not None and wait.is_resolved

    def known_nodes(self, session_id: str, node_ids: Sequence[str]) -> dict[str, bool]:
        """Return which of the nodes are stored, and whether they are live."""
        nodes = self.nodes.get(session_id, {})
        return {node_id: nodes[node_id].is_live for node_id in node_ids if node_id in nodes}
