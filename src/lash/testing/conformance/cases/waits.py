"""Durable waits: one-shot promises by key (contract 5, B-23)."""

from __future__ import annotations

import asyncio

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect_equal, expect_json, expect_present, refused, wait_ms
from lash.testing.conformance.trial import Trial


@case(Contract.DURABLE_WAITS, rule="B-23")
async def the_first_resolution_wins(trial: Trial[Database]) -> None:
    """Later writers are told the first one's value."""
    waits = trial.subject.durable_waits
    expect_equal(await waits.find_wait("k"), None, "a wait that nobody resolved")
    first = await waits.resolve_wait("k", {"n": 1.0})
    expect_equal(first.first, True, "the first writer")
    second = await waits.resolve_wait("k", "late")
    expect_equal(second.first, False, "the second writer")
    for found in (second, expect_present(await waits.find_wait("k"), "a resolved wait")):
        expect_json(found.value, {"n": 1.0}, "the value")
    other = await waits.resolve_wait("k2", None)
    expect_json(other.value, None, "null is a value")


@case(Contract.DURABLE_WAITS)
async def of_concurrent_resolutions_one_is_first(trial: Trial[Database]) -> None:
    """Many writers at once agree on one value."""
    answers = await asyncio.gather(
        *(trial.subject.durable_waits.resolve_wait("k", index) for index in range(8))
    )
    expect_equal(sum(answer.first for answer in answers), 1, "the first writers")
    expect_equal(len({answer.value for answer in answers}), 1, "the values")


@case(Contract.DURABLE_WAITS, needs=Feature.CLOCK)
async def waits_are_dropped_with_their_scope(trial: Trial[Database]) -> None:
    """Exactly those of the scope; a dropped key may be resolved anew."""
    waits = trial.subject.durable_waits
    at_ms = trial.clock.now_ms()
    first = await waits.resolve_wait("k1", 1, scope_key="s")
    expect_equal(first.resolved_at_ms, at_ms, "when it was resolved")
    await waits.resolve_wait("k2", 2, scope_key="s:longer")
    expect_equal(await waits.drop_waits("s"), 1, "the waits dropped")
    expect_equal(await waits.drop_waits("s"), 0, "the waits dropped again")
    expect_equal(await waits.find_wait("k1"), None, "the dropped wait")
    expect_present(await waits.find_wait("k2"), "the wait of another scope")
    expect_equal((await waits.resolve_wait("k1", 3)).first, True, "the key anew")


@case(Contract.DURABLE_WAITS, rule="R-1")
async def values_that_are_no_json_resolve_nothing(trial: Trial[Database]) -> None:
    """NaN and lone surrogates are refused, and the key is still open."""
    waits = trial.subject.durable_waits
    for value in (float("nan"), "\ud800"):
        with refused("json_not_representable", f"the value {value!a}"):
            await waits.resolve_wait("k", value)
    expect_equal(await waits.find_wait("k"), None, "the wait")


@case(Contract.DURABLE_WAITS, rule="R-6", needs=Feature.SECOND_HANDLE)
async def waits_are_seen_through_the_other_handle(trial: Trial[Database]) -> None:
    """A subscription on one handle is woken by a resolution through the other."""
    subscription = trial.second.subscribe(["wait:k"])
    try:
        await trial.subject.durable_waits.resolve_wait("k", 1)
        expect_equal(await subscription.wait(timeout_ms=wait_ms()), True, "the notification")
        found = expect_present(await trial.second.durable_waits.find_wait("k"), "the wait")
        expect_json(found.value, 1, "its value")
    finally:
        subscription.close()
