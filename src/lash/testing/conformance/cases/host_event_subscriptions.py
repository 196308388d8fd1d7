"""Subscriptions to host events (contracts 2.G.1 to 2.G.4)."""

from __future__ import annotations

from lash.contracts.host_events import HostEventStore
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, refused
from lash.testing.conformance.samples.triggers import BUTTON, button_key, subscription
from lash.testing.conformance.trial import Trial
from lash.values import TriggerSubscriptionFilter, TriggerSubscriptionRecord


async def _handles(store: HostEventStore, wanted: TriggerSubscriptionFilter) -> list[str]:
    return [record.handle for record in await store.list_subscriptions(wanted)]


async def _one(store: HostEventStore, record: TriggerSubscriptionRecord) -> TriggerSubscriptionRecord:
    wanted = TriggerSubscriptionFilter.for_session(record.session_id).replace(handle=record.handle)
    found = await store.list_subscriptions(wanted)
    expect_equal(len(found), 1, "a subscription is listed by its session and handle")
    return found[0]


@case(Contract.HOST_EVENT_STORE, seed=True)
async def host_event_store_reports_declared_tier(trial: Trial[HostEventStore]) -> None:
    """The store reports the tier that its backend declares."""
    expect_equal(trial.subject.durability_tier, trial.declared.tier, "the durability tier")


@case(Contract.HOST_EVENT_STORE, seed=True)
async def host_event_source_key_is_stable(trial: Trial[HostEventStore]) -> None:
    """The same source has the same key, and one that is not empty."""
    source = {"button": "Blue"}
    first = await trial.subject.source_key_for_subscription(BUTTON, source)
    second = await trial.subject.source_key_for_subscription(BUTTON, source)
    expect_equal(second, first, "the key of the same source")
    expect(first, "a source key is not empty")


@case(Contract.HOST_EVENT_STORE, rule="R-2")
async def source_keys_are_what_they_are_everywhere(trial: Trial[HostEventStore]) -> None:
    """Keys are the golden ones, whatever the order of members; type and source both count."""
    store = trial.subject
    golden = {
        "93e835cc58c043e45895883a41ffa460ab70a2372d57b8b6c23920025601c479": {},
        "554734334199f3716c406581013c58d3f5572377d6257dc8ca22ec09e5259fe4": {"button": "Blue"},
    }
    for digest, source in golden.items():
        key = await store.source_key_for_subscription(BUTTON, source)
        expect_equal(key, f"source:{BUTTON}:sha256:{digest}", f"the key of {source}")
    one = await store.source_key_for_subscription("t", {"a": 1, "b": {"c": 2, "d": 3}})
    two = await store.source_key_for_subscription("t", {"b": {"d": 3, "c": 2}, "a": 1})
    expect_equal(two, one, "the order of members")
    other = await store.source_key_for_subscription("t", {"a": 1.0, "b": {"c": 2, "d": 3}})
    expect(other != one, "1 and 1.0 are different sources")


@case(Contract.HOST_EVENT_STORE, seed=True)
async def host_event_store_registers_lists_and_cancels(trial: Trial[HostEventStore]) -> None:
    """Handles differ across sessions, filters combine, a cancel is scoped by session and keeps the record."""
    store = trial.subject
    key = await button_key(store)
    first = await store.register_subscription(subscription("session-a", key, "first"))
    second = await store.register_subscription(subscription("session-b", key, "second"))
    expect(first.subscription_id and first.handle, "a subscription has an id and a handle")
    expect(first.handle != second.handle, "handles differ")
    by_session = TriggerSubscriptionFilter.for_session("session-a")
    expect_equal(await _handles(store, by_session), [first.handle], "the session's subscriptions")
    by_source = TriggerSubscriptionFilter.for_source_type(BUTTON).replace(source_key=key, enabled=True)
    expect_equal(len(await _handles(store, by_source)), 2, "the source's enabled subscriptions")
    foreign = await store.cancel_subscription("session-b", first.handle)
    expect_equal(foreign, False, "a cancel by another session")
    expect_equal(await store.cancel_subscription("session-a", first.handle), True, "the session's own cancel")
    expect_equal((await _one(store, first)).enabled, False, "a cancelled subscription stays, disabled")


@case(Contract.HOST_EVENT_STORE)
async def registering_twice_makes_two(trial: Trial[HostEventStore]) -> None:
    """A registration is no idempotent call: ids and handles are fresh, and enabled."""
    store = trial.subject
    draft = subscription("s", await button_key(store), "p")
    records = [await store.register_subscription(draft) for _ in range(3)]
    expect_equal(len({record.subscription_id for record in records}), 3, "ids")
    expect_equal(len({record.handle for record in records}), 3, "handles")
    expect(all(record.enabled for record in records), "new subscriptions are enabled")


@case(Contract.HOST_EVENT_STORE)
async def subscriptions_round_trip_whole(trial: Trial[HostEventStore]) -> None:
    """What is listed is what was registered, field by field."""
    store = trial.subject
    draft = subscription("s", await button_key(store), "p", source={"n": 1, "x": 1.0})
    record = await store.register_subscription(draft)
    listed = await _one(store, record)
    expect_equal(listed, record, "the record as listed")
    for name in draft.__struct_fields__:
        expect_equal(getattr(listed, name), getattr(draft, name), f"the field {name}")


@case(Contract.HOST_EVENT_STORE)
async def filters_are_conjunctions(trial: Trial[HostEventStore]) -> None:
    """Each member restricts; an empty filter lets all pass; the target must match in all four parts."""
    store = trial.subject
    one = await store.register_subscription(subscription("s", "k1", "one"))
    two = await store.register_subscription(subscription("s", "k2", "two"))
    everything = TriggerSubscriptionFilter()
    expect_equal(await _handles(store, everything), [one.handle, two.handle], "the empty filter")
    cases = {
        "name": TriggerSubscriptionFilter(name="two"),
        "source key": TriggerSubscriptionFilter(source_key="k2"),
        "target": TriggerSubscriptionFilter(target=two.target),
        "handle": TriggerSubscriptionFilter(handle=two.handle),
    }
    for name, wanted in cases.items():
        expect_equal(await _handles(store, wanted), [two.handle], f"the filter by {name}")
    none = TriggerSubscriptionFilter(name="one", source_key="k2")
    expect_equal(await _handles(store, none), [], "two members that no record has together")
    wrong = two.target.replace(required_surface_ref="other")
    expect_equal(await _handles(store, TriggerSubscriptionFilter(target=wrong)), [], "another surface")


@case(Contract.HOST_EVENT_STORE, rule="R-45")
async def subscriptions_are_listed_by_session_and_creation(trial: Trial[HostEventStore]) -> None:
    """The tenth comes after the second: creation order is numeric, within each session."""
    store = trial.subject
    made = [
        await store.register_subscription(subscription("b" if index % 2 else "a", "k", f"p{index}"))
        for index in range(24)
    ]
    wanted = [record.handle for session in ("a", "b") for record in made if record.session_id == session]
    expect_equal(await _handles(store, TriggerSubscriptionFilter()), wanted, "the order")


@case(Contract.HOST_EVENT_STORE, rule="R-46", needs=Feature.CLOCK)
async def a_cancel_that_changes_nothing_touches_nothing(trial: Trial[HostEventStore]) -> None:
    """Only the cancel that disables moves the time of update; unknown, foreign and second ones do not."""
    store = trial.subject
    record = await store.register_subscription(subscription("s", "k", "p"))
    trial.clock.advance(5)
    for session_id, handle in (("other", record.handle), ("s", "nowhere")):
        expect_equal(await store.cancel_subscription(session_id, handle), False, "a cancel of nothing")
    expect_equal((await _one(store, record)).updated_at_ms, record.updated_at_ms, "the time of update")
    at_ms = trial.clock.advance(5)
    expect_equal(await store.cancel_subscription("s", record.handle), True, "the cancel")
    trial.clock.advance(5)
    expect_equal(await store.cancel_subscription("s", record.handle), False, "the second cancel")
    after = await _one(store, record)
    expect_equal((after.updated_at_ms, after.created_at_ms), (at_ms, record.created_at_ms), "the times")


@case(Contract.HOST_EVENT_STORE, rule="R-1")
async def sources_that_are_no_json_are_refused(trial: Trial[HostEventStore]) -> None:
    """A source that JSON cannot say has no key and no subscription."""
    with refused("json_not_representable", "the key of a source that holds NaN"):
        await trial.subject.source_key_for_subscription("t", {"x": float("nan")})
    with refused("json_not_representable", "a subscription whose source holds NaN"):
        await trial.subject.register_subscription(subscription("s", "k", "p", source=float("nan")))
    expect_equal(await _handles(trial.subject, TriggerSubscriptionFilter()), [], "the subscriptions")
