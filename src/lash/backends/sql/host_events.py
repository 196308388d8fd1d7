"""Host events as rows (contract 2.G)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TypeAlias

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.store import Store
from lash.backends.sql.trigger_rows import (
    ADD_DELIVERY,
    ADD_OCCURRENCE,
    ADD_SUBSCRIPTION,
    CANCEL_SUBSCRIPTION,
    DELIVERIES_IN_STATE,
    DELIVERIES_OF_KEY,
    DELIVERIES_OF_OCCURRENCE,
    FIND_BY_KEY,
    FIND_DELIVERY,
    FIND_OCCURRENCE,
    FIND_SUBSCRIPTION,
    LIST_DELIVERIES,
    LIST_SUBSCRIPTIONS,
    MATCHING_KEY,
    MATCHING_SUBSCRIPTIONS,
    NEWEST_SUBSCRIPTION,
    SET_DELIVERY,
    SUBSCRIPTIONS_OF_SESSION,
    SUBSCRIPTIONS_OF_SOURCE_TYPE,
    DeliveryRow,
    OccurrenceRow,
    SubscriptionRow,
)
from lash.rules.storable import storable_bytes
from lash.rules.triggers import (
    check_draft,
    check_occurrence,
    check_same_occurrence,
    handle_number,
    marked_delivery,
    occurrence_record,
    reservation,
    reserved_delivery,
    subscription_number,
    subscription_record,
    unknown_delivery,
    unknown_occurrence,
)
from lash.values import (
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


class SqlHostEventStore:
    """See `HostEventStore` for the contract."""

    durability_tier = DurabilityTier.DURABLE

    def __init__(self, store: Store) -> None:
        self._store = store

    async def source_key_for_subscription(self, source_type: str, source: Json) -> str:
        """Return the key that equal sources of a type share."""
        return trigger_source_key(source_type, source)

    async def register_subscription(self, draft: TriggerSubscriptionDraft) -> TriggerSubscriptionRecord:
        """Make a new, enabled subscription."""
        check_draft(draft)
        body = storable_bytes(draft, what=f"trigger subscription of session {draft.session_id!a}")

        async def script(tx: Tx) -> TriggerSubscriptionRecord:
            number = await tx.fetch_one(
                int,
                ADD_SUBSCRIPTION,
                draft.session_id,
                draft.source_type,
                draft.source_key,
                tx.now_ms,
                tx.now_ms,
                body,
            )
            assert number is not None
            tx.notify("triggers")
            return subscription_record(draft, number=number, created_at_ms=tx.now_ms)

        return await self._store.run(script)

    async def list_subscriptions(
        self, filter: TriggerSubscriptionFilter | None = None
    ) -> list[TriggerSubscriptionRecord]:
        """Return what a filter lets pass, by session and then by creation."""
        wanted = filter or TriggerSubscriptionFilter()

        async def script(tx: Tx) -> list[TriggerSubscriptionRecord]:
            rows, *_ = await tx.read(_narrowed(wanted))
            records = [row.record() for row in rows]
            return [record for record in records if wanted.matches(record)]

        return await self._store.read(script)

    async def cancel_subscription(self, session_id: str, handle: str) -> bool:
        """Disable a subscription of that session; true only if that changed anything."""

        async def script(tx: Tx) -> bool:
            number = handle_number(handle)
            changed = await tx.write_counted(CANCEL_SUBSCRIPTION, tx.now_ms, number, session_id)
            if changed:
                tx.notify("triggers")
            return changed > 0

        return await self._store.run(script)

    async def record_occurrence(self, request: HostEventOccurrenceRequest) -> HostEventOccurrenceRecord:
        """Note that something happened, once for each idempotency key."""
        check_occurrence(request)

        async def script(tx: Tx) -> HostEventOccurrenceRecord:
            rows, newest = await tx.read(
                Query(OccurrenceRow, FIND_BY_KEY, request.idempotency_key), Query(int, NEWEST_SUBSCRIPTION)
            )
            return (await _recorded(tx, request, rows, newest[0]))[0]

        return await self._store.run(script)

    async def reserve_matching_deliveries(self, occurrence_id: str) -> list[TriggerDeliveryReservation]:
        """Reserve the deliveries of an occurrence that nobody has reserved, and return these only."""

        async def script(tx: Tx) -> list[TriggerDeliveryReservation]:
            row = await tx.fetch_one(OccurrenceRow, FIND_OCCURRENCE, occurrence_id)
            if row is None:
                raise unknown_occurrence(occurrence_id)
            matching = await tx.fetch_all(
                SubscriptionRow,
                MATCHING_SUBSCRIPTIONS,
                row.source_type,
                row.source_key,
                row.subscriptions_before,
                row.event_seq,
            )
            return [reserved for reserved, _ in await _reserve(tx, row.record(), matching)]

        return await self._store.run(script)

    async def record_and_reserve(self, request: HostEventOccurrenceRequest) -> HostEventIngest:
        """Record and reserve in one transaction."""
        check_occurrence(request)
        key = request.idempotency_key

        async def script(tx: Tx) -> HostEventIngest:
            # The newest number is read before the subscriptions: none up to it is missed.
            rows, newest, matching, known = await tx.read(
                Query(OccurrenceRow, FIND_BY_KEY, key),
                Query(int, NEWEST_SUBSCRIPTION),
                Query(SubscriptionRow, MATCHING_KEY, request.source_type, request.source_key, key),
                Query(DeliveryRow, DELIVERIES_OF_KEY, key),
            )
            occurrence, before = await _recorded(tx, request, rows, newest[0])
            new = await _reserve(tx, occurrence, [row for row in matching if row.number <= before])
            deliveries = [*((row.number, row.record()) for row in known), *_numbered(new)]
            return HostEventIngest(
                occurrence=occurrence,
                reservations=tuple(reserved for reserved, _ in new),
                deliveries=tuple(delivery for _, delivery in sorted(deliveries, key=itemgetter(0))),
                replayed=bool(rows),
            )

        return await self._store.run(script)

    async def list_deliveries(
        self,
        *,
        occurrence_id: str | None = None,
        state: TriggerDeliveryState | None = None,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> list[TriggerDelivery]:
        """Return deliveries, the oldest first."""
        most = max(limit, 0)

        async def script(tx: Tx) -> list[TriggerDelivery]:
            number = 0 if after is None else await _delivery_number(tx, *after)
            if number is None:
                return []
            if occurrence_id is not None:
                rows = await tx.fetch_all(DeliveryRow, DELIVERIES_OF_OCCURRENCE, occurrence_id)
                rows = [row for row in rows if state is None or row.state == state]
                rows = [row for row in rows if row.delivery_seq > number][:most]
            elif state is None:
                rows = await tx.fetch_all(DeliveryRow, LIST_DELIVERIES, number, most)
            else:
                rows = await tx.fetch_all(DeliveryRow, DELIVERIES_IN_STATE, state.value, number, most)
            return [row.record() for row in rows]

        return await self._store.read(script)

    async def find_reservation(
        self, occurrence_id: str, subscription_id: str
    ) -> TriggerDeliveryReservation | None:
        """Return a delivery with all that is needed to start its process, or None."""
        number = subscription_number(subscription_id)

        async def script(tx: Tx) -> TriggerDeliveryReservation | None:
            delivered, occurrences, subscriptions = await tx.read(
                Query(DeliveryRow, FIND_DELIVERY, occurrence_id, number),
                Query(OccurrenceRow, FIND_OCCURRENCE, occurrence_id),
                Query(SubscriptionRow, FIND_SUBSCRIPTION, number),
            )
            if not delivered:
                return None
            return reservation(occurrences[0].record(), subscriptions[0].as_made())

        return await self._store.read(script)

    async def mark_delivery(
        self,
        occurrence_id: str,
        subscription_id: str,
        state: TriggerDeliveryState,
        *,
        reason: str | None = None,
    ) -> TriggerDelivery:
        """Note what has become of a delivery."""
        number = subscription_number(subscription_id)

        async def script(tx: Tx) -> TriggerDelivery:
            row = await tx.fetch_one(DeliveryRow, FIND_DELIVERY, occurrence_id, number)
            if row is None:
                raise unknown_delivery(occurrence_id, subscription_id)
            delivery = row.record()
            marked = marked_delivery(delivery, state, reason=reason, now_ms=tx.now_ms)
            if marked is not delivery:
                await tx.write(
                    SET_DELIVERY, marked.state.value, marked.reason, marked.updated_at_ms, row.delivery_seq
                )
            return marked

        return await self._store.run(script)


async def _delivery_number(tx: Tx, occurrence_id: str, subscription_id: str) -> int | None:
    number = subscription_number(subscription_id)
    row = await tx.fetch_one(DeliveryRow, FIND_DELIVERY, occurrence_id, number)
    return None if row is None else row.delivery_seq


def _narrowed(wanted: TriggerSubscriptionFilter) -> Query[SubscriptionRow]:
    """Return the read of the subscriptions among which the wanted ones are, in the order of listings."""
    if wanted.handle is not None:
        return Query(SubscriptionRow, FIND_SUBSCRIPTION, handle_number(wanted.handle))
    if wanted.session_id is not None:
        return Query(SubscriptionRow, SUBSCRIPTIONS_OF_SESSION, wanted.session_id)
    if wanted.source_type is not None:
        return Query(SubscriptionRow, SUBSCRIPTIONS_OF_SOURCE_TYPE, wanted.source_type)
    return Query(SubscriptionRow, LIST_SUBSCRIPTIONS)


Reserved: TypeAlias = tuple[TriggerDeliveryReservation, TriggerDelivery]


async def _recorded(
    tx: Tx, request: HostEventOccurrenceRequest, rows: Sequence[OccurrenceRow], newest: int
) -> tuple[HostEventOccurrenceRecord, int]:
    """Store an occurrence unless it is; return it, and the newest subscription that it is for.

    Raises:
        LashError: `idempotency_conflict` for another occurrence under the same key.
    """
    if rows:
        record = rows[0].record()
        check_same_occurrence(request, record, rows[0].request_hash)
        return record, rows[0].subscriptions_before
    record = occurrence_record(request, tx.now_ms)
    await tx.write(
        ADD_OCCURRENCE,
        record.occurrence_id,
        request.idempotency_key,
        request.request_hash,
        request.source_type,
        request.source_key,
        newest,
        encode_record(record),
    )
    return record, newest


async def _reserve(
    tx: Tx, occurrence: HostEventOccurrenceRecord, matching: Sequence[SubscriptionRow]
) -> list[Reserved]:
    """Reserve the deliveries to these subscriptions, in their order."""
    if not matching:
        return []
    new = [reservation(occurrence, subscription.as_made()) for subscription in matching]
    reserved = [(one, reserved_delivery(one, tx.now_ms)) for one in new]
    await tx.write_many(
        ADD_DELIVERY,
        [
            (
                occurrence.occurrence_id,
                subscription.number,
                delivery.process_id,
                delivery.state.value,
                tx.now_ms,
                tx.now_ms,
            )
            for subscription, (_, delivery) in zip(matching, reserved, strict=True)
        ],
    )
    tx.notify("deliveries")
    return reserved


def _numbered(reserved: Sequence[Reserved]) -> list[tuple[int, TriggerDelivery]]:
    return [(subscription_number(delivery.subscription_id), delivery) for _, delivery in reserved]
