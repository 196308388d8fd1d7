"""Occurrences and who gets them (contracts 2.G.5 and 2.G.6)."""

from __future__ import annotations

import asyncio

from lash.contracts.host_events import HostEventStore
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, refused
from lash.testing.conformance.samples.triggers import (
    BUTTON,
    button_key,
    button_pressed,
    subscription,
)
from lash.testing.conformance.trial import Trial
from lash.values import TriggerSubscriptionFilter, deterministic_delivery_process_id


async def _reserved(store: HostEventStore, occurrence_id: str) -> list[str]:
    reserved = await store.reserve_matching_deliveries(occurrence_id)
    return [reservation.subscription.handle for reservation in reserved]


@case(Contract.HOST_EVENT_STORE, seed=True)
async def host_event_store_records_and_reserves_idempotently(trial: Trial[HostEventStore]) -> None:
    """An occurrence is recorded once and reserved once; a cancelled subscription gets nothing."""
    store = trial.subject
    key = await button_key(store)
    subscribed = await store.register_subscription(subscription("session-a", key, "on_button"))
    occurrence = await store.record_occurrence(button_pressed(key, "button-blue-1"))
    expect(occurrence.occurrence_id, "an occurrence has an id")
    expect_equal((occurrence.source_type, occurrence.source_key), (BUTTON, key), "its source")
    first = await store.reserve_matching_deliveries(occurrence.occurrence_id)
    expect_equal(len(first), 1, "the first reservation")
    expect_equal(first[0].subscription.handle, subscribed.handle, "its subscription")
    expect_equal(first[0].occurrence.occurrence_id, occurrence.occurrence_id, "its occurrence")
    derived = deterministic_delivery_process_id(occurrence.occurrence_id, subscribed.subscription_id)
    expect_equal(first[0].process_id, derived, "its process id")
    expect_equal(await _reserved(store, occurrence.occurrence_id), [], "the second reservation")
    replayed = await store.record_occurrence(button_pressed(key, "button-blue-1"))
    expect_equal(replayed.occurrence_id, occurrence.occurrence_id, "the replayed occurrence")
    expect_equal(await _reserved(store, replayed.occurrence_id), [], "its reservation")
    await store.cancel_subscription("session-a", subscribed.handle)
    later = await store.record_occurrence(button_pressed(key, "button-blue-2"))
    expect_equal(await _reserved(store, later.occurrence_id), [], "what a cancelled subscription gets")


@case(Contract.HOST_EVENT_STORE, seed=True, rule="R-6", needs=Feature.SECOND_HANDLE)
async def host_event_store_survives_reopen(trial: Trial[HostEventStore]) -> None:
    """Subscription, occurrence and reservation are there for the second handle, uniqueness included."""
    store, other = trial.subject, trial.second
    key = await button_key(store)
    subscribed = await store.register_subscription(subscription("session-a", key, "on_button"))
    occurrence = await store.record_occurrence(button_pressed(key, "button-blue-1"))
    expect_equal(len(await _reserved(store, occurrence.occurrence_id)), 1, "the reservation")
    listed = await other.list_subscriptions(TriggerSubscriptionFilter.for_session("session-a"))
    expect_equal([record.handle for record in listed], [subscribed.handle], "the subscription")
    replayed = await other.record_occurrence(button_pressed(key, "button-blue-1"))
    expect_equal(replayed.occurrence_id, occurrence.occurrence_id, "the replayed occurrence")
    expect_equal(await _reserved(other, replayed.occurrence_id), [], "its reservation")
    later = await other.record_occurrence(button_pressed(key, "button-blue-2"))
    expect_equal(await _reserved(other, later.occurrence_id), [subscribed.handle], "a new occurrence")


@case(Contract.HOST_EVENT_STORE, rule="R-2")
async def occurrence_ids_are_what_they_are_everywhere(trial: Trial[HostEventStore]) -> None:
    """The id is the golden one of source and idempotency key; payload and time stay out."""
    store = trial.subject
    occurrence = await store.record_occurrence(button_pressed(await button_key(store), "button-blue-1"))
    golden = "host_event:6afdfa6994a29e10641199b3c53f3e9cf8668f0d65da23c95c8ba454769ad4f3"
    expect_equal(occurrence.occurrence_id, golden, "the occurrence id")


@case(Contract.HOST_EVENT_STORE, rule="R-7")
async def idempotency_keys_are_global(trial: Trial[HostEventStore]) -> None:
    """Another payload, source, type or key of the source under one idempotency key is a conflict."""
    store = trial.subject
    first = await store.record_occurrence(button_pressed("k", "once"))
    for changes in (
        {"payload": {"button": "Red"}},
        {"source": {"n": 1}},
        {"source_type": "ui.other"},
        {"source_key": "other"},
    ):
        with refused("host_event_idempotency_conflict", f"an occurrence that differs in {[*changes]}"):
            await store.record_occurrence(button_pressed("k", "once", **changes))
    await trial.pass_time(3)
    again = await store.record_occurrence(button_pressed("k", "once"))
    expect_equal(again, first, "the occurrence as it was recorded, time included")


@case(Contract.HOST_EVENT_STORE)
async def an_absent_source_is_a_null_source(trial: Trial[HostEventStore]) -> None:
    """Null and absent are the same source; 1 and 1.0 are different payloads."""
    store = trial.subject
    await store.record_occurrence(button_pressed("k", "a", source=None))
    await store.record_occurrence(button_pressed("k", "a", source=None))
    await store.record_occurrence(button_pressed("k", "b", payload=1))
    with refused("host_event_idempotency_conflict", "1.0 in place of 1"):
        await store.record_occurrence(button_pressed("k", "b", payload=1.0))


@case(Contract.HOST_EVENT_STORE, rule="R-7")
async def bad_occurrences_are_refused(trial: Trial[HostEventStore]) -> None:
    """Blank texts, payloads that are no JSON, and reservations of what was never recorded."""
    store = trial.subject
    for name in ("source_type", "source_key", "idempotency_key"):
        with refused("host_event_invalid_request", f"an occurrence with a blank {name}"):
            await store.record_occurrence(button_pressed("k", "i").replace(**{name: " "}))
    with refused("json_not_representable", "an occurrence whose payload holds NaN"):
        await store.record_occurrence(button_pressed("k", "i", payload=[float("nan")]))
    with refused("host_event_unknown_occurrence", "a reservation of what was not recorded"):
        await store.reserve_matching_deliveries("host_event:nowhere")


@case(Contract.HOST_EVENT_STORE)
async def only_matching_subscriptions_are_reserved(trial: Trial[HostEventStore]) -> None:
    """Type and key of the source must both be equal, whatever the session."""
    store = trial.subject
    mine = await store.register_subscription(subscription("a", "k", "p"))
    theirs = await store.register_subscription(subscription("b", "k", "p"))
    await store.register_subscription(subscription("a", "other", "p"))
    await store.register_subscription(subscription("a", "k", "p", source_type="ui.other"))
    occurrence = await store.record_occurrence(button_pressed("k", "i"))
    reserved = await store.reserve_matching_deliveries(occurrence.occurrence_id)
    handles = [reservation.subscription.handle for reservation in reserved]
    expect_equal(handles, [mine.handle, theirs.handle], "the subscriptions that match")
    expect_equal([reservation.subscription for reservation in reserved], [mine, theirs], "whole records")
    expect_equal([reservation.occurrence for reservation in reserved], [occurrence] * 2, "the occurrence")


@case(Contract.HOST_EVENT_STORE, rule="R-47")
async def late_subscribers_get_no_history(trial: Trial[HostEventStore]) -> None:
    """A subscription made after the occurrence was first recorded is not served by it, replay or not."""
    store = trial.subject
    early = await store.register_subscription(subscription("a", "k", "early"))
    occurrence = await store.record_occurrence(button_pressed("k", "i"))
    late = await store.register_subscription(subscription("a", "k", "late"))
    await store.record_occurrence(button_pressed("k", "i"))
    expect_equal(await _reserved(store, occurrence.occurrence_id), [early.handle], "the first occurrence")
    later = await store.record_occurrence(button_pressed("k", "i2"))
    wanted = [early.handle, late.handle]
    expect_equal(await _reserved(store, later.occurrence_id), wanted, "the next occurrence")


@case(Contract.HOST_EVENT_STORE, rule="R-48")
async def reservations_come_in_creation_order(trial: Trial[HostEventStore]) -> None:
    """Not by session, nor by the text of ids: as the subscriptions were made."""
    store = trial.subject
    made = [
        await store.register_subscription(subscription("b" if index % 2 else "a", "k", f"p{index}"))
        for index in range(12)
    ]
    occurrence = await store.record_occurrence(button_pressed("k", "i"))
    wanted = [record.handle for record in made]
    expect_equal(await _reserved(store, occurrence.occurrence_id), wanted, "the order")


@case(Contract.HOST_EVENT_STORE)
async def disabled_subscriptions_get_nothing(trial: Trial[HostEventStore]) -> None:
    """Also when they were enabled while the occurrence was recorded."""
    store = trial.subject
    record = await store.register_subscription(subscription("a", "k", "p"))
    occurrence = await store.record_occurrence(button_pressed("k", "i"))
    await store.cancel_subscription("a", record.handle)
    expect_equal(await _reserved(store, occurrence.occurrence_id), [], "the reservations")


@case(Contract.HOST_EVENT_STORE)
async def concurrent_reservations_partition(trial: Trial[HostEventStore]) -> None:
    """Callers at the same time share the reservations: each is handed out once."""
    store = trial.subject
    for index in range(6):
        await store.register_subscription(subscription("a", "k", f"p{index}"))
    occurrence = await store.record_occurrence(button_pressed("k", "i"))
    shares = await asyncio.gather(*(_reserved(store, occurrence.occurrence_id) for _ in range(5)))
    handles = [handle for share in shares for handle in share]
    expect_equal((len(handles), len(set(handles))), (6, 6), "the reservations over all callers")


@case(Contract.HOST_EVENT_STORE, rule="R-3", needs=Feature.CLOCK)
async def occurrences_carry_the_time_they_were_recorded(trial: Trial[HostEventStore]) -> None:
    """The first recording's time stays."""
    at_ms = trial.clock.now_ms()
    first = await trial.subject.record_occurrence(button_pressed("k", "i"))
    trial.clock.advance(9)
    again = await trial.subject.record_occurrence(button_pressed("k", "i"))
    expect_equal((first.occurred_at_ms, again.occurred_at_ms), (at_ms, at_ms), "the time")
