"""Host events: subscriptions, occurrences, and who gets which (contract 2.G)."""

from __future__ import annotations

from typing import Protocol

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
)


class HostEventStore(Protocol):
    """What happened, who asked to be told, and what has become of each delivery.

    Topics: `triggers` when a subscription is made or cancelled, `deliveries` when deliveries are reserved.
    """

    @property
    def durability_tier(self) -> DurabilityTier:
        """Whether what is stored survives the operating-system process."""
        ...

    async def source_key_for_subscription(self, source_type: str, source: Json) -> str:
        """Return the key that equal sources of a type share; pure, whatever the order of their members."""
        ...

    async def register_subscription(self, draft: TriggerSubscriptionDraft) -> TriggerSubscriptionRecord:
        """Make a new, enabled subscription. The same draft twice makes two.

        Raises:
            LashError: `host_event_invalid_request` for a blank session, source type or source key;
                `json_not_representable`.
        """
        ...

    async def list_subscriptions(
        self, filter: TriggerSubscriptionFilter | None = None
    ) -> list[TriggerSubscriptionRecord]:
        """Return what a filter lets pass, disabled ones included, by session and then by creation (R-45)."""
        ...

    async def cancel_subscription(self, session_id: str, handle: str) -> bool:
        """Disable a subscription of that session; true only if that changed anything (R-46)."""
        ...

    async def record_occurrence(self, request: HostEventOccurrenceRequest) -> HostEventOccurrenceRecord:
        """Note that something happened, once for each idempotency key of the store; reserves nothing.

        Raises:
            LashError: `host_event_invalid_request`; `host_event_idempotency_conflict` when the key belongs to
                another content; `json_not_representable`.
        """
        ...

    async def reserve_matching_deliveries(self, occurrence_id: str) -> list[TriggerDeliveryReservation]:
        """Reserve the deliveries of an occurrence that nobody has reserved, and return these only.

        Enabled subscriptions of the same source type and key take part that were made before the occurrence
        was first recorded (R-47), in the order in which they were made (R-48). Concurrent calls share the
        reservations among them.

        Raises:
            LashError: `host_event_unknown_occurrence`.
        """
        ...

    async def record_and_reserve(self, request: HostEventOccurrenceRequest) -> HostEventIngest:
        """Record and reserve in one transaction, and say how all deliveries of the occurrence stand (B-20).

        Raises:
            LashError: see `record_occurrence`.
        """
        ...

    async def list_deliveries(
        self,
        *,
        occurrence_id: str | None = None,
        state: TriggerDeliveryState | None = None,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> list[TriggerDelivery]:
        """Return deliveries, the oldest first: of one occurrence, in one state, or all.

        Args:
            occurrence_id: Only those of this occurrence.
            state: Only those in this state.
            after: The occurrence id and the subscription id of the last one of the page before.
            limit: The most that are returned.
        """
        ...

    async def find_reservation(
        self, occurrence_id: str, subscription_id: str
    ) -> TriggerDeliveryReservation | None:
        """Return a delivery with all that is needed to start its process, or None (R-51)."""
        ...

    async def mark_delivery(
        self,
        occurrence_id: str,
        subscription_id: str,
        state: TriggerDeliveryState,
        *,
        reason: str | None = None,
    ) -> TriggerDelivery:
        """Note what has become of a delivery. A failed one may still be started.

        Raises:
            LashError: `host_event_unknown_delivery`; `host_event_delivery_settled` for a delivery that is
                started or discarded.
        """
        ...
