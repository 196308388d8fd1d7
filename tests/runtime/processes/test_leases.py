"""Who holds a process while it runs, and what becomes of one who holds it no more."""

from __future__ import annotations

import asyncio

import pytest

import lash
from lash.values import EffectScope

from .settable import SettableClock


class Held:
    """A step that stays in its middle until it is let go, and knows how each of its runs ended."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.began = 0
        self.cut = 0

    async def hold(self) -> int:
        self.began += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cut += 1
            raise
        return self.began

    async def until_began(self, times: int) -> None:
        async with asyncio.timeout(60):
            while self.began < times:
                await asyncio.sleep(0.005)


def process_of(held: Held) -> lash.ProcessDefinition[int]:
    @lash.process(name="holding")
    async def holding(ctx: lash.ProcessContext) -> int:
        return await ctx.step(held.hold, effect="idempotent")

    return holding


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(sqlite_url: str) -> None:
    held = Held()
    holding = process_of(held)
    async with (
        lash.open(sqlite_url, holding, lease_ttl_ms=4500) as one,
        lash.open(sqlite_url, holding, lease_ttl_ms=4500) as two,
    ):
        handle = await one.processes.start(holding)
        await held.until_began(1)
        expiries: set[int] = set()
        async with asyncio.timeout(60):
            while len(expiries) < 3:  # as it was claimed, and twice renewed
                with pytest.raises(lash.LashError) as caught:
                    await two.database.process_registry.claim_process_lease(handle.id, "a third", 1)
                assert caught.value.code == "process_lease_held"
                expiries.add(caught.value.facts["expires_at_ms"])
                await asyncio.sleep(0.02)
        held.go.set()
        assert await handle.result(timeout=60) == 1
    assert (held.began, held.cut) == (1, 0)


async def test_who_has_lost_a_process_stops_and_writes_nothing(sqlite_url: str) -> None:
    held, clock = Held(), SettableClock()
    holding = process_of(held)
    async with lash.open(sqlite_url, holding, clock=clock, lease_ttl_ms=900) as paused:
        handle = await paused.processes.start(holding)
        await held.until_began(1)
        clock.advance(60_000)  # as if this worker had been stopped for a minute
        registry = paused.database.process_registry
        async with asyncio.timeout(60):
            while True:
                try:
                    lease = await registry.claim_process_lease(handle.id, "the next one", 60_000)
                    break
                except lash.LashError:  # it renewed in the same moment, by its own clock
                    clock.advance(60_000)
                    await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while not held.cut:
                await asyncio.sleep(0.005)
        held.go.set()
        assert not (await handle.status()).is_terminal  # the result of the cut step is nobody's
        effects = await paused.database.effect_journal.load_effects(EffectScope.process(handle.id))
        assert effects == []
        await registry.complete_process_lease(lease.completion())
        assert await handle.result(timeout=60) == 2
        assert (await handle.status()).attempts == 2
