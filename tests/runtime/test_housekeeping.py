"""Settled evidence goes once its retention is over, in slices; what is not over stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import lash
from lash.backends import open_database
from lash.contracts import Database
from lash.errors import LashError
from lash.runtime import DEFAULT_RETENTION_MS, Housekeeping
from lash.runtime.housekeeping import SLICE_ROWS, SWEEP_EVERY_MS
from lash.testing import call, reply
from lash.values import (
    DeliveryPolicy,
    EffectFilter,
    NeverMerge,
    QueuedWorkBatchDraft,
    SlotPolicy,
    TurnInput,
    TurnInputPayload,
)

from .conftest import scripted_agent

START_MS = 1_800_000_000_000
DAY_MS = 24 * 3_600_000


class SteppedClock:
    """Stands still until the test moves it; sleepers wake when it has passed their time."""

    def __init__(self) -> None:
        self.at_ms = START_MS
        self._moved = asyncio.Condition()
        self.sleeping_until: list[int] = []

    def now_ms(self) -> int:
        return self.at_ms

    async def sleep_until(self, at_ms: int) -> None:
        async with self._moved:
            self.sleeping_until.append(at_ms)
            self._moved.notify_all()
            try:
                await self._moved.wait_for(lambda: self.at_ms >= at_ms)
            finally:
                self.sleeping_until.remove(at_ms)

    async def advance(self, ms: int) -> None:
        async with self._moved:
            self.at_ms += ms
            self._moved.notify_all()

    async def slept(self, at_ms: int) -> None:
        """Return when somebody sleeps until that time."""
        async with self._moved:
            await self._moved.wait_for(lambda: at_ms in self.sleeping_until)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def database(url: str, clock: SteppedClock) -> AsyncIterator[Database]:
    database = open_database(url, test_clock=clock)  # a server has a clock of its own
    await database.connect()
    yield database
    await database.close()


async def cancelled_batches(database: Database, count: int) -> None:
    store = database.runtime_persistence()
    for _ in range(count):
        batch = await store.enqueue_queued_work(
            QueuedWorkBatchDraft(
                session_id="s",
                delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
                slot_policy=SlotPolicy.JOIN,
                merge_key=NeverMerge(),
                payloads=(TurnInputPayload(input=TurnInput.text("x")),),
            )
        )
        assert await store.cancel_queued_work_batch("s", batch.batch_id) == batch


async def test_a_sweep_takes_what_is_older_than_the_retention(
    database: Database, clock: SteppedClock
) -> None:
    keeper = Housekeeping(database, clock, retention_ms=7 * DAY_MS)
    await cancelled_batches(database, 3)
    await clock.advance(DAY_MS)
    await cancelled_batches(database, 2)
    await clock.advance(6 * DAY_MS)
    assert await keeper.sweep() == 0  # the oldest are exactly as old as the retention
    await clock.advance(1)
    assert await keeper.sweep() == 3
    await clock.advance(DAY_MS)
    assert await keeper.sweep() == 2


async def test_a_sweep_takes_resolved_waits_that_nobody_owns(database: Database, clock: SteppedClock) -> None:
    keeper = Housekeeping(database, clock, retention_ms=DAY_MS)
    await database.durable_waits.resolve_wait("old", 1)
    await database.durable_waits.resolve_wait("owned", 1, scope_key="s")
    await clock.advance(DAY_MS + 1)
    assert await keeper.sweep() == 1
    assert await database.durable_waits.find_wait("owned") is not None


async def test_a_sweep_of_more_than_a_slice_takes_all_of_it(database: Database, clock: SteppedClock) -> None:
    await cancelled_batches(database, SLICE_ROWS + 1)
    await clock.advance(1)
    slices: list[int] = []
    prune = database.turn_ingress.prune_settled_work

    async def noted(**asked: Any) -> int:
        slices.append(await prune(**asked))
        return slices[-1]

    database.turn_ingress.prune_settled_work = noted  # type: ignore[method-assign]  # noted, then done
    assert await Housekeeping(database, clock, retention_ms=0).sweep() == SLICE_ROWS + 1
    assert slices == [SLICE_ROWS, 1]


async def test_it_sweeps_at_the_start_and_every_hour(database: Database, clock: SteppedClock) -> None:
    await cancelled_batches(database, 1)
    await clock.advance(1)
    task = asyncio.create_task(Housekeeping(database, clock, retention_ms=0).run())
    await clock.slept(clock.at_ms + SWEEP_EVERY_MS)
    ingress = database.turn_ingress
    assert await ingress.prune_settled_work(settled_before_ms=clock.at_ms) == 0  # it has gone
    await cancelled_batches(database, 1)
    await clock.advance(SWEEP_EVERY_MS)
    await clock.slept(clock.at_ms + SWEEP_EVERY_MS)
    assert await ingress.prune_settled_work(settled_before_ms=clock.at_ms) == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_sweep_that_fails_is_reported_and_done_by_the_next(
    database: Database, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    await cancelled_batches(database, 1)
    await clock.advance(1)
    prune = database.turn_ingress.prune_settled_work

    async def failing(**_: Any) -> int:
        raise LashError("store_busy", "another process writes", retryable=True)

    database.turn_ingress.prune_settled_work = failing  # type: ignore[method-assign]  # fails once
    task = asyncio.create_task(Housekeeping(database, clock, retention_ms=0).run())
    await clock.slept(clock.at_ms + SWEEP_EVERY_MS)
    assert "another process writes" in caplog.text
    database.turn_ingress.prune_settled_work = prune  # type: ignore[method-assign]
    await clock.advance(SWEEP_EVERY_MS)
    await clock.slept(clock.at_ms + SWEEP_EVERY_MS)
    assert await prune(settled_before_ms=clock.at_ms) == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("retention_ms", "kept"), [(7 * DAY_MS, 0), (30 * DAY_MS, 3), (None, 3)])
async def test_a_runtime_prunes_its_ledger_and_keeps_its_history(
    url: str, clock: SteppedClock, retention_ms: int | None, kept: int
) -> None:
    @lash.tool(effect="read_only")
    async def look() -> str:
        """Look."""
        return "seen"

    agent = scripted_agent([reply(call("look")), reply("done")], tools=[look])
    database = open_database(url, test_clock=clock)
    async with lash.Runtime(
        database=database, agents=[agent], clock=clock, retention_ms=retention_ms
    ) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        if retention_ms is not None:
            await clock.slept(START_MS + SWEEP_EVERY_MS)
        await clock.advance(8 * DAY_MS)
        if retention_ms is not None:
            await clock.slept(clock.at_ms + SWEEP_EVERY_MS)
        lines, _ = await runtime.database.effect_journal.list_effects(EffectFilter())
        assert len(lines) == kept
        assert [message.text for message in await session.history()] != []
        status = await runtime.database.turn_ingress.find_turn("s", result.turn_id)
        assert status.receipt is not None


def test_the_default_is_seven_days_and_a_negative_retention_is_refused() -> None:
    assert DEFAULT_RETENTION_MS == 7 * DAY_MS
    with pytest.raises(LashError) as problem:
        lash.open("memory:", retention_ms=-1)
    assert problem.value.code == "invalid_argument"
