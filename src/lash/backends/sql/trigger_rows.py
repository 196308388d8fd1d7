"""Subscriptions, occurrences and deliveries as rows. A subscription's draft never changes; columns do."""

from __future__ import annotations

import msgspec

from lash.backends.sql.session_rows import corrupt
from lash.rules.triggers import subscription_record
from lash.values import (
    HostEventOccurrenceRecord,
    TriggerDelivery,
    TriggerDeliveryState,
    TriggerSubscriptionDraft,
    TriggerSubscriptionRecord,
    decode_record,
)


class SubscriptionRow(msgspec.Struct, frozen=True, gc=False):
    """A subscription."""

    number: int
    enabled: int
    created_at_ms: int
    updated_at_ms: int
    draft: bytes

    def as_made(self) -> TriggerSubscriptionRecord:
        """Return what deliveries carry.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        what = f"table trigger_subscription: subscription {self.number}"
        draft = decode_record(TriggerSubscriptionDraft, self.draft, what=what)
        return subscription_record(draft, number=self.number, created_at_ms=self.created_at_ms)

    def record(self) -> TriggerSubscriptionRecord:
        """Return it as it is now."""
        return self.as_made().replace(enabled=bool(self.enabled), updated_at_ms=self.updated_at_ms)


class OccurrenceRow(msgspec.Struct, frozen=True, gc=False):
    """An occurrence."""

    event_seq: int
    occurrence_id: str
    request_hash: str
    source_type: str
    source_key: str
    subscriptions_before: int
    body: bytes

    def record(self) -> HostEventOccurrenceRecord:
        """Return it as callers see it.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        what = f"table host_event: occurrence {self.occurrence_id!r}"
        return decode_record(HostEventOccurrenceRecord, self.body, what=what)


class DeliveryRow(msgspec.Struct, frozen=True, gc=False):
    """A delivery."""

    delivery_seq: int
    occurrence_id: str
    number: int
    process_id: str
    state: str
    reason: str | None
    reserved_at_ms: int
    updated_at_ms: int

    def record(self) -> TriggerDelivery:
        """Return it as callers see it.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        try:
            state = TriggerDeliveryState(self.state)
        except ValueError as problem:
            raise corrupt("trigger_delivery", f"delivery {self.delivery_seq}", problem) from problem
        return TriggerDelivery(
            occurrence_id=self.occurrence_id,
            subscription_id=f"subscription:{self.number}",
            process_id=self.process_id,
            reserved_at_ms=self.reserved_at_ms,
            updated_at_ms=self.updated_at_ms,
            state=state,
            reason=self.reason,
        )


_SUBSCRIPTION = (
    "SELECT s.number, s.enabled, s.created_at_ms, s.updated_at_ms, s.draft FROM trigger_subscription s"
)
_OCCURRENCE = """SELECT event_seq, occurrence_id, request_hash, source_type, source_key, subscriptions_before, body
    FROM host_event"""
_DELIVERY = """SELECT d.delivery_seq, h.occurrence_id, d.number, d.process_id, d.state, d.reason,
    d.reserved_at_ms, d.updated_at_ms FROM trigger_delivery d JOIN host_event h USING (event_seq)"""

ADD_SUBSCRIPTION = """INSERT INTO trigger_subscription
    (session_id, source_type, source_key, created_at_ms, updated_at_ms, draft) VALUES (?, ?, ?, ?, ?, ?)
    RETURNING number"""
LIST_SUBSCRIPTIONS = f"{_SUBSCRIPTION} ORDER BY s.session_id, s.number"
SUBSCRIPTIONS_OF_SESSION = f"{_SUBSCRIPTION} WHERE s.session_id = ? ORDER BY s.number"
SUBSCRIPTIONS_OF_SOURCE_TYPE = f"{_SUBSCRIPTION} WHERE s.source_type = ? ORDER BY s.session_id, s.number"
FIND_SUBSCRIPTION = f"{_SUBSCRIPTION} WHERE s.number = ?"
CANCEL_SUBSCRIPTION = """UPDATE trigger_subscription SET enabled = 0, updated_at_ms = ?
    WHERE number = ? AND session_id = ? AND enabled = 1"""
MATCHING_SUBSCRIPTIONS = f"""{_SUBSCRIPTION} WHERE s.source_type = ? AND s.source_key = ? AND s.number <= ?
    AND s.enabled = 1 AND NOT EXISTS
        (SELECT 1 FROM trigger_delivery d WHERE d.event_seq = ? AND d.number = s.number)
    ORDER BY s.number"""  # noqa: S608  # constants only
FIND_OCCURRENCE = f"{_OCCURRENCE} WHERE occurrence_id = ?"
FIND_BY_KEY = f"{_OCCURRENCE} WHERE idempotency_key = ?"
NEWEST_SUBSCRIPTION = "SELECT coalesce(max(number), 0) FROM trigger_subscription"
# Of an occurrence under a key, and, as long as there is none, of a source.
MATCHING_KEY = f"""{_SUBSCRIPTION} WHERE s.source_type = ? AND s.source_key = ? AND s.enabled = 1 AND NOT EXISTS
    (SELECT 1 FROM trigger_delivery d WHERE d.number = s.number
    AND d.event_seq = (SELECT event_seq FROM host_event WHERE idempotency_key = ?))
    ORDER BY s.number"""  # noqa: S608  # constants only
ADD_OCCURRENCE = """INSERT INTO host_event (occurrence_id, idempotency_key, request_hash, source_type, source_key,
    subscriptions_before, body) VALUES (?, ?, ?, ?, ?, ?, ?)"""
ADD_DELIVERY = """INSERT INTO trigger_delivery (event_seq, number, process_id, state, reserved_at_ms, updated_at_ms)
    VALUES ((SELECT event_seq FROM host_event WHERE occurrence_id = ?), ?, ?, ?, ?, ?)"""
LIST_DELIVERIES = f"{_DELIVERY} WHERE d.delivery_seq > ? ORDER BY d.delivery_seq LIMIT ?"
DELIVERIES_OF_OCCURRENCE = f"{_DELIVERY} WHERE h.occurrence_id = ? ORDER BY d.number"
DELIVERIES_OF_KEY = f"{_DELIVERY} WHERE h.idempotency_key = ? ORDER BY d.number"
DELIVERIES_IN_STATE = f"{_DELIVERY} WHERE d.state = ? AND d.delivery_seq > ? ORDER BY d.delivery_seq LIMIT ?"
FIND_DELIVERY = f"{_DELIVERY} WHERE h.occurrence_id = ? AND d.number = ?"
SET_DELIVERY = "UPDATE trigger_delivery SET state = ?, reason = ?, updated_at_ms = ? WHERE delivery_seq = ?"
