"""Wakes on their way from an event to the queue of a session, in the transaction of the event (B-8, R-22)."""

from __future__ import annotations

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.process_rows import decode_delivery
from lash.backends.sql.queue import UNDER_KEY
from lash.backends.sql.queue_rows import batch_body, insert_batch, next_number
from lash.backends.sql.session_rows import announce, corrupt, ensure_session, locked_session
from lash.rules.queue import KeyedRow, stored_under_key
from lash.values import (
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


ADD_WAKE = "INSERT INTO process_wake (key, state, reason, batch_id, delivery) VALUES (?, ?, ?, ?, ?)"
WAKES_OF_PROCESS = """SELECT delivery, state, batch_id, reason FROM process_wake
    WHERE key BETWEEN ? AND ? ORDER BY key"""
OPEN_WAKE_EVENTS = """SELECT e.body FROM process_wake w JOIN process_event e USING (key)
    WHERE w.key > ? AND w.key <= ? AND w.acked = 0 ORDER BY w.key"""
ACK_WAKE = "UPDATE process_wake SET acked = 1 WHERE key = ? AND acked = 0"


async def deliver_wake(tx: Tx, key: int, delivery: ProcessWakeDelivery, batch_id: str) -> None:
    """Store the wake of an event and put it into its session's queue (rulings 2 and 4).

    A batch that nobody has taken up yet may carry it; a session that is gone gets nothing.
    """
    draft = process_wake_batch_draft(delivery)
    sessions, under_key, numbers = await tx.read(
        locked_session(draft.session_id),
        Query(KeyedRow, UNDER_KEY, draft.session_id, draft.source_key),
        next_number(),
    )
    session = sessions[0] if sessions else None
    reason, carrier = None, None
    if session is not None and session.is_deleted:
        reason = WakeDiscardReason.TARGET_GONE
    else:
        carrier = stored_under_key(draft, under_key)
        if carrier is None:
            await ensure_session(tx, session, draft.session_id)
            carrier = (await insert_batch(tx, numbers[0], draft, batch_body(batch_id, draft))).batch_id
            announce(tx, draft.session_id, queue=True)
    state = WakeDeliveryState.ENQUEUED if reason is None else WakeDeliveryState.DISCARDED
    await tx.write(ADD_WAKE, key, state.value, reason, carrier, encode_record(delivery))
