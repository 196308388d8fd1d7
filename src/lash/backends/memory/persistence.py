"""A session's durable state and its queue (contract 2.D): reads, the queue operations, maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from lash.backends.memory import commit as commits
from lash.backends.memory.manifest import MemoryManifest
from lash.backends.memory.tables import StoredHead, StoredNode, Tables
from lash.errors import LashError
from lash.rules.blobs import blob_roots, component_refs, hydrated
from lash.rules.commits import session_deleted
from lash.rules.graph import (
    ChainNode,
    chain_from,
    check_explicit_leaf,
    vacuumable,
    visible_leaf,
    visible_path,
)
from lash.rules.leases import expires_at
from lash.rules.queue import (
    QueueRow,
    check_draft,
    check_held,
    is_cancellable,
    is_claimed,
    select_exact,
    select_for_running_turn,
    select_ready,
    stored_under_key,
)
from lash.rules.storable import storable_bytes
from lash.values import (
    ActivePath,
    DurabilityTier,
    FullGraph,
    GcReport,
    PersistedSessionRead,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkState,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    VacuumReport,
    decode_record,
)


class MemoryRuntimePersistence(MemoryManifest):
    """One handle; all handles of a database share its tables. See `RuntimePersistence` for the contract."""

    durability_tier = DurabilityTier.INLINE

    def __init__(
        self,
        tables: Tables,
        session_id: str | None,
        *,
        attachment_manifest: Literal["persistent", "noop"] = "persistent",
    ) -> None:
        super().__init__(tables, attachment_manifest)
        self._session_id = session_id

    async def load_session(self, scope: SessionReadScope) -> PersistedSessionRead | None:
        """Return the session as of now, or None before its first commit."""
        session_id = self._resolve()
        head = None if session_id is None else self._tables.heads.get(session_id)
        if session_id is None or head is None:
            return None
        manifest = head.decoded_manifest()
        blobs = self._tables.blobs
        return PersistedSessionRead(
            session_id=session_id,
            head_revision=head.revision,
            config=head.decoded_config(),
            agent_frames=head.decoded_frames(),
            current_agent_frame_id=head.current_agent_frame_id,
            graph=self._read_graph(session_id, head, scope),
            checkpoint_ref=head.checkpoint_ref,
            checkpoint=hydrated(
                manifest, {ref: blobs[ref] for ref in component_refs(manifest) if ref in blobs}
            ),
            token_ledger=self._tables.usage.get(session_id, ()),
        )

    async def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """Return a live node, or None."""
        session_id = self._resolve()
        node = None if session_id is None else self._tables.nodes.get(session_id, {}).get(node_id)
        return node.record() if node is not None and node.is_live else None

    async def load_path_since(self, known_leaf_node_id: str) -> tuple[SessionNodeRecord, ...] | None:
        """Return what the active path has after a node of it, or None if the node is not on it."""
        session_id = self._resolve()
        head = None if session_id is None else self._tables.heads.get(session_id)
        if session_id is None or head is None:
            return None
        nodes = self._tables.nodes.get(session_id, {})
        path = visible_path(_chain(head.leaf_node_id, nodes))
        if known_leaf_node_id not in path:
            return None
        newer = path[path.index(known_leaf_node_id) + 1 :]
        return tuple(nodes[node_id].record() for node_id in newer)

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Apply a commit whole, or not at all; the first one binds this handle."""
        result = commits.commit(
            self._tables,
            commit,
            self._session_id,
            keeps_manifest=self.attachment_manifest == "persistent",
        )
        self._session_id = commit.session_id
        return result

    async def enqueue_queued_work(self, draft: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Add work to a session's queue, once for each source key."""
        check_draft(draft)
        queue = self._tables.queue
        if draft.session_id in self._tables.deleted:
            raise session_deleted(draft.session_id)
        if draft.source_key is not None:
            known = {
                stored.row.batch_id: stored for stored in queue.under_key(draft.session_id, draft.source_key)
            }
            answer = stored_under_key(draft, [stored.keyed_row() for stored in known.values()])
            if answer is not None:
                return known[answer].batch()
        stored = queue.prepare(draft, now_ms=self._tables.clock.now_ms())
        queue.put(stored)
        self._tables.announce(draft.session_id, queue=True)
        return stored.batch()

    async def claim_ready_queued_work(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """Claim the next group of ready work, or None."""
        now_ms = self._tables.clock.now_ms()
        rows = select_ready(
            self._tables.queue.open_rows(session_id),
            boundary=boundary,
            max_batches=max_batches,
            now_ms=now_ms,
            dead_owners=self._tables.dead_owners,
        )
        return self._claim(session_id, rows, owner_id, now_ms, lease_ttl_ms)

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        """Claim exactly these batches if they are what comes next; else None, and no effect."""
        now_ms = self._tables.clock.now_ms()
        rows = select_exact(
            self._tables.queue.open_rows(session_id),
            boundary=boundary,
            batch_ids=batch_ids,
            now_ms=now_ms,
            dead_owners=self._tables.dead_owners,
        )
        return self._claim(session_id, rows, owner_id, now_ms, lease_ttl_ms)

    async def claim_for_running_turn(
        self, session_id: str, owner_id: str, lease_ttl_ms: int, max_batches: int
    ) -> QueuedWorkClaim | None:
        """Claim work for the running turn, passing over rows that wait for its commit."""
        now_ms = self._tables.clock.now_ms()
        rows = select_for_running_turn(
            self._tables.queue.open_rows(session_id),
            max_batches=max_batches,
            now_ms=now_ms,
            dead_owners=self._tables.dead_owners,
        )
        return self._claim(session_id, rows, owner_id, now_ms, lease_ttl_ms)

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """Extend a claim that was not superseded, even an expired one."""
        expiry = expires_at(self._tables.clock.now_ms(), lease_ttl_ms)
        held = self._tables.queue.held(claim.session_id, claim.claim_id, claim.lease_token)
        check_held(
            claim.session_id,
            claim.claim_id,
            [batch.batch_id for batch in claim.batches],
            [stored.row.batch_id for stored in held],
        )
        self._tables.queue.extend(held, expiry)
        return claim.replace(expires_at_ms=expiry)

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give back the rows that are still held under this claim."""
        held = self._tables.queue.held(claim.session_id, claim.claim_id, claim.lease_token)
        self._tables.queue.give_back(held)
        if held:
            self._tables.announce(claim.session_id, queue=True)

    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Take a batch out of the queue and return it; None if that cannot be done now."""
        stored = self._tables.queue.find_open(session_id, batch_id)
        now_ms = self._tables.clock.now_ms()
        if stored is None or not is_cancellable(stored.row, now_ms, self._tables.dead_owners):
            return None
        self._tables.queue.settle([stored], QueuedWorkState.CANCELLED, now_ms)
        self._tables.announce(session_id)
        return stored.batch()

    async def list_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Return unsettled batches in enqueue order."""
        return [stored.batch() for stored in self._tables.queue.open_batches(session_id)]

    async def list_pending_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Return unsettled batches without a live claim, in enqueue order."""
        now_ms, dead = self._tables.clock.now_ms(), self._tables.dead_owners
        return [
            stored.batch()
            for stored in self._tables.queue.open_batches(session_id)
            if not is_claimed(stored.row, now_ms, dead)
        ]

    async def save_session_meta(self, meta: SessionMeta) -> None:
        """Store the session's meta; the last write wins."""
        self._tables.metas[meta.session_id] = storable_bytes(meta, what=f"meta of {meta.session_id!r}")

    async def load_session_meta(self) -> SessionMeta | None:
        """Return the stored meta, or None; one that was saved before any commit counts (ruling 15)."""
        session_id = self._resolve() or _only(self._tables.metas)
        body = None if session_id is None else self._tables.metas.get(session_id)
        return None if body is None else decode_record(SessionMeta, body, what="session meta")

    async def tombstone_nodes(self, node_ids: Sequence[str]) -> None:
        """Hide nodes from every read."""
        session_id = self._resolve()
        nodes = {} if session_id is None else self._tables.nodes.get(session_id, {})
        for node_id in node_ids:
            if node_id in nodes:
                nodes[node_id] = msgspec.structs.replace(nodes[node_id], is_live=False)

    async def vacuum(self) -> VacuumReport:
        """Delete tombstoned nodes without live descendants: this session's; unbound, those of all."""
        removed = 0
        for session_id in list(self._tables.heads) if self._session_id is None else [self._session_id]:
            removed += self._vacuum_session(session_id)
        return VacuumReport(removed_node_count=removed)

    async def gc_unreachable(self) -> GcReport:
        """Delete blobs that no session's head or frame refers to."""
        roots: set[str] = set()
        for head in self._tables.heads.values():  # decoded before anything is deleted: all or nothing
            roots |= blob_roots(head.decoded_manifest(), head.decoded_frames())
        dead = [ref for ref in self._tables.blobs if ref not in roots]
        for ref in dead:
            del self._tables.blobs[ref]
        return GcReport(
            root_count=len(roots),
            retained_blob_count=len(self._tables.blobs),
            deleted_blob_count=len(dead),
        )

    def _resolve(self) -> str | None:
        return self._session_id if self._session_id is not None else _only(self._tables.heads)

    def _claim(
        self, session_id: str, rows: list[QueueRow], owner_id: str, now_ms: int, ttl_ms: int
    ) -> QueuedWorkClaim | None:
        expires_at(now_ms, ttl_ms)  # refuses a negative time to live, work or no work
        if not rows:
            return None
        return self._tables.queue.claim(session_id, rows, owner_id=owner_id, now_ms=now_ms, ttl_ms=ttl_ms)

    def _read_graph(self, session_id: str, head: StoredHead, scope: SessionReadScope) -> SessionGraph:
        nodes = self._tables.nodes.get(session_id, {})
        match scope:
            case FullGraph():
                leaf = visible_leaf(_chain(head.leaf_node_id, nodes))
                return SessionGraph.from_nodes((n.record() for n in nodes.values() if n.is_live), leaf)
            case ActivePath(leaf_node_id=None):
                chain = _chain(head.leaf_node_id, nodes)
            case ActivePath(leaf_node_id=asked):
                assert asked is not None
                chain = _chain(asked, nodes) if asked in nodes else []
                check_explicit_leaf(asked, chain)
        path = [nodes[node_id].record() for node_id in visible_path(chain)]
        return SessionGraph.from_nodes(path, visible_leaf(chain))

    def _vacuum_session(self, session_id: str) -> int:
        nodes, head = self._tables.nodes.get(session_id, {}), self._tables.heads.get(session_id)
        gone = vacuumable(node.chain_node() for node in nodes.values())
        if head is not None and head.leaf_node_id in gone:  # it moves to what it read as
            leaf = visible_leaf(_chain(head.leaf_node_id, nodes))
            self._tables.heads[session_id] = msgspec.structs.replace(head, leaf_node_id=leaf)
        for node_id in gone:
            del nodes[node_id]
        return len(gone)


def _chain(leaf: str | None, nodes: dict[str, StoredNode]) -> list[ChainNode]:
    walked: dict[str, ChainNode] = {}
    at = leaf
    while at is not None and at in nodes and at not in walked:
        walked[at] = nodes[at].chain_node()
        at = nodes[at].parent_node_id
    return chain_from(leaf, walked)


def _only(by_session: dict[str, StoredHead] | dict[str, bytes]) -> str | None:
    if len(by_session) > 1:
        raise LashError(
            "session_ambiguous",
            f"this handle has no session and the database holds {len(by_session)}; open it with a session id",
            session_count=len(by_session),
        )
    return next(iter(by_session), None)
