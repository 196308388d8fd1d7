"""Functions that sleep for longer than anybody waits: a clock that is set, a worker in between, no memory."""

from __future__ import annotations

import asyncio

import lash

from .settable import SettableClock
from .waiting import parked

DAY_MS = 24 * 3600 * 1000


@lash.process
async def reminder(ctx: lash.ProcessContext, days: int) -> int:
    before = await ctx.now_ms()
    await ctx.sleep(ms=days * DAY_MS)
    await ctx.sleep_until(before + 3 * DAY_MS)
    return (await ctx.now_ms() - before) // DAY_MS


async def test_a_sleep_of_days_ends_on_its_day_over_restarts(sqlite_url: str) -> None:
    clock = SettableClock()
    async with lash.open(sqlite_url, reminder, clock=clock, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(reminder, 2)
        await parked(runtime, handle.id)
    clock.advance(2 * DAY_MS - 1)
    async with lash.open(sqlite_url, reminder, clock=clock, process_grace_ms=10) as runtime:
        (first,) = await parked(runtime, handle.id)
        clock.advance(1)
        async with asyncio.timeout(60):
            while await parked(runtime, handle.id) == (first,):
                await asyncio.sleep(0.01)
        clock.advance(DAY_MS)
        assert await runtime.processes.handle(handle.id).result(timeout=60) == 3


async def test_a_wait_gives_up_after_days(sqlite_url: str) -> None:
    @lash.process
    async def patient(ctx: lash.ProcessContext) -> str:
        try:
            return str(await ctx.wait("answer", timeout=7 * 24 * 3600))
        except lash.LashError as problem:
            return problem.code

    clock = SettableClock()
    async with lash.open(sqlite_url, patient, clock=clock, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(patient)
        assert len(await parked(runtime, handle.id)) == 2  # the answer, and the timer
        clock.advance(7 * DAY_MS)
        assert await handle.result(timeout=60) == "process_wait_timeout"
