"""Host events in memory (contract 2.G)."""

from __future__ import annotations

import msgspec

from lash.backends.memory.tables import Tables
from lash.backends.memory.trigger_table import StoredOccurrence, StoredSubscription
from lash.rules.triggers import (
    check_draft,
    check_occurrence,
    check_same_occurrence,
    listing_order,
    marked_delivery,
    occurrence_record,
    reservation,
    reserved_delivery,
    subscription_record,
    unknown_delivery,
    unknown_occurrence,
)
from lash.system import RandomIds, SystemClock
from lash.values import (
    Clock,
    DurabilityTier,
    HostEventIngest,
    HostEventOccurrenceRecord,
    HostEventOccurrenceRequest,
    Json,
    TriggerDelivery,
    TriggerDeliveryReservation,
    TriggerDeliveryState,
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
    encode_record,
    trigger_source_key,
)


class InMemoryHostEventStore:
    """See `HostEventStore` for the contract.

    Args:
        tables: The database that it is a view on; a little one of its own by default.
        clock: Where time comes from, without `tables`; the machine's clock by default.
    """

    durability_tier = DurabilityTier.INLINE

    def __init__(self, tables: Tables | None = None, *, clock: Clock | None = None) -> None:
        self._tables = tables or Tables(clock or SystemClock(), RandomIds())

    async def source_key_for_subscription(self, source_type: str, source: Json) -> str:
        """Return the key that equal sources of a type share."""
        return trigger_source_key(source_type, source)

    async def register_subscription(self, draft: TriggerSubscriptionDraft) -> TriggerSubscriptionRecord:
        """Make a new, enabled subscription."""
        check_draft(draft)
        triggers = self._tables.triggers
        record = subscription_record(
            draft, number=triggers.last_number + 1, created_at_ms=self._tables.clock.now_ms()
        )
        stored = StoredSubscription(
            number=triggers.last_number + 1,
            body=encode_record(record),
            updated_at_ms=record.updated_at_ms,
        )
        triggers.subscriptions[record.handle] = stored
        self._tables.hub.publish("triggers")
        return stored.record()

    async def list_subscriptions(
        self, filter: TriggerSubscriptionFilter | None = None
    ) -> list[TriggerSubscriptionRecord]:
        """Return what a filter lets pass, by session and then by creation."""
        wanted = filter or TriggerSubscriptionFilter()
        records = [stored.record() for stored in self._tables.triggers.subscriptions.values()]
        return listing_order(record for record in records if wanted.matches(record))

    async def cancel_subscription(self, session_id: str, handle: str) -> bool:
        """Disable a subscription of that session; true only if that changed anything."""
        stored = self._tables.triggers.subscriptions.get(handle)
        if stored is None or not stored.enabled or stored.as_made().session_id != session_id:
            return False
        self._tables.triggers.subscriptions[handle] = msgspec.structs.replace(
            stored, enabled=False, updated_at_ms=self._tables.clock.now_ms()
        )
        self._tables.hub.publish("triggers")
        return True

    async def record_occurrence(self, request: HostEventOccurrenceRequest) -> HostEventOccurrenceRecord:
        """Note that something happened, once for each idempotency key."""
        check_occurrence(request)
        return self._recorded(request)[0]

    async def reserve_matching_deliveries(self, occurrence_id: str) -> list[TriggerDeliveryReservation]:
        """Reserve the deliveries of an occurrence that nobody has reserved, and return these only."""
        if occurrence_id not in self._tables.triggers.occurrences:
            raise unknown_occurrence(occurrence_id)
        return self._reserved(occurrence_id)

    async def record_and_reserve(self, request: HostEventOccurrenceRequest) -> HostEventIngest:
        """Record and reserve at once."""
        check_occurrence(request)
        occurrence, is_new = self._recorded(request)
        return HostEventIngest(
            occurrence=occurrence,
            reservations=tuple(self._reserved(occurrence.occurrence_id)),
            deliveries=tuple(self._deliveries_of(occurrence.occurrence_id)),
            replayed=not is_new,
        )

    async def list_deliveries(
        self,
        *,
        occurrence_id: str | None = None,
        state: TriggerDeliveryState | None = None,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> list[TriggerDelivery]:
        """Return deliveries, the oldest first."""
        deliveries = list(self._tables.triggers.deliveries.values())
        if after is not None:
            places = {key: place for place, key in enumerate(self._tables.triggers.deliveries)}
            deliveries = deliveries[places[after] + 1 :] if after in places else []
        wanted = [
            delivery
            for delivery in deliveries
            if (occurrence_id is None or delivery.occurrence_id == occurrence_id)
            and (state is None or delivery.state is state)
        ]
        return wanted[: max(limit, 0)]

    async def find_reservation(
        self, occurrence_id: str, subscription_id: str
    ) -> TriggerDeliveryReservation | None:
        """Return a delivery with all that is needed to start its process, or None."""
        triggers = self._tables.triggers
        if (occurrence_id, subscription_id) not in triggers.deliveries:
            return None
        handle = f"trigger:{subscription_id.removeprefix('subscription:')}"
        occurrence = triggers.occurrences[occurrence_id].record()
        return reservation(occurrence, triggers.subscriptions[handle].as_made())

    async def mark_delivery(
        self,
        occurrence_id: str,
        subscription_id: str,
        state: TriggerDeliveryState,
        *,
        reason: str | None = None,
    ) -> TriggerDelivery:
        """Note what has become of a delivery."""
        key = (occurrence_id, subscription_id)
        delivery = self._tables.triggers.deliveries.get(key)
        if delivery is None:
            raise unknown_delivery(occurrence_id, subscription_id)
        marked = marked_delivery(delivery, state, reason=reason, now_ms=self._tables.clock.now_ms())
        self._tables.triggers.deliveries[key] = marked
        return marked

    def _recorded(self, request: HostEventOccurrenceRequest) -> tuple[HostEventOccurrenceRecord, bool]:
        """Return the occurrence, and whether it is a new one."""
        triggers = self._tables.triggers
        known = triggers.by_key.get(request.idempotency_key)
        if known is not None:
            stored = triggers.occurrences[known]
            record = stored.record()
            check_same_occurrence(request, record, stored.request_hash)
            return record, False
        record = occurrence_record(request, self._tables.clock.now_ms())
        triggers.by_key[request.idempotency_key] = record.occurrence_id
        triggers.occurrences[record.occurrence_id] = stored = StoredOccurrence(
            body=encode_record(record),
            request_hash=request.request_hash,
            subscriptions_before=triggers.last_number,
        )
        return stored.record(), True

    def _reserved(self, occurrence_id: str) -> list[TriggerDeliveryReservation]:
        triggers, now_ms = self._tables.triggers, self._tables.clock.now_ms()
        stored = triggers.occurrences[occurrence_id]
        occurrence, reserved = stored.record(), []
        for subscription in triggers.subscriptions.values():
            made = subscription.as_made()
            if (
                subscription.enabled
                and subscription.number <= stored.subscriptions_before
                and (made.source_type, made.source_key) == (occurrence.source_type, occurrence.source_key)
                and (occurrence_id, made.subscription_id) not in triggers.deliveries
            ):
                new = reservation(occurrence, made)
                triggers.deliveries[occurrence_id, made.subscription_id] = reserved_delivery(new, now_ms)
                reserved.append(new)
        if reserved:
            self._tables.hub.publish("deliveries")
        return reserved

    def _deliveries_of(self, occurrence_id: str) -> list[TriggerDelivery]:
        deliveries = self._tables.triggers.deliveries.values()
        return [delivery for delivery in deliveries if delivery.occurrence_id == occurrence_id]
