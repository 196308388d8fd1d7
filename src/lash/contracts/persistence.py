"""A session's durable state and its queue: the port that commits turns (contracts 2.D and 2.E)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from lash.values import (
    AttachmentIntent,
    AttachmentManifestEntry,
    DurabilityTier,
    GcReport,
    PersistedSessionRead,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    VacuumReport,
)


class AttachmentManifest(Protocol):
    """Which attachments a session is about to own, and owns. Written before the bytes."""

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Record that a session is about to store an attachment.

        Contract:
            E1.1: The key is (session, attachment) (R-43).
            E1.2: An uncommitted row takes the newer intent time; a committed row is left alone.
        """
        ...

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Stamp rows of that session as committed now.

        Contract:
            E2.1: The first commit time is kept; ids without a row, or of another session, are ignored.
        """
        ...

    async def list_uncommitted(self, older_than_ms: int) -> list[AttachmentManifestEntry]:
        """Return rows without a commit whose intent is not later than `older_than_ms`, oldest first.

        Contract:
            E3.1: The bound is inclusive (R-4); order is intent time, then attachment id.
        """
        ...

    async def find_named(self, attachment_ids: Sequence[str]) -> list[str]:
        """Return those of the attachments that a row of any session names, committed or not, in order of their ids.

        Whoever holds the bytes outside the database asks this before it lets go of any.
        """
        ...

    async def forget(self, attachment_id: str) -> None:
        """Delete the rows of an attachment; unknown ids are fine."""
        ...


class RuntimePersistence(AttachmentManifest, Protocol):
    """One session's head, graph, checkpoint, meta and usage, and the queue of all sessions of the store.

    A handle without a session binds to the first one that it commits; queue operations never bind
    (ruling 15). All operations are atomic: a refused one leaves no trace.
    """

    durability_tier: DurabilityTier
    attachment_manifest: Literal["persistent", "noop"]

    async def load_session(self, scope: SessionReadScope) -> PersistedSessionRead | None:
        """Return the session as of one moment, or None before its first commit.

        Raises:
            LashError: `invalid_graph_leaf` for an explicit leaf that is unknown or tombstoned (R-28);
                `session_ambiguous` when the handle is unbound and the store holds several sessions;
                `stored_data_corrupt` or `checkpoint_component_missing` when what is stored cannot be read.

        Contract:
            D1.1: Everything returned is of one snapshot.
            D1.2: A full graph is in insertion order; a path is root first, through tombstones (R-40).
            D1.3: A tombstoned leaf reads as its nearest live ancestor (R-39).
            D1.4: The ledger merges by (source, model) in first-seen order; all-zero ones are dropped (R-29).
        """
        ...

    async def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """Return a live node, or None for an unknown or tombstoned id."""
        ...

    async def load_path_since(self, known_leaf_node_id: str) -> tuple[SessionNodeRecord, ...] | None:
        """Return the live nodes of the active path after `known_leaf_node_id`, root first.

        For a caller that keeps the path up to a node that was its leaf, and reads only what is new. None
        tells it to load the whole path: the node is no live node of the path (any more), or there is none.
        """
        ...

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Apply a commit whole, or not at all.

        Raises:
            LashError: in this order (contract 2.D.3): `session_binding_mismatch`; `invalid_argument` (a
                settlement with effects of another scope than its turn's);
                `runtime_turn_commit_conflict` (another hash under this turn, or a stamp of another
                session); `session_lease_lost` (with a settlement whose lease is not current);
                `head_revision_conflict` (facts `expected`, `actual`: reload, then decide);
                `queue_claim_expired`; `node_id_collision`, `invalid_graph_parent`,
                `invalid_graph_cycle`, `invalid_graph_leaf`; `checkpoint_component_missing`;
                `session_deleted`.

        Contract:
            D3.1: A stamp that is recorded with the same hash returns the stored result and does nothing.
            D3.2: An expected revision of None is 0 (R-20); the first revision is 1.
            D3.3: A completion names exactly the rows held under its claim and token (R-31); expiry alone
                does not void it (R-32).
            D3.4: A failed commit leaves no stamp, no session, and every queue row as it was.
            D3.5: Usage entries with a key that the session has already counted are not counted again (B-15).
        """
        ...

    async def enqueue_queued_work(self, draft: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Add work to a session's queue.

        Raises:
            LashError: `invalid_argument` for a blank session or an empty payload list (R-35);
                `idempotency_conflict` for the source key of a turn that `TurnIngress` accepted.

        Contract:
            D4.1: The same (session, source key) returns the stored batch unchanged, whatever its state but
                cancelled; a cancelled key is free again (ruling 2).
            D4.2: A key that is a wake id coalesces with pending rows only (rulings 2 and 4).
        """
        ...

    async def claim_ready_queued_work(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """Claim the next group of ready work (contract 2.D.5), or None.

        Contract:
            D5.1: Unavailable and live-claimed rows are passed over wherever they are.
            D5.2: At a checkpoint, a head that waits for the commit blocks what is behind it.
            D5.3: An exclusive or never-merging head is claimed alone (R-16).
            D5.4: A join head takes its neighbours of equal delivery policy and merge key (R-36).
            D5.5: The fence is one more than the largest of the selected rows (R-37).
        """
        ...

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        """Claim exactly these batches if they are what comes next; else None, and no effect (R-38)."""
        ...

    async def claim_for_running_turn(
        self, session_id: str, owner_id: str, lease_ttl_ms: int, max_batches: int
    ) -> QueuedWorkClaim | None:
        """Claim work for the running turn, passing over rows that wait for its commit (ruling 3)."""
        ...

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """Extend a claim that was not superseded, even an expired one (R-32).

        Raises:
            LashError: `queue_claim_expired` when any of its rows is no longer held under it; nothing changes.
        """
        ...

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give back the rows that are still held under this claim. Never fails for stale ones."""
        ...

    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Take a batch out of the queue and return it; None if it is not there or has a live claim."""
        ...

    async def list_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Return unsettled batches, claimed ones included, in enqueue order."""
        ...

    async def list_pending_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Return unsettled batches without a live claim, unavailable ones included, in enqueue order."""
        ...

    async def save_session_meta(self, meta: SessionMeta) -> None:
        """Store the session's meta; the last write wins. Needs no committed session."""
        ...

    async def load_session_meta(self) -> SessionMeta | None:
        """Return the stored meta, or None."""
        ...

    async def tombstone_nodes(self, node_ids: Sequence[str]) -> None:
        """Hide nodes from every read. Unknown ids are ignored; the head revision stays."""
        ...

    async def vacuum(self) -> VacuumReport:
        """Delete tombstoned nodes that have no live descendant (R-41)."""
        ...

    async def gc_unreachable(self) -> GcReport:
        """Delete blobs that no head, frame or artifact refers to (R-42).

        Raises:
            LashError: `stored_data_corrupt` when a manifest that roots depend on cannot be read; nothing
                is deleted then.
        """
        ...
