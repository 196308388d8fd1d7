"""Host events: subscriptions, occurrences, deliveries (contract 1.19, 2.G; R-45 to R-48; B-20; ruling 31)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash.contracts import Database, HostEventStore
from lash.values import (
    DurabilityTier,
    HostEventOccurrenceRequest,
    TriggerDeliveryState,
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
    TriggerTarget,
    deterministic_delivery_process_id,
)

from .conftest import Backend
from .samples import refused
from .settable import START_MS, SettableClock

BUTTON = "ui.button.pressed"
# Appendix A: the key of that source type with source {}, and what follows from it.
BUTTON_KEY = (
    "source:ui.button.pressed:sha256:93e835cc58c043e45895883a41ffa460ab70a2372d57b8b6c23920025601c479"
)
OCCURRENCE = "host_event:6afdfa6994a29e10641199b3c53f3e9cf8668f0d65da23c95c8ba454769ad4f3"
PROCESS = "process:host-event:ef18266188cce9988a7fc8549a384ac811cd4f562530919fc5e0680a0312d2b2"

RESERVED, STARTED = TriggerDeliveryState.RESERVED, TriggerDeliveryState.STARTED
FAILED, DISCARDED = TriggerDeliveryState.FAILED, TriggerDeliveryState.DISCARDED


def draft(session_id: str = "session-a", name: str = "on_button", **fields: Any) -> TriggerSubscriptionDraft:
    base: dict[str, Any] = {
        "session_id": session_id,
        "name": name,
        "source_type": BUTTON,
        "source_key": BUTTON_KEY,
        "source": {},
        "event_ty": {"kind": "record"},
        "module_ref": "m",
        "required_surface_ref": "s",
        "process_ref": {"component": "c", "pos": 1},
        "process_name": name,
        "input_template": {"event": {"kind": "event"}},
    }
    return TriggerSubscriptionDraft(**(base | fields))


def press(key: str = "button-blue-1", **fields: Any) -> HostEventOccurrenceRequest:
    base: dict[str, Any] = {
        "source_type": BUTTON,
        "source_key": BUTTON_KEY,
        "payload": {"button": "Blue"},
        "idempotency_key": key,
        "source": {},
    }
    return HostEventOccurrenceRequest(**(base | fields))


@pytest.fixture
def store(db: Database) -> HostEventStore:
    return db.host_event_store


async def _handles(store: HostEventStore, **filter: Any) -> list[str]:
    return [one.handle for one in await store.list_subscriptions(TriggerSubscriptionFilter(**filter))]


async def test_store_has_the_tier_of_its_database(backend: Backend, store: HostEventStore) -> None:
    expected = DurabilityTier.INLINE if backend.kind == "memory" else DurabilityTier.DURABLE
    assert store.durability_tier is expected


async def test_source_key_depends_on_the_source_and_not_on_its_order(store: HostEventStore) -> None:
    assert await store.source_key_for_subscription(BUTTON, {}) == BUTTON_KEY
    blue = await store.source_key_for_subscription(BUTTON, {"a": 1, "b": [2]})
    assert await store.source_key_for_subscription(BUTTON, {"b": [2], "a": 1}) == blue
    assert await store.source_key_for_subscription(BUTTON, {"a": 1.0, "b": [2]}) != blue


async def test_same_draft_twice_makes_two_subscriptions(store: HostEventStore, clock: SettableClock) -> None:
    first = await store.register_subscription(draft())
    clock.advance(5)
    second = await store.register_subscription(draft())
    assert (first.subscription_id, first.handle) == ("subscription:1", "trigger:1")
    assert (second.subscription_id, second.handle) == ("subscription:2", "trigger:2")
    assert first.enabled
    assert (second.created_at_ms, second.updated_at_ms) == (START_MS + 5, START_MS + 5)
    assert first.input_template == {"event": {"kind": "event"}}
    assert await store.list_subscriptions() == [first, second]


async def test_subscriptions_are_listed_by_session_and_then_by_creation(store: HostEventStore) -> None:
    for number in range(12):
        await store.register_subscription(draft("s2" if number % 2 else "s10"))
    assert await _handles(store) == [f"trigger:{n}" for n in (1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12)]


async def test_filter_is_a_conjunction_of_what_it_names(store: HostEventStore) -> None:
    await store.register_subscription(draft("s1", "one"))
    await store.register_subscription(draft("s2", "two", source_key="other", module_ref="m2"))
    await store.register_subscription(draft("s1", "three", source_type="clock"))
    await store.cancel_subscription("s1", "trigger:1")
    target = TriggerTarget(
        module_ref="m2",
        required_surface_ref="s",
        process_ref={"pos": 1, "component": "c"},
        process_name="two",
    )
    for where, expected in (
        ({}, ["trigger:1", "trigger:3", "trigger:2"]),
        ({"session_id": "s1"}, ["trigger:1", "trigger:3"]),
        ({"session_id": "s1", "enabled": True}, ["trigger:3"]),
        ({"enabled": False}, ["trigger:1"]),
        ({"handle": "trigger:2"}, ["trigger:2"]),
        ({"handle": "trigger:2", "session_id": "s1"}, []),
        ({"handle": "trigger:02"}, []),
        ({"handle": "nonsense"}, []),
        ({"name": "three"}, ["trigger:3"]),
        ({"source_type": BUTTON}, ["trigger:1", "trigger:2"]),
        ({"source_type": BUTTON, "source_key": "other"}, ["trigger:2"]),
        ({"target": target}, ["trigger:2"]),
        ({"target": target.replace(process_name="one")}, []),
    ):
        assert await _handles(store, **where) == expected, where
    assert TriggerSubscriptionFilter.for_session("s") == TriggerSubscriptionFilter(session_id="s")
    assert TriggerSubscriptionFilter.for_source_type("t") == TriggerSubscriptionFilter(source_type="t")


async def test_cancel_says_whether_it_changed_anything(store: HostEventStore, clock: SettableClock) -> None:
    made = await store.register_subscription(draft("s1"))
    clock.advance(10)
    assert not await store.cancel_subscription("s2", made.handle)
    for handle in ("trigger:2", "trigger:0", "trigger:1.0", "1", "", "trigger:" + "9" * 30):
        assert not await store.cancel_subscription("s1", handle)
    assert await store.list_subscriptions() == [made]
    assert await store.cancel_subscription("s1", made.handle)
    clock.advance(10)
    assert not await store.cancel_subscription("s1", made.handle)
    (left,) = await store.list_subscriptions()
    assert left == made.replace(enabled=False, updated_at_ms=START_MS + 10)


async def test_numbers_are_not_used_again(store: HostEventStore) -> None:
    await store.register_subscription(draft())
    await store.cancel_subscription("session-a", "trigger:1")
    assert (await store.register_subscription(draft())).handle == "trigger:2"


@pytest.mark.parametrize("field", ["source_type", "source_key", "idempotency_key"])
async def test_blank_occurrence_is_refused(store: HostEventStore, field: str) -> None:
    for blank in ("", " \n"):
        with refused("host_event_invalid_request") as problem:
            await store.record_occurrence(
                press(**({field: blank} if field != "idempotency_key" else {"key": blank}))
            )
        assert problem.value.field == field


async def test_subscription_of_nobody_is_refused(store: HostEventStore) -> None:
    for field in ("session_id", "source_type", "source_key"):
        with refused("host_event_invalid_request"):
            await store.register_subscription(draft(**{field: " "}))
    with refused("json_not_representable"):
        await store.register_subscription(draft(source=float("nan")))
    assert await store.list_subscriptions() == []


async def test_occurrence_is_recorded_once(store: HostEventStore, clock: SettableClock) -> None:
    first = await store.record_occurrence(press())
    assert first.occurrence_id == OCCURRENCE
    assert (first.occurred_at_ms, first.payload, first.source) == (START_MS, {"button": "Blue"}, {})
    clock.advance(99)
    assert await store.record_occurrence(press()) == first
    for value in (float("nan"), "\ud800", 2**64):
        with refused("json_not_representable"):
            await store.record_occurrence(press("other", payload=value))


async def test_absent_source_is_an_explicit_null(store: HostEventStore) -> None:
    bare = HostEventOccurrenceRequest(source_type="t", source_key="k", payload=1, idempotency_key="i")
    assert await store.record_occurrence(bare) == await store.record_occurrence(bare.replace(source=None))


@pytest.mark.parametrize(
    "other",
    [
        {"payload": {"button": "Red"}},
        {"source": {"x": 1}},
        {"source": None},
        {"source_type": "ui.other"},
        {"source_key": "k"},
    ],
)
async def test_idempotency_key_belongs_to_one_content_of_the_whole_store(
    store: HostEventStore, other: dict[str, Any]
) -> None:
    first = await store.record_occurrence(press())
    with refused("host_event_idempotency_conflict") as problem:
        await store.record_occurrence(press(**other))
    assert problem.value.occurrence_id == first.occurrence_id
    with refused("host_event_idempotency_conflict"):
        await store.record_and_reserve(press(**other))
    assert await store.record_occurrence(press()) == first


async def test_each_delivery_is_reserved_once(store: HostEventStore) -> None:
    subscription = await store.register_subscription(draft())
    occurrence = await store.record_occurrence(press())
    (reserved,) = await store.reserve_matching_deliveries(occurrence.occurrence_id)
    assert (reserved.occurrence, reserved.subscription) == (occurrence, subscription)
    assert reserved.process_id == PROCESS
    assert deterministic_delivery_process_id(OCCURRENCE, "subscription:1") == PROCESS
    assert await store.reserve_matching_deliveries(occurrence.occurrence_id) == []
    await store.record_occurrence(press())
    assert await store.reserve_matching_deliveries(occurrence.occurrence_id) == []
    await store.record_occurrence(press("button-blue-2"))
    second = await store.record_occurrence(press("button-blue-2"))
    assert len(await store.reserve_matching_deliveries(second.occurrence_id)) == 1
    with refused("host_event_unknown_occurrence"):
        await store.reserve_matching_deliveries("host_event:nothing")


async def test_only_enabled_subscriptions_of_that_source_match_in_the_order_of_their_making(
    store: HostEventStore,
) -> None:
    for session_id, fields in (
        ("z", {}),
        ("a", {"source_key": "other"}),
        ("m", {}),
        ("b", {"source_type": "ui.other"}),
        ("a", {}),
        ("c", {}),
    ):
        await store.register_subscription(draft(session_id, **fields))
    await store.cancel_subscription("m", "trigger:3")
    occurrence = await store.record_occurrence(press())
    await store.cancel_subscription("c", "trigger:6")
    reserved = await store.reserve_matching_deliveries(occurrence.occurrence_id)
    assert [one.subscription.handle for one in reserved] == ["trigger:1", "trigger:5"]


async def test_ten_and_two_are_numbers(store: HostEventStore) -> None:
    for _ in range(11):
        await store.register_subscription(draft())
    occurrence = await store.record_occurrence(press())
    reserved = await store.reserve_matching_deliveries(occurrence.occurrence_id)
    assert [one.subscription.handle for one in reserved] == [f"trigger:{n}" for n in range(1, 12)]


async def test_newcomer_does_not_get_what_happened_before_it(store: HostEventStore) -> None:
    await store.record_occurrence(press())
    await store.register_subscription(draft())
    replayed = await store.record_occurrence(press())
    assert await store.reserve_matching_deliveries(replayed.occurrence_id) == []
    assert (await store.record_and_reserve(press())).reservations == ()
    assert len((await store.record_and_reserve(press("later"))).reservations) == 1


async def test_concurrent_calls_share_the_reservations(store: HostEventStore) -> None:
    for _ in range(5):
        await store.register_subscription(draft())
    occurrence = await store.record_occurrence(press())
    shares = await asyncio.gather(
        *(store.reserve_matching_deliveries(occurrence.occurrence_id) for _ in range(6))
    )
    reserved = [one.subscription.handle for share in shares for one in share]
    assert sorted(reserved) == [f"trigger:{n}" for n in range(1, 6)]


async def test_recording_and_reserving_at_once_tells_how_all_deliveries_stand(
    store: HostEventStore, clock: SettableClock
) -> None:
    for _ in range(2):
        await store.register_subscription(draft())
    first = await store.record_and_reserve(press())
    assert not first.replayed
    assert [one.subscription.handle for one in first.reservations] == ["trigger:1", "trigger:2"]
    assert [(one.state, one.process_id) for one in first.deliveries] == [
        (RESERVED, one.process_id) for one in first.reservations
    ]
    clock.advance(1)
    await store.mark_delivery(OCCURRENCE, "subscription:2", STARTED)
    again = await store.record_and_reserve(press())
    assert (again.replayed, again.reservations, again.occurrence) == (True, (), first.occurrence)
    assert [one.state for one in again.deliveries] == [RESERVED, STARTED]


async def test_reservation_that_nobody_started_can_be_found_and_started(store: HostEventStore) -> None:
    """A crash between the reservation and the start of its process loses nothing (R-51)."""
    await store.register_subscription(draft())
    (reserved,) = (await store.record_and_reserve(press())).reservations
    await store.cancel_subscription("session-a", "trigger:1")
    (open_delivery,) = await store.list_deliveries(state=RESERVED)
    found = await store.find_reservation(open_delivery.occurrence_id, open_delivery.subscription_id)
    assert found == reserved
    assert await store.find_reservation(OCCURRENCE, "subscription:2") is None
    assert await store.find_reservation("host_event:nothing", "subscription:1") is None


async def test_deliveries_go_from_state_to_state(store: HostEventStore, clock: SettableClock) -> None:
    for _ in range(3):
        await store.register_subscription(draft())
    await store.record_and_reserve(press())
    clock.advance(5)
    failed = await store.mark_delivery(OCCURRENCE, "subscription:1", FAILED, reason="bad payload")
    assert (failed.state, failed.reason, failed.reserved_at_ms, failed.updated_at_ms) == (
        FAILED,
        "bad payload",
        START_MS,
        START_MS + 5,
    )
    clock.advance(5)
    assert await store.mark_delivery(OCCURRENCE, "subscription:1", FAILED, reason="bad payload") == failed
    started = await store.mark_delivery(OCCURRENCE, "subscription:1", STARTED)
    assert (started.state, started.reason) == (STARTED, None)
    await store.mark_delivery(OCCURRENCE, "subscription:2", DISCARDED, reason="cancelled")
    for subscription, state in (
        ("subscription:1", FAILED),
        ("subscription:1", RESERVED),
        ("subscription:2", STARTED),
    ):
        with refused("host_event_delivery_settled"):
            await store.mark_delivery(OCCURRENCE, subscription, state)
    for occurrence, subscription in ((OCCURRENCE, "subscription:9"), ("host_event:x", "subscription:1")):
        with refused("host_event_unknown_delivery"):
            await store.mark_delivery(occurrence, subscription, STARTED)
    every = await store.list_deliveries(occurrence_id=OCCURRENCE)
    assert [one.state for one in every] == [STARTED, DISCARDED, RESERVED]
    assert await store.list_deliveries() == every
    assert await store.list_deliveries(limit=1) == every[:1]
    for state, expected in (
        (STARTED, every[:1]),
        (DISCARDED, every[1:2]),
        (RESERVED, every[2:]),
        (FAILED, []),
    ):
        assert await store.list_deliveries(state=state) == expected
        assert await store.list_deliveries(occurrence_id=OCCURRENCE, state=state) == expected
    assert await store.list_deliveries(occurrence_id="host_event:x") == []


async def test_everything_is_seen_through_another_handle(backend: Backend) -> None:
    here, other = backend.db.host_event_store, (await backend.another_handle()).host_event_store
    subscription = await here.register_subscription(draft())
    occurrence = await here.record_occurrence(press())
    assert len(await here.reserve_matching_deliveries(occurrence.occurrence_id)) == 1
    assert await other.list_subscriptions(TriggerSubscriptionFilter.for_session("session-a")) == [
        subscription
    ]
    assert await other.record_occurrence(press()) == occurrence
    assert await other.reserve_matching_deliveries(occurrence.occurrence_id) == []
    following = await other.record_occurrence(press("button-blue-2"))
    (reserved,) = await here.reserve_matching_deliveries(following.occurrence_id)
    assert reserved.subscription == subscription


async def test_subscribers_are_told_of_new_deliveries(store: HostEventStore, db: Database) -> None:
    subscription = db.subscribe(["deliveries"])
    try:
        await store.record_and_reserve(press("nobody listens"))
        assert not await subscription.wait(0)
        await store.register_subscription(draft())
        await store.record_and_reserve(press())
        assert await subscription.wait(1000)
    finally:
        subscription.close()
