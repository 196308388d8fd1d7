"""The subscriptions, occurrences and deliveries of a memory database."""

from __future__ import annotations

import msgspec

from lash.values import (
    HostEventOccurrenceRecord,
    TriggerDelivery,
    TriggerSubscriptionRecord,
    decode_record,
)


class StoredSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as it was made, and whether it still is."""

    number: int
    body: bytes
    enabled: bool = True
    updated_at_ms: int = 0

    def as_made(self) -> TriggerSubscriptionRecord:
        """Return what deliveries carry."""
        return decode_record(TriggerSubscriptionRecord, self.body, what=f"subscription {self.number}")

    def record(self) -> TriggerSubscriptionRecord:
        """Return it as it is now."""
        return self.as_made().replace(enabled=self.enabled, updated_at_ms=self.updated_at_ms)


class StoredOccurrence(msgspec.Struct, frozen=True, kw_only=True):
    """An occurrence, and how many subscriptions had been made by then."""

    body: bytes
    request_hash: str
    subscriptions_before: int

    def record(self) -> HostEventOccurrenceRecord:
        return decode_record(HostEventOccurrenceRecord, self.body, what="occurrence")


class TriggerTable:
    """All host events of a database. Subscriptions and deliveries are kept in the order of their making."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, StoredSubscription] = {}  # by handle
        self.occurrences: dict[str, StoredOccurrence] = {}
        self.by_key: dict[str, str] = {}  # idempotency key -> occurrence id
        self.deliveries: dict[tuple[str, str], TriggerDelivery] = {}  # by occurrence and subscription

    @property
    def last_number(self) -> int:
        """The number of the newest subscription; none is ever removed."""
        return len(self.subscriptions)
