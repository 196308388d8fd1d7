"""Which turn comes next, what it consists of, and what has become of it (contract 5, B-4, B-13, B-28).

A turn's composition is fixed when it is first claimed: its batches carry `run_turn_id` from then on, through
every abandon, expiry and restart, and no other claim may take them. Batches that a checkpoint took in
carry that checkpoint's effect id as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

import msgspec

from lash.errors import LashError
from lash.rules.leases import NOBODY, LeaseRow, lease_is_live
from lash.rules.queue import QueueRow, is_claimed, select_for_running_turn, select_ready
from lash.values import (
    CancelAnswer,
    ClaimRefused,
    DeliveryPolicy,
    MergeKey,
    MergePayloadDefault,
    NeverMerge,
    OnBusy,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkState,
    SlotPolicy,
    TurnDraft,
    TurnInputPayload,
    TurnReceipt,
    TurnState,
    TurnStatus,
)


class TurnGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A turn to be claimed: its batches, and those that its checkpoints took in, by effect id.

    `run_turn_id` is set for an interrupted turn. A new one has the id of its head (`turn_id` of the row;
    without one that of the head's first turn input, else `turn_id_of_batch`).
    """

    rows: tuple[QueueRow, ...]
    injected: dict[str, tuple[QueueRow, ...]] = {}
    run_turn_id: str | None = None

    @property
    def all_rows(self) -> tuple[QueueRow, ...]:
        return (*self.rows, *(row for rows in self.injected.values() for row in rows))

    @property
    def restarts(self) -> int:
        """How often this turn was claimed before."""
        return 0 if self.run_turn_id is None else max(row.runs for row in self.rows)


NextTurn: TypeAlias = TurnGroup | ClaimRefused


class TurnRow(msgspec.Struct, frozen=True):
    """A batch, settled or not, that was accepted as a turn."""

    batch_id: str
    enqueue_seq: int
    state: str
    turn_id: str
    content_hash: str | None = None
    run_turn_id: str | None = None
    claim_owner_id: str | None = None
    claim_token: str | None = None
    claim_expires_at_ms: int = 0


def accepted_batch_draft(draft: TurnDraft) -> QueuedWorkBatchDraft:
    """Return the batch that an accepted turn is stored as."""
    delivery, slot, merge = _shape_of(draft.on_busy)
    return QueuedWorkBatchDraft(
        session_id=draft.session_id,
        source_key=accepted_source_key(draft.turn_id),
        delivery_policy=delivery,
        slot_policy=slot,
        merge_key=merge,
        payloads=(TurnInputPayload(input=draft.input),),
    )


def accepted_source_key(turn_id: str) -> str:
    """Return the source key of an accepted turn."""
    return f"turn:{turn_id}"


def turn_id_of_batch(batch_id: str) -> str:
    """Return the turn id of work that came without one."""
    return f"turn:{batch_id}"


def check_same_content(turn_id: str, stored_hash: str | None, content_hash: str) -> None:
    """Refuse a turn id that was used for other content.

    Raises:
        LashError: `idempotency_conflict`.
    """
    if stored_hash != content_hash:
        raise LashError(
            "idempotency_conflict",
            f"turn {turn_id!r} was accepted with other content; take a new turn id for new input",
            turn_id=turn_id,
        )


def check_not_busy(
    session_id: str,
    on_busy: OnBusy,
    *,
    unsettled: int,
    lease: LeaseRow,
    now_ms: int,
    dead_owners: Collection[str] = NOBODY,
) -> None:
    """Refuse input that wants an idle session when work runs or waits.

    Raises:
        LashError: `session_busy`.
    """
    if on_busy == "refuse" and (unsettled or lease_is_live(lease, now_ms, dead_owners)):
        raise LashError(
            "session_busy",
            f"session {session_id!r} is busy ({unsettled} batches unsettled); "
            "send with on_busy='queue' to wait",
            retryable=True,
            session_id=session_id,
            unsettled=unsettled,
        )


def next_turn(
    rows: Iterable[QueueRow],
    *,
    lease: LeaseRow,
    owner_id: str,
    max_batches: int,
    now_ms: int,
    is_parked: bool = False,
    dead_owners: Collection[str] = NOBODY,
) -> NextTurn:
    """Return the turn that `owner_id` may claim now, or why there is none.

    An interrupted turn comes first, whole; its claims are worth what the session lease is worth. Otherwise
    the group of contract 2.D.5 at idle.

    Args:
        rows: Every unsettled batch of the session.
        lease: The session's lease.
        owner_id: Who asks; a live lease of its own does not stop it unless a turn runs under it.
        max_batches: The most that a new turn takes.
        now_ms: The time of the operation.
        is_parked: Whether the session's turn waits for something outside.
        dead_owners: Owners known to be gone.
    """
    unsettled = sorted(rows, key=lambda row: row.enqueue_seq)
    held = lease_is_live(lease, now_ms, dead_owners)
    if held and lease.owner_id != owner_id:
        return _leased(lease)
    if is_parked:
        return ClaimRefused(reason="parked")
    interrupted = _interrupted(unsettled)
    if interrupted is not None:
        runs = any(is_claimed(row, now_ms, dead_owners) for row in interrupted.all_rows)
        return _leased(lease) if held and runs else interrupted
    group = select_ready(
        unsettled,
        boundary=QueuedWorkClaimBoundary.IDLE,
        max_batches=max_batches,
        now_ms=now_ms,
        dead_owners=dead_owners,
    )
    return TurnGroup(rows=tuple(group)) if group else _nothing_ready(unsettled, now_ms, dead_owners)


def select_injections(
    rows: Iterable[QueueRow],
    *,
    turn_id: str,
    effect_id: str,
    max_batches: int,
    now_ms: int,
    dead_owners: Collection[str] = NOBODY,
) -> list[QueueRow]:
    """Return what the checkpoint `effect_id` of the running turn takes in: what it had, then what is new."""
    unsettled = sorted(rows, key=lambda row: row.enqueue_seq)
    before = [row for row in unsettled if row.run_turn_id == turn_id and row.injected_effect_id == effect_id]
    fresh = select_for_running_turn(
        unsettled, max_batches=max_batches - len(before), now_ms=now_ms, dead_owners=dead_owners
    )
    return before + fresh


def ready_at_ms(row: QueueRow, now_ms: int, dead_owners: Collection[str] = NOBODY) -> int:
    """Return when a batch of a session that nobody drives can be claimed: in the past if it can be now."""
    waits_for_claim = row.run_turn_id is None and is_claimed(row, now_ms, dead_owners)
    return max(row.available_at_ms, row.claim_expires_at_ms) if waits_for_claim else row.available_at_ms


def cancel_answer(row: TurnRow | None, *, is_committed: bool, now_ms: int) -> CancelAnswer:
    """Return what a cancel request for a turn does: the commit wins (contract 5, B-13).

    `cancelled_before_execution` asks the caller to cancel the row, `requested` to resolve the turn's wait.
    """
    if is_committed:
        return "too_late"
    if row is None or row.state == QueuedWorkState.CANCELLED:
        return "unknown_turn"
    if row.state == QueuedWorkState.COMPLETED:
        return "too_late"
    claimed = row.claim_token is not None and row.claim_expires_at_ms > now_ms
    return "requested" if claimed or row.run_turn_id is not None else "cancelled_before_execution"


def cancelled_turn_id(turn_id: str, row: TurnRow | None) -> str:
    """Return the turn whose cancel wait a request for `turn_id` resolves: the one that took its input in."""
    return row.run_turn_id or turn_id if row is not None else turn_id


def missed_by(rows: Iterable[QueueRow], turn_id: str, completed: Collection[str]) -> list[QueueRow]:
    """Return the composition of a turn that its commit did not complete: it goes back into the queue (B-13).

    Args:
        rows: The unsettled batches of the session before the commit.
        turn_id: The turn that is being settled.
        completed: The batches that the commit completes.
    """
    return [row for row in rows if row.run_turn_id == turn_id and row.batch_id not in completed]


def turn_status(
    turn_id: str,
    row: TurnRow | None,
    receipt: TurnReceipt | None,
    *,
    is_committed: bool,
    parked_on: Sequence[str] = (),
) -> TurnStatus:
    """Return what has become of a turn.

    Args:
        turn_id: Which turn.
        row: Its newest batch, or None.
        receipt: The receipt of the turn that it is part of (`row.run_turn_id`, else its own).
        is_committed: Whether that turn's stamp is recorded.
        parked_on: The waits that it is parked on.
    """
    into = row.run_turn_id if row is not None and row.run_turn_id not in (None, turn_id) else None
    return TurnStatus(
        turn_id=turn_id,
        state=_state_of(row, is_committed=is_committed),
        batch_id=None if row is None else row.batch_id,
        receipt=receipt if is_committed else None,
        absorbed_by=into,
        parked_on=() if is_committed else tuple(parked_on),
    )


def _shape_of(on_busy: OnBusy) -> tuple[DeliveryPolicy, SlotPolicy, MergeKey]:
    if on_busy == "inject":
        return DeliveryPolicy.EARLIEST_SAFE_BOUNDARY, SlotPolicy.JOIN, MergePayloadDefault()
    return DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT, SlotPolicy.EXCLUSIVE, NeverMerge()


def _interrupted(unsettled: Sequence[QueueRow]) -> TurnGroup | None:
    run_id = next((row.run_turn_id for row in unsettled if row.run_turn_id is not None), None)
    if run_id is None:
        return None
    composition = [row for row in unsettled if row.run_turn_id == run_id]
    own = tuple(row for row in composition if row.injected_effect_id is None)
    if not own:  # only what its checkpoints took in is left: that is the turn now
        return TurnGroup(rows=tuple(composition), run_turn_id=run_id)
    injected: dict[str, tuple[QueueRow, ...]] = {}
    for row in composition:
        if row.injected_effect_id is not None:
            injected[row.injected_effect_id] = (*injected.get(row.injected_effect_id, ()), row)
    return TurnGroup(rows=own, injected=injected, run_turn_id=run_id)


def _leased(lease: LeaseRow) -> ClaimRefused:
    return ClaimRefused(reason="session_leased", holder_id=lease.owner_id, retry_at_ms=lease.expires_at_ms)


def _nothing_ready(unsettled: Sequence[QueueRow], now_ms: int, dead_owners: Collection[str]) -> ClaimRefused:
    later = [at for row in unsettled if (at := ready_at_ms(row, now_ms, dead_owners)) > now_ms]
    if not later:
        return ClaimRefused(reason="empty")
    return ClaimRefused(reason="not_yet_available", retry_at_ms=min(later))


def _state_of(row: TurnRow | None, *, is_committed: bool) -> TurnState:
    if is_committed:
        return TurnState.COMMITTED
    if row is None:
        return TurnState.UNKNOWN
    match QueuedWorkState(row.state):
        case QueuedWorkState.COMPLETED:
            return TurnState.COMMITTED
        case QueuedWorkState.CANCELLED:
            return TurnState.CANCELLED
        case QueuedWorkState.CLAIMED:
            return TurnState.RUNNING
        case QueuedWorkState.PENDING:  # an interrupted turn has begun
            return TurnState.PENDING if row.run_turn_id is None else TurnState.RUNNING
