"""Timers, cron and intervals at run time: once for each due time, whoever looks, and after whatever gap."""

from __future__ import annotations

from typing import Any

import lash
from lash.testing.conformance.clock import KitClock
from lash.values import TriggerDeliveryState, WaitDraft

from .conftest import START_MS, OpenAt, eventually

HOUR_MS = 3_600_000


@lash.process
async def note(ctx: lash.ProcessContext, tick: dict[str, Any]) -> str:
    """Note a tick."""
    return str(tick["due_at"])


async def ticks(runtime: lash.Runtime) -> list[str]:
    """What has been noted, in the order of the ticks."""
    found = await runtime.triggers.deliveries(state=TriggerDeliveryState.STARTED)
    return [str(await runtime.processes.wait(one.process_id, timeout=60)) for one in found]


async def armed(runtime: lash.Runtime) -> list[int]:
    """The due times that are waited for."""
    waits = await runtime.database.durable_waits.list_waits(kind="sleep")
    return sorted(wait.deadline_ms for wait in waits if wait.deadline_ms is not None)


async def noted(runtime: lash.Runtime, *expected: str) -> None:
    """Wait for these ticks, and see that there is no other one."""

    async def are_there() -> bool:
        return len(await runtime.triggers.deliveries(state=TriggerDeliveryState.STARTED)) >= len(expected)

    await eventually(are_there)
    assert await ticks(runtime) == list(expected)
    assert len(await runtime.triggers.deliveries()) == len(expected)


async def moved_to(runtime: lash.Runtime, due_ms: int) -> None:
    """Wait until the only wait of a schedule is for this due time."""

    async def is_armed() -> bool:
        return await armed(runtime) == [due_ms]

    await eventually(is_armed)


async def test_timers_resolve_a_wait_when_its_time_has_come(open_at: OpenAt, clock: KitClock) -> None:
    async with open_at(note) as runtime:
        waits = runtime.database.durable_waits
        await waits.open_wait(WaitDraft(key="late", deadline_ms=START_MS + 20 * HOUR_MS, on_timeout="b"))
        await waits.open_wait(WaitDraft(key="early", deadline_ms=START_MS + 10 * HOUR_MS, on_timeout="a"))
        clock.advance(10 * HOUR_MS)
        found = await eventually(lambda: waits.find_wait("early"))
        assert (found.value, found.timed_out) == ("a", True)
        assert await waits.find_wait("late") is None
        clock.advance(1000 * HOUR_MS)  # the clock jumps
        assert (await eventually(lambda: waits.find_wait("late"))).value == "b"


async def test_deadlines_that_passed_while_nobody_ran_are_met_at_the_start(
    open_at: OpenAt, clock: KitClock
) -> None:
    async with open_at(work=False) as runtime:
        await runtime.database.durable_waits.open_wait(WaitDraft(key="k", deadline_ms=START_MS + 1))
    clock.advance(HOUR_MS)
    async with open_at(note) as runtime:
        assert await eventually(lambda: runtime.database.durable_waits.find_wait("k"))


async def test_cron_ticks_once_for_each_due_time_with_two_runtimes(open_at: OpenAt, clock: KitClock) -> None:
    async with open_at(note) as one, open_at(note) as two:
        await one.triggers.subscribe("desk", lash.cron("0 9 * * *", tz="Europe/Berlin"), note)
        await moved_to(one, START_MS + 8 * HOUR_MS)
        clock.advance(8 * HOUR_MS)
        await noted(two, "2026-01-01T09:00:00+01:00")
        await moved_to(one, START_MS + 32 * HOUR_MS)
        clock.advance(24 * HOUR_MS)
        await noted(one, "2026-01-01T09:00:00+01:00", "2026-01-02T09:00:00+01:00")


async def test_interval_ticks_and_stops_when_it_is_cancelled(open_at: OpenAt, clock: KitClock) -> None:
    async with open_at(note) as runtime:
        subscription = await runtime.triggers.subscribe("desk", lash.interval(minutes=30), note)
        await moved_to(runtime, START_MS + HOUR_MS // 2)
        clock.advance(HOUR_MS // 2)
        await noted(runtime, "2026-01-01T00:30:00+00:00")
        await moved_to(runtime, START_MS + HOUR_MS)
        assert await runtime.triggers.cancel(subscription)

        async def is_disarmed() -> bool:
            return not await armed(runtime)

        await eventually(is_disarmed)
        clock.advance(HOUR_MS)
        await noted(runtime, "2026-01-01T00:30:00+00:00")


async def test_missed_ticks_are_made_up_for_once_by_the_next_runtime(
    open_at: OpenAt, clock: KitClock
) -> None:
    async with open_at(note) as runtime:
        await runtime.triggers.subscribe("desk", lash.cron("0 * * * *"), note)
        await moved_to(runtime, START_MS + HOUR_MS)
    clock.advance(5 * HOUR_MS + 60_001)
    async with open_at(note) as runtime:
        await noted(runtime, "2026-01-01T05:00:00+00:00")
        await moved_to(runtime, START_MS + 6 * HOUR_MS)


async def test_every_missed_tick_is_made_up_for_if_asked(open_at: OpenAt, clock: KitClock) -> None:
    async with open_at(work=False) as runtime:  # nobody has looked since it was subscribed
        await runtime.triggers.subscribe("desk", lash.cron("0 * * * *", misfire="all"), note)
    clock.advance(2 * HOUR_MS + 60_001)
    async with open_at(note) as runtime:
        await noted(runtime, "2026-01-01T01:00:00+00:00", "2026-01-01T02:00:00+00:00")


async def test_missed_ticks_are_skipped_if_asked(open_at: OpenAt, clock: KitClock) -> None:
    async with open_at(work=False) as runtime:
        await runtime.triggers.subscribe("desk", lash.cron("0 * * * *", misfire="skip"), note)
    clock.advance(2 * HOUR_MS + 60_001)
    async with open_at(note) as runtime:
        await moved_to(runtime, START_MS + 3 * HOUR_MS)
        assert await runtime.triggers.deliveries() == []
        clock.advance(HOUR_MS - 60_001)
        await noted(runtime, "2026-01-01T03:00:00+00:00")


async def test_tick_that_was_cut_off_before_the_next_was_armed_is_not_doubled(
    open_at: OpenAt, clock: KitClock
) -> None:
    hourly = lash.cron("0 * * * *")
    async with open_at(note) as runtime:
        await runtime.triggers.subscribe("desk", hourly, note)
        await moved_to(runtime, START_MS + HOUR_MS)
        clock.advance(HOUR_MS)
        await noted(runtime, "2026-01-01T01:00:00+00:00")
        await moved_to(runtime, START_MS + 2 * HOUR_MS)
    async with open_at(work=False) as runtime:  # as a crash before moving on leaves it
        await runtime.database.durable_waits.open_wait(
            WaitDraft(
                key=f"tick:{hourly.source.key}:{START_MS + HOUR_MS}",
                scope_key=f"schedule:{hourly.source.key}",
                kind="sleep",
                deadline_ms=START_MS + HOUR_MS,
            )
        )
    async with open_at(note) as runtime:
        await moved_to(runtime, START_MS + 2 * HOUR_MS)
        await noted(runtime, "2026-01-01T01:00:00+00:00")


async def test_new_subscription_to_an_old_schedule_is_not_told_of_the_past(
    open_at: OpenAt, clock: KitClock
) -> None:
    hourly = lash.cron("0 * * * *")
    async with open_at(note) as runtime:
        old = await runtime.triggers.subscribe("desk", hourly, note)
        await moved_to(runtime, START_MS + HOUR_MS)
    async with open_at(work=False) as runtime:
        await runtime.triggers.cancel(old)
        clock.advance(5 * HOUR_MS + HOUR_MS // 2)
        await runtime.triggers.subscribe("desk", hourly, note)
    async with open_at(note) as runtime:
        await moved_to(runtime, START_MS + 6 * HOUR_MS)
        assert await runtime.triggers.deliveries() == []
