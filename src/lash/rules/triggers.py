"""Occurrences and who they are for (contract 2.G, rules R-45 to R-48, B-20).

A subscription takes part in what happens after it was made: each occurrence remembers the newest subscription
of its time, so that a host that repeats an old occurrence wakes no newcomer (R-47).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lash.errors import LashError
from lash.rules.storable import check_storable
from lash.values import (
    HostEventOccurrenceRecord,
    HostEventOccurrenceRequest,
    TriggerDelivery,
    TriggerDeliveryReservation,
    TriggerDeliveryState,
    TriggerSubscriptionDraft,
    TriggerSubscriptionRecord,
    deterministic_delivery_process_id,
)

_NEXT_STATES = {
    TriggerDeliveryState.RESERVED: frozenset(TriggerDeliveryState),
    TriggerDeliveryState.FAILED: frozenset(TriggerDeliveryState) - {TriggerDeliveryState.RESERVED},
    TriggerDeliveryState.STARTED: frozenset({TriggerDeliveryState.STARTED}),
    TriggerDeliveryState.DISCARDED: frozenset({TriggerDeliveryState.DISCARDED}),
}


def subscription_record(
    draft: TriggerSubscriptionDraft, *, number: int, created_at_ms: int
) -> TriggerSubscriptionRecord:
    """Return the subscription with the n-th number of the store; numbers are never used again."""
    return TriggerSubscriptionRecord(
        subscription_id=f"subscription:{number}",
        handle=f"trigger:{number}",
        created_at_ms=created_at_ms,
        updated_at_ms=created_at_ms,
        **msgspec.structs.asdict(draft),
    )


def check_draft(draft: TriggerSubscriptionDraft) -> None:
    """Refuse a subscription that could never match, or belongs to nobody.

    Raises:
        LashError: `host_event_invalid_request`; `json_not_representable`.
    """
    for name in ("session_id", "source_type", "source_key"):
        if not getattr(draft, name).strip():
            raise LashError(
                "host_event_invalid_request", f"{name} of a trigger subscription is blank", field=name
            )
    check_storable(draft, what=f"trigger subscription of session {draft.session_id!a}")


def occurrence_record(request: HostEventOccurrenceRequest, occurred_at_ms: int) -> HostEventOccurrenceRecord:
    """Return what is stored of something that happens now."""
    return HostEventOccurrenceRecord(
        occurrence_id=request.occurrence_id, occurred_at_ms=occurred_at_ms, **msgspec.structs.asdict(request)
    )


def check_occurrence(request: HostEventOccurrenceRequest) -> None:
    """Refuse an occurrence with a blank name, or one that is no JSON.

    Raises:
        LashError: `host_event_invalid_request`; `json_not_representable`.
    """
    request.check()
    check_storable(request, what=f"occurrence of {request.source_type!a}")


def check_same_occurrence(
    request: HostEventOccurrenceRequest, stored: HostEventOccurrenceRecord, stored_hash: str
) -> None:
    """Refuse an idempotency key under which something else happened; keys are global to the store.

    Raises:
        LashError: `host_event_idempotency_conflict`.
    """
    if request.request_hash != stored_hash:
        raise LashError(
            "host_event_idempotency_conflict",
            f"idempotency key {request.idempotency_key!r} belongs to occurrence {stored.occurrence_id!r} of "
            f"{stored.source_type!r} with another content; take a new key for a new occurrence",
            idempotency_key=request.idempotency_key,
            occurrence_id=stored.occurrence_id,
        )


def reservation(
    occurrence: HostEventOccurrenceRecord, subscription: TriggerSubscriptionRecord
) -> TriggerDeliveryReservation:
    """Return a subscription's share of an occurrence."""
    return TriggerDeliveryReservation(
        occurrence=occurrence,
        subscription=subscription,
        process_id=deterministic_delivery_process_id(occurrence.occurrence_id, subscription.subscription_id),
    )


def reserved_delivery(reserved: TriggerDeliveryReservation, now_ms: int) -> TriggerDelivery:
    """Return what is stored for a new reservation."""
    return TriggerDelivery(
        occurrence_id=reserved.occurrence.occurrence_id,
        subscription_id=reserved.subscription.subscription_id,
        process_id=reserved.process_id,
        reserved_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def marked_delivery(
    delivery: TriggerDelivery, state: TriggerDeliveryState, *, reason: str | None, now_ms: int
) -> TriggerDelivery:
    """Return a delivery in its next state; the one that it has already is no change.

    Raises:
        LashError: `host_event_delivery_settled` for leaving started or discarded, or going back to reserved.
    """
    if state not in _NEXT_STATES[delivery.state]:
        raise LashError(
            "host_event_delivery_settled",
            f"the delivery of {delivery.occurrence_id!r} to {delivery.subscription_id!r} is "
            f"{delivery.state} and cannot become {state}",
            occurrence_id=delivery.occurrence_id,
            subscription_id=delivery.subscription_id,
            state=delivery.state.value,
        )
    if (state, reason) == (delivery.state, delivery.reason):
        return delivery
    return delivery.replace(state=state, reason=reason, updated_at_ms=now_ms)


def unknown_delivery(occurrence_id: str, subscription_id: str) -> LashError:
    """Return the error for a pair that was never reserved."""
    return LashError(
        "host_event_unknown_delivery",
        f"no delivery of {occurrence_id!r} to {subscription_id!r} was reserved",
        occurrence_id=occurrence_id,
        subscription_id=subscription_id,
    )


def unknown_occurrence(occurrence_id: str) -> LashError:
    """Return the error for an occurrence that was never recorded."""
    return LashError(
        "host_event_unknown_occurrence",
        f"there is no occurrence {occurrence_id!r}; record it first",
        occurrence_id=occurrence_id,
    )


def listing_order(subscriptions: Iterable[TriggerSubscriptionRecord]) -> list[TriggerSubscriptionRecord]:
    """Return subscriptions by session, then in the order in which they were made (R-45)."""
    return sorted(subscriptions, key=lambda one: (one.session_id, subscription_number(one.subscription_id)))


def subscription_number(subscription_id: str) -> int:
    """Return the n of `subscription:n`; 0 for any other text, which is no subscription's id."""
    return _number("subscription:", subscription_id)


def handle_number(handle: str) -> int:
    """Return the n of `trigger:n`; 0 for any other text, which is no subscription's handle."""
    return _number("trigger:", handle)


def _number(prefix: str, text: str) -> int:
    digits = text.removeprefix(prefix)
    is_number = text.startswith(prefix) and digits.isascii() and digits.isdecimal() and len(digits) < 19
    return int(digits) if is_number and str(int(digits)) == digits else 0
