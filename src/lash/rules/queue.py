"""What a claim takes, and what it may still do afterwards (contract 2.D.4 to 2.D.11, R-16, R-31 to R-38).

Every decision reads the rows of one session and nothing else. Rows come in any order and leave in enqueue
order. A row that belongs to a turn's composition is that turn's alone: only `lash.rules.turns` gives it out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from lash.errors import LashError
from lash.rules.leases import NOBODY, is_live
from lash.values import (
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    MergePayloadDefault,
    NeverMerge,
    ProcessWakePayload,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
    QueuedWorkState,
    SlotPolicy,
)

NEVER_MERGE = "never"


class QueueRow(msgspec.Struct, frozen=True):
    """An unsettled batch as decisions see it: everything but its payloads.

    `merge_key` is `merge_key_text` of the batch's key. `run_turn_id` is the turn whose composition the batch
    is part of, `injected_effect_id` the checkpoint that took it into that turn, `runs` how often it was
    claimed for a turn.
    """

    batch_id: str
    enqueue_seq: int
    delivery_policy: str
    slot_policy: str
    merge_key: str = NEVER_MERGE
    available_at_ms: int = 0
    claim_id: str | None = None
    claim_owner_id: str | None = None
    claim_token: str | None = None
    claim_expires_at_ms: int = 0
    fencing_token: int = 0
    agent: str | None = None
    turn_id: str | None = None
    run_turn_id: str | None = None
    injected_effect_id: str | None = None
    runs: int = 0


class KeyedRow(msgspec.Struct, frozen=True):
    """A batch, settled or not, under the source key that is being enqueued.

    The wake fields are those of its payload if that is a wake, else None. `turn_id` is set when it was accepted
    as a turn.
    """

    batch_id: str
    enqueue_seq: int
    state: str
    run_turn_id: str | None = None
    wake_process_id: str | None = None
    wake_sequence: int | None = None
    turn_id: str | None = None


def merge_key_text(key: MergeKey) -> str:
    """Return a merge key as the text that stores keep: equal keys, equal texts."""
    match key:
        case NeverMerge():
            return NEVER_MERGE
        case MergePayloadDefault():
            return "payload_default"
        case MergeGroup(name=name):
            return f"group:{name}"


def merge_key_of(text: str) -> MergeKey:
    """Return the merge key that `merge_key_text` wrote.

    Raises:
        LashError: `stored_data_corrupt` for any other text.
    """
    if text == NEVER_MERGE:
        return NeverMerge()
    if text == "payload_default":
        return MergePayloadDefault()
    if text.startswith("group:"):
        return MergeGroup(name=text.removeprefix("group:"))
    raise LashError("stored_data_corrupt", f"{text!r} is no merge key", text=text)


def check_draft(draft: QueuedWorkBatchDraft) -> None:
    """Refuse a batch without a session or without payloads (R-35).

    Raises:
        LashError: `invalid_argument`.
    """
    if not draft.session_id.strip():
        raise LashError("invalid_argument", "queued work needs a session id that is not blank")
    if not draft.payloads:
        raise LashError(
            "invalid_argument",
            f"queued work for session {draft.session_id!r} has no payload",
            session_id=draft.session_id,
        )


def stored_under_key(draft: QueuedWorkBatchDraft, rows: Iterable[KeyedRow]) -> str | None:
    """Return the batch that answers this draft instead of a new one, or None (contract 2.D.4, rulings 2, 4).

    An ordinary key is taken once, until a cancel frees it. A key that is a wake id only joins a batch that
    nobody has taken up yet, since one that is being worked on may have been read already and the wake would
    be lost; but the very event that a batch carries is never enqueued twice.

    Args:
        draft: What is to be enqueued, with a source key.
        rows: Every batch of that (session, source key), whatever its state.

    Raises:
        LashError: `idempotency_conflict` for the key of an accepted turn. What became of it is told by its turn
            id; its input is kept once, and once it is committed that is in the history.
    """
    known = sorted(
        (row for row in rows if row.state != QueuedWorkState.CANCELLED), key=lambda row: row.enqueue_seq
    )
    accepted = next((row.turn_id for row in known if row.turn_id is not None), None)
    if accepted is not None:
        raise LashError(
            "idempotency_conflict",
            f"source key {draft.source_key!r} of session {draft.session_id!r} belongs to turn {accepted!r}; "
            "take another key, or ask for the turn by its id",
            session_id=draft.session_id,
            source_key=draft.source_key,
            turn_id=accepted,
        )
    wake = keyed_wake(draft)
    if wake is None:
        return known[0].batch_id if known else None
    for row in known:
        if (row.wake_process_id, row.wake_sequence) == wake:
            return row.batch_id
    untouched = [row for row in known if row.state == QueuedWorkState.PENDING and row.run_turn_id is None]
    return untouched[-1].batch_id if untouched else None


def keyed_wake(draft: QueuedWorkBatchDraft) -> tuple[str, int] | None:
    """Return the process and sequence of the wake whose id is the draft's source key, or None."""
    for payload in draft.payloads:
        if isinstance(payload, ProcessWakePayload) and payload.wake.wake_id == draft.source_key:
            return payload.wake.process_id, payload.wake.sequence
    return None


def is_claimed(row: QueueRow, now_ms: int, dead_owners: Collection[str] = NOBODY) -> bool:
    """Whether somebody works on the batch now."""
    owner = row.claim_owner_id if row.claim_token is not None else None
    return is_live(owner, row.claim_expires_at_ms, now_ms, dead_owners)


def is_cancellable(row: QueueRow, now_ms: int, dead_owners: Collection[str] = NOBODY) -> bool:
    """Whether a batch may be taken out of the queue (2.D.9): not claimed, and not part of a turn that began.

    A turn that was interrupted is driven again with exactly what it had (B-28); it is cancelled as a turn.
    """
    return row.run_turn_id is None and not is_claimed(row, now_ms, dead_owners)


def candidates(
    rows: Iterable[QueueRow], now_ms: int, dead_owners: Collection[str] = NOBODY
) -> list[QueueRow]:
    """Return the rows that a claim may consider, in enqueue order; all others are passed over."""
    ready = [
        row
        for row in rows
        if row.run_turn_id is None
        and row.available_at_ms <= now_ms
        and not is_claimed(row, now_ms, dead_owners)
    ]
    return sorted(ready, key=lambda row: row.enqueue_seq)


def select_ready(
    rows: Iterable[QueueRow],
    *,
    boundary: QueuedWorkClaimBoundary,
    max_batches: int,
    now_ms: int,
    dead_owners: Collection[str] = NOBODY,
) -> list[QueueRow]:
    """Return the group that `claim_ready_queued_work` takes; empty for None (contract 2.D.5)."""
    ready = candidates(rows, now_ms, dead_owners)
    if (
        ready
        and boundary is QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
        and ready[0].delivery_policy != DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
    ):
        return []
    return group_at_head(ready, max_batches)


def select_exact(
    rows: Iterable[QueueRow],
    *,
    boundary: QueuedWorkClaimBoundary,
    batch_ids: Sequence[str],
    now_ms: int,
    dead_owners: Collection[str] = NOBODY,
) -> list[QueueRow]:
    """Return the group that has exactly these ids in this order; empty for None (contract 2.D.6, R-38)."""
    group = select_ready(
        rows, boundary=boundary, max_batches=len(batch_ids), now_ms=now_ms, dead_owners=dead_owners
    )
    return group if [row.batch_id for row in group] == list(batch_ids) else []


def select_for_running_turn(
    rows: Iterable[QueueRow], *, max_batches: int, now_ms: int, dead_owners: Collection[str] = NOBODY
) -> list[QueueRow]:
    """Return the group that may enter the running turn, past rows that wait for its commit (ruling 3)."""
    ready = candidates(rows, now_ms, dead_owners)
    early = [row for row in ready if row.delivery_policy == DeliveryPolicy.EARLIEST_SAFE_BOUNDARY]
    return group_at_head(early, max_batches)


def group_at_head(ready: Sequence[QueueRow], max_batches: int) -> list[QueueRow]:
    """Return the head and what joins it: neighbours of equal delivery policy and merge key (R-16, R-36)."""
    if not ready or max_batches <= 0:
        return []
    head = ready[0]
    if head.slot_policy != SlotPolicy.JOIN or head.merge_key == NEVER_MERGE:
        return [head]
    shape = (head.slot_policy, head.delivery_policy, head.merge_key)
    group: list[QueueRow] = []
    for row in ready[:max_batches]:
        if (row.slot_policy, row.delivery_policy, row.merge_key) != shape:
            break
        group.append(row)
    return group


def next_fence(rows: Sequence[QueueRow]) -> int:
    """Return the fence of a claim of these rows: larger than that of each earlier claim of any (R-37)."""
    return 1 + max((row.fencing_token for row in rows), default=0)


def check_held(session_id: str, claim_id: str, batch_ids: Collection[str], held: Collection[str]) -> None:
    """Refuse a claim that does not hold exactly these batches any more; expiry is not asked (R-31, R-32).

    Args:
        session_id: Whose claim.
        claim_id: Which claim.
        batch_ids: What the claim says it holds.
        held: The unsettled batches of the session that are stored under the claim's id and token.

    Raises:
        LashError: `queue_claim_expired`.
    """
    if len(batch_ids) != len(held) or set(batch_ids) != set(held):
        raise LashError(
            "queue_claim_expired",
            f"claim {claim_id!r} of session {session_id!r} no longer holds exactly the batches it names "
            f"({len(batch_ids)} named, {len(held)} held); claim again",
            session_id=session_id,
            claim_id=claim_id,
        )


def check_completion(completion: QueuedWorkCompletion, session_id: str, held: Collection[str]) -> None:
    """Refuse a completion of another session, or one that does not name exactly what is held (R-31).

    Raises:
        LashError: `queue_claim_expired`.
    """
    of_session = held if completion.session_id == session_id else ()
    check_held(session_id, completion.claim_id, completion.batch_ids, of_session)
