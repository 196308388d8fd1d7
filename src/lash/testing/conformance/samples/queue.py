"""Queued work: drafts, what a batch says, and claims."""

from __future__ import annotations

from collections.abc import Sequence

from lash.contracts import RuntimePersistence
from lash.testing.conformance.expectations import expect_present
from lash.values import (
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    NeverMerge,
    ProcessEventSubject,
    ProcessWakeDelivery,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    RuntimeInvocation,
    RuntimeScope,
    SlotPolicy,
    TextItem,
    TurnInput,
    TurnInputPayload,
)

EARLY = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
LATE = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
ALONE = SlotPolicy.EXCLUSIVE
JOIN = SlotPolicy.JOIN
IDLE = QueuedWorkClaimBoundary.IDLE
CHECKPOINT = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
MINUTE_MS = 60_000
YEAR_2100_MS = 4_102_444_800_000


def queued_turn_input_draft(
    session_id: str, text: str, delivery_policy: DeliveryPolicy, slot_policy: SlotPolicy
) -> QueuedWorkBatchDraft:
    """Return a draft of one turn input with that text."""
    return QueuedWorkBatchDraft(
        session_id=session_id,
        delivery_policy=delivery_policy,
        slot_policy=slot_policy,
        payloads=(TurnInputPayload(input=TurnInput.text(text)),),
    )


def draft(
    text: str,
    session_id: str = "root",
    *,
    delivery: DeliveryPolicy = EARLY,
    slot: SlotPolicy = ALONE,
    group: str | None = None,
    source_key: str | None = None,
    available_at_ms: int = 0,
) -> QueuedWorkBatchDraft:
    """Return a draft in few words; a group makes its merge key."""
    merge: MergeKey = NeverMerge() if group is None else MergeGroup(name=group)
    return queued_turn_input_draft(session_id, text, delivery, slot).replace(
        merge_key=merge, source_key=source_key, available_at_ms=available_at_ms
    )


def joining(text: str, group: str = "g", session_id: str = "root") -> QueuedWorkBatchDraft:
    """Return a draft that joins others of its group."""
    return draft(text, session_id, slot=JOIN, group=group)


def batch_text(batch: QueuedWorkBatch) -> str | None:
    """Return the first text of the first payload, if that is turn input."""
    payload = batch.payloads[0] if batch.payloads else None
    if not isinstance(payload, TurnInputPayload):
        return None
    item = payload.input.items[0] if payload.input.items else None
    return item.text if isinstance(item, TextItem) else None


def ids(found: QueuedWorkClaim | Sequence[QueuedWorkBatch] | None) -> list[str]:
    """Return the batch ids of a claim or a list, in order."""
    batches = found.batches if isinstance(found, QueuedWorkClaim) else found or ()
    return [batch.batch_id for batch in batches]


async def claim(
    store: RuntimePersistence,
    session_id: str = "root",
    *,
    owner: str = "owner",
    boundary: QueuedWorkClaimBoundary = IDLE,
    ttl_ms: int = MINUTE_MS,
    most: int = 10,
) -> QueuedWorkClaim:
    """Return a claim of what comes next, failing when there is none."""
    found = await store.claim_ready_queued_work(session_id, owner, boundary, ttl_ms, most)
    return expect_present(found, f"there is work of {session_id!r} that {owner!r} can claim at {boundary}")


def sample_wake(
    sequence: int = 7, *, process_id: str = "process-1", dedupe_key: str = "wake-dedupe-1"
) -> ProcessWakeDelivery:
    """Return the seed's wake delivery."""
    return ProcessWakeDelivery(
        wake_id="wake-1",
        target_session_id="root",
        target_scope_id="session:root",
        process_id=process_id,
        sequence=sequence,
        event_type="process.wake",
        event_invocation=RuntimeInvocation(
            scope=RuntimeScope(session_id="root"),
            subject=ProcessEventSubject(process_id=process_id, sequence=sequence, event_type="process.wake"),
        ),
        dedupe_key=dedupe_key,
        input="wake payload",
        created_at_ms=1,
    )
