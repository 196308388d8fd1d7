"""Queued work: how input, wakes and commands reach a session (contract 1.17)."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from lash.values.process_events import ProcessWakeDelivery
from lash.values.record import Record
from lash.values.turns import TurnInput


class DeliveryPolicy(StrEnum):
    """When work may be taken: into the running turn, or only after its commit."""

    EARLIEST_SAFE_BOUNDARY = "earliest_safe_boundary"
    AFTER_CURRENT_TURN_COMMIT = "after_current_turn_commit"


class SlotPolicy(StrEnum):
    """Whether work is taken alone or together with its neighbours."""

    EXCLUSIVE = "exclusive"
    JOIN = "join"


class NeverMerge(Record, frozen=True, tag="never"):
    """Taken alone (rule R-16)."""


class MergePayloadDefault(Record, frozen=True, tag="payload_default"):
    """Merges with others of this key."""


class MergeGroup(Record, frozen=True, tag="group"):
    """Merges with others of the same name."""

    name: str


MergeKey: TypeAlias = NeverMerge | MergePayloadDefault | MergeGroup


class QueuedWorkClaimBoundary(StrEnum):
    """Where the claimant stands: no turn runs, or at a checkpoint of one."""

    IDLE = "idle"
    ACTIVE_TURN_CHECKPOINT = "active_turn_checkpoint"


class QueuedWorkState(StrEnum):
    """What has become of a batch (ruling 1). Settled ones stay as evidence and are never listed."""

    PENDING = "pending"
    CLAIMED = "claimed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class RefreshToolSurface(Record, frozen=True, kw_only=True, tag="refresh_tool_surface", tag_field="kind"):
    reason: str
    expected_generation: int | None = None


class ResetSession(Record, frozen=True, kw_only=True, tag="reset_session", tag_field="kind"):
    reason: str


SessionCommand: TypeAlias = RefreshToolSurface | ResetSession


class TurnInputPayload(Record, frozen=True, tag="turn_input"):
    input: TurnInput


class ProcessWakePayload(Record, frozen=True, tag="process_wake"):
    wake: ProcessWakeDelivery


class SessionCommandPayload(Record, frozen=True, tag="session_command"):
    command: SessionCommand


QueuedWorkPayload: TypeAlias = TurnInputPayload | ProcessWakePayload | SessionCommandPayload


class QueuedWorkItem(Record, frozen=True, kw_only=True):
    """One payload of a batch; `item_id` is stable across replays."""

    item_id: str
    payload: QueuedWorkPayload


class QueuedWorkBatchDraft(Record, frozen=True, kw_only=True):
    """Work to enqueue. The same `(session_id, source_key)` is enqueued once."""

    session_id: str
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    payloads: tuple[QueuedWorkPayload, ...]
    source_key: str | None = None
    merge_key: MergeKey = NeverMerge()
    available_at_ms: int = 0


class QueuedWorkBatch(Record, frozen=True, kw_only=True):
    """Enqueued work. `enqueue_seq` grows with every batch of the store and is never reused."""

    batch_id: str
    session_id: str
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    enqueue_seq: int
    enqueued_at_ms: int
    items: tuple[QueuedWorkItem, ...]
    source_key: str | None = None
    merge_key: MergeKey = NeverMerge()
    available_at_ms: int = 0

    @property
    def payloads(self) -> tuple[QueuedWorkPayload, ...]:
        return tuple(item.payload for item in self.items)


class QueuedWorkCompletion(Record, frozen=True, kw_only=True):
    """Names exactly the batches that a claim holds, for the commit that completes them (rule R-31)."""

    session_id: str
    claim_id: str
    lease_token: str
    batch_ids: tuple[str, ...]


class QueuedWorkClaim(Record, frozen=True, kw_only=True):
    """Batches that one owner works on until `expires_at_ms`, in enqueue order."""

    claim_id: str
    session_id: str
    owner_id: str
    lease_token: str
    fencing_token: int
    claimed_at_ms: int
    expires_at_ms: int
    batches: tuple[QueuedWorkBatch, ...]

    def completion(self) -> QueuedWorkCompletion:
        """Return what a commit needs to complete this claim."""
        return QueuedWorkCompletion(
            session_id=self.session_id,
            claim_id=self.claim_id,
            lease_token=self.lease_token,
            batch_ids=tuple(batch.batch_id for batch in self.batches),
        )


def process_wake_batch_draft(wake: ProcessWakeDelivery) -> QueuedWorkBatchDraft:
    """Return the draft that delivers a wake: exclusive, at the earliest boundary, keyed by its identity.

    The key is `process:{id}:event:{seq}:wake` for event identity, and the wake id where the event type
    chose its own dedupe key (ruling 4).
    """
    by_event = f"{wake.process_id}:{wake.sequence}"
    source_key = (
        f"process:{wake.process_id}:event:{wake.sequence}:wake"
        if wake.dedupe_key == by_event
        else wake.wake_id
    )
    return QueuedWorkBatchDraft(
        session_id=wake.target_session_id,
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.EXCLUSIVE,
        payloads=(ProcessWakePayload(wake=wake),),
        source_key=source_key,
    )
