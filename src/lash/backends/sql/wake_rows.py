"""Wakes on their way from an event to the queue of a session, in the transaction of the event (B-8, R-22)."""

from __future__ import annotations

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.process_rows import FIND_PID, PidRow, decode_delivery, event_key, known_pid
from lash.backends.sql.queue import UNDER_KEY
from lash.backends.sql.queue_rows import batch_body, insert_batch, next_number
from lash.backends.sql.session_rows import announce, corrupt, ensure_session, locked_session
from lash.rules.commits import session_deleted
from lash.rules.process_events import redriven_delivery
from lash.rules.queue import KeyedRow, stored_under_key
from lash.values import (
    ProcessScope,
    ProcessWakeDelivery,
    WakeDeliveryRecord,
    WakeDeliveryState,
    WakeDiscardReason,
    encode_record,
    process_wake_batch_draft,
)


class WakeRow(msgspec.Struct, frozen=True, gc=False):
    """A line of the outbox."""

    delivery: bytes
    state: str
    batch_id: str | None
    reason: str | None

    def record(self, process_id: str) -> WakeDeliveryRecord:
        """Return the line.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        try:
            state = WakeDeliveryState(self.state)
            reason = None if self.reason is None else WakeDiscardReason(self.reason)
        except ValueError as problem:
            raise corrupt("process_wake", f"a wake of process {process_id!r}", problem) from problem
        return WakeDeliveryRecord(
            delivery=decode_delivery(process_id, self.delivery),
            state=state,
            batch_id=self.batch_id,
            reason=reason,
        )


class LostWake(msgspec.Struct, frozen=True, gc=False):
    """A line of the outbox whose wake did not arrive, and its process."""

    process_id: str
    delivery: bytes
    state: str
    batch_id: str | None
    reason: str | None

    def record(self) -> WakeDeliveryRecord:
        """Return the line."""
        return WakeRow(self.delivery, self.state, self.batch_id, self.reason).record(self.process_id)


ADD_WAKE = "INSERT INTO process_wake (key, state, reason, batch_id, delivery) VALUES (?, ?, ?, ?, ?)"
WAKES_OF_PROCESS = """SELECT delivery, state, batch_id, reason FROM process_wake
    WHERE key BETWEEN ? AND ? ORDER BY key"""
OPEN_WAKE_EVENTS = """SELECT e.body FROM process_wake w JOIN process_event e USING (key)
    WHERE w.key > ? AND w.key <= ? AND w.acked = 0 ORDER BY w.key"""
FIND_WAKE = """SELECT delivery, state, batch_id, reason FROM process_wake
    WHERE key = (SELECT pid << 32 FROM process WHERE process_id = ?) + ?"""
RESEND_WAKE = """UPDATE process_wake SET state = 'enqueued', reason = NULL, batch_id = ?, delivery = ?, acked = 0
    WHERE key = ?"""
LOST_WAKES = """SELECT p.process_id, w.delivery, w.state, w.batch_id, w.reason
    FROM process_wake w JOIN process p ON p.pid = w.key >> 32
    WHERE w.state = 'discarded' AND w.key > ? ORDER BY w.key LIMIT ?"""
ACK_WAKE = "UPDATE process_wake SET acked = 1 WHERE key = ? AND acked = 0"


async def deliver_wake(tx: Tx, key: int, delivery: ProcessWakeDelivery, batch_id: str) -> None:
    """Store the wake of an event and put it into its session's queue (rulings 2 and 4).

    A batch that nobody has taken up yet may carry it; a session that is gone gets nothing.
    """
    reason, carrier = await _carried(tx, delivery, batch_id)
    state = WakeDeliveryState.ENQUEUED if reason is None else WakeDeliveryState.DISCARDED
    await tx.write(ADD_WAKE, key, state.value, reason, carrier, encode_record(delivery))


async def redrive_wake(
    tx: Tx, process_id: str, sequence: int, target: ProcessScope | None, batch_id: str
) -> WakeDeliveryRecord:
    """Send a discarded wake again; see `ProcessRegistry.redrive_wake`."""
    place = event_key(0, sequence)
    pids, wakes = await tx.read(
        Query(PidRow, FIND_PID, process_id), Query(WakeRow, FIND_WAKE, process_id, place)
    )
    pid = known_pid(process_id, pids)
    known = wakes[0].record(process_id) if wakes else None
    delivery = redriven_delivery(known, process_id, sequence, target)
    reason, carrier = await _carried(tx, delivery, batch_id)
    if reason is not None:
        raise session_deleted(delivery.target_session_id)
    await tx.write(RESEND_WAKE, carrier, encode_record(delivery), event_key(pid, sequence))
    return WakeDeliveryRecord(delivery=delivery, state=WakeDeliveryState.ENQUEUED, batch_id=carrier)


async def _carried(
    tx: Tx, delivery: ProcessWakeDelivery, batch_id: str
) -> tuple[WakeDiscardReason | None, str | None]:
    """Put a wake into its session's queue; return why that cannot be, or the batch that carries it."""
    draft = process_wake_batch_draft(delivery)
    sessions, under_key, numbers = await tx.read(
        locked_session(draft.session_id),
        Query(KeyedRow, UNDER_KEY, draft.session_id, draft.source_key),
        next_number(),
    )
    session = sessions[0] if sessions else None
    if session is not None and session.is_deleted:
        return WakeDiscardReason.TARGET_GONE, None
    carrier = stored_under_key(draft, under_key)
    if carrier is None:
        await ensure_session(tx, session, draft.session_id)
        carrier = (await insert_batch(tx, numbers[0], draft, batch_body(batch_id, draft))).batch_id
        announce(tx, draft.session_id, queue=True)
    return None, carrier
