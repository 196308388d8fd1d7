"""How durable functions wait, are told, and are cancelled; and that nothing of them is kept meanwhile."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

import lash

from .waiting import parked


class Canary:
    """Something that a function holds while it is in memory."""


async def test_a_parked_function_holds_no_memory_and_no_lease(url: str) -> None:
    seen: list[weakref.ref[Canary]] = []
    cleaned: list[str] = []

    async def never() -> None:
        cleaned.append("step ran")

    @lash.process
    async def holding(ctx: lash.ProcessContext) -> str:
        canary = Canary()
        seen.append(weakref.ref(canary))
        try:
            return await ctx.wait("go")
        finally:
            cleaned.append("finally")
            if len(seen) == 1:
                await ctx.step(never)

    async with lash.open(url, holding, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(holding)
        await parked(runtime, handle.id)
        async with asyncio.timeout(60):
            while any(ref() for ref in seen):
                gc.collect()
                await asyncio.sleep(0.01)
        assert len(seen) == 1
        assert cleaned == ["finally"]  # the step in it was refused: the function was only let go of
        registry = runtime.database.process_registry
        lease = await registry.claim_process_lease(handle.id, "somebody else", 1)  # nobody holds one
        await registry.complete_process_lease(lease.completion())
        await handle.resolve("go", "done")
        assert await handle.result(timeout=60) == "done"
        assert cleaned == ["finally", "finally"]


async def test_a_value_that_comes_before_the_wait_is_kept(url: str) -> None:
    @lash.process
    async def late(ctx: lash.ProcessContext) -> int:
        await ctx.wait("start")
        return int(await ctx.wait("answer", output=int))

    async with lash.open(url, late, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(late)
        assert (await handle.resolve("answer", 42)).first
        assert not (await handle.resolve("answer", 43)).first
        await handle.resolve("start")
        assert await handle.result(timeout=60) == 42


async def test_a_wait_times_out_and_the_function_may_go_on(url: str) -> None:
    @lash.process
    async def patient(ctx: lash.ProcessContext) -> str:
        try:
            return str(await ctx.wait("answer", timeout=0.05))
        except lash.LashError as problem:
            return problem.code

    async with lash.open(url, patient) as runtime:
        handle = await runtime.processes.start(patient)
        assert await handle.result(timeout=60) == "process_wait_timeout"


async def test_a_token_resolves_its_wait_and_nothing_else_does(url: str) -> None:
    tokens: list[str] = []

    @lash.process
    async def hook(ctx: lash.ProcessContext) -> Any:
        tokens.append(await ctx.token("paid"))
        return await ctx.wait("paid")

    async with lash.open(url, hook, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(hook)
        await parked(runtime, handle.id)
        with pytest.raises(lash.LashError) as caught:
            await runtime.processes.resolve_token(tokens[0] + "x", 1)
        assert caught.value.code == "wait_unknown"
        await runtime.processes.resolve_token(tokens[0], {"amount": 5})
        assert await handle.result(timeout=60) == {"amount": 5}
        assert len(set(tokens)) == 1  # the same after every restart
        with pytest.raises(lash.LashError) as caught:
            await runtime.processes.resolve_token(tokens[0], 2)
        assert caught.value.code == "wait_unknown"


async def test_signals_arrive_once_each_and_in_order(url: str) -> None:
    @lash.process
    async def inbox(ctx: lash.ProcessContext) -> list[Any]:
        got = [await ctx.signal("note"), await ctx.signal("note"), await ctx.signal("end")]
        return [*got, await ctx.signal("note")]

    async with lash.open(url, inbox, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(inbox)
        await handle.signal("note", 1, signal_id="s1")
        await handle.signal("note", 1, signal_id="s1")  # the same one
        await parked(runtime, handle.id)
        await handle.signal("note", 2)
        await handle.signal("note", 3)
        await parked(runtime, handle.id)
        await handle.signal("end", "stop")
        assert await handle.result(timeout=60) == [1, 2, "stop", 3]


@pytest.mark.parametrize("is_parked", [False, True])
async def test_a_cancelled_function_may_undo_what_it_did(url: str, is_parked: bool) -> None:
    undone: list[str] = []
    waiting = asyncio.Event()

    async def undo(what: str) -> None:
        undone.append(what)

    @lash.process
    async def booking(ctx: lash.ProcessContext) -> str:
        waiting.set()
        try:
            await ctx.wait("never")
        except asyncio.CancelledError:
            await ctx.step(undo, "seat")
            await ctx.sleep(ms=1)
            await ctx.step(undo, "hotel")
            raise
        return "booked"

    async with lash.open(url, booking, process_grace_ms=10 if is_parked else 60_000) as runtime:
        handle = await runtime.processes.start(booking)
        await waiting.wait()
        if is_parked:
            await parked(runtime, handle.id)
        await handle.cancel("changed my mind")
        with pytest.raises(lash.LashError, match="changed my mind") as caught:
            await handle.result(timeout=60)
        assert caught.value.code == "process_cancelled"
        assert undone == ["seat", "hotel"]
        assert (await handle.status()).terminal_state == "cancelled"


async def test_a_wake_and_progress_are_events_of_the_log_once(url: str) -> None:
    @lash.process(events=["report.ready"])
    async def report(ctx: lash.ProcessContext) -> None:
        await ctx.progress({"done": 1})
        await ctx.emit_event("report.ready", {"pages": 3})
        await ctx.wait("go")
        await ctx.progress({"done": 2})
        with pytest.raises(lash.LashError) as caught:
            await ctx.emit_event("unheard.of", 1)
        assert caught.value.code == "process_event_undeclared"
        with pytest.raises(lash.LashError) as caught:
            await ctx.wake("nobody there")
        assert caught.value.code == "process_wake_target_missing"

    async with lash.open(url, report, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(report)
        await parked(runtime, handle.id)
        await handle.resolve("go")
        await handle.result(timeout=60)
        told = [
            (event.event_type, event.payload)
            for event in await handle.events()
            if event.event_type in ("process.progress", "report.ready")
        ]
        assert told == [
            ("process.progress", {"done": 1}),
            ("report.ready", {"pages": 3}),
            ("process.progress", {"done": 2}),
        ]
        watched = [event.sequence async for event in handle.watch()]
        assert watched == list(range(1, len(watched) + 1))


async def test_time_and_chance_are_remembered(url: str) -> None:
    seen: list[tuple[int, float, str]] = []

    @lash.process
    async def lottery(ctx: lash.ProcessContext) -> int:
        seen.append((await ctx.now_ms(), await ctx.random(), await ctx.uuid()))
        await ctx.wait("go")
        return 1

    async with lash.open(url, lottery, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(lottery)
        await parked(runtime, handle.id)
        await handle.resolve("go")
        await handle.result(timeout=60)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert 0 <= seen[0][1] < 1
    assert seen[0][2][14] == "4"


async def test_concurrent_tasks_keep_their_places_whatever_ends_first(url: str) -> None:
    order: list[str] = []
    gates = {name: asyncio.Event() for name in "abc"}

    async def fetch(name: str) -> str:
        await gates[name].wait()
        order.append(f"fetch {name}")
        return name

    async def store(name: str) -> str:
        order.append(f"store {name}")
        return f"{name} stored"

    @lash.process
    async def crawl(ctx: lash.ProcessContext) -> list[str]:
        async def one(name: str) -> str:
            return await ctx.step(store, await ctx.step(fetch, name, effect="read_only"), effect="idempotent")

        done = await asyncio.gather(*(one(name) for name in "abc"))
        await ctx.wait("go")
        return [*done, *(await asyncio.gather(*(one(name) for name in "abc")))]

    async with lash.open(url, crawl, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(crawl)
        for name in "cab":
            gates[name].set()
            async with asyncio.timeout(60):
                while f"store {name}" not in order:
                    await asyncio.sleep(0.001)
        await parked(runtime, handle.id)
        first = list(order)
        await handle.resolve("go")
        result = await handle.result(timeout=60)
        assert result == ["a stored", "b stored", "c stored"] * 2
        assert first == ["fetch c", "store c", "fetch a", "store a", "fetch b", "store b"]
        assert len(order) == 12  # nothing of the first half ran again


async def test_the_first_of_several_is_the_same_one_again(url: str) -> None:
    winners: list[str] = []
    gates = {name: asyncio.Event() for name in "ab"}

    async def race(name: str) -> str:
        await gates[name].wait()
        return name

    @lash.process
    async def racing(ctx: lash.ProcessContext) -> str:
        tasks = [asyncio.ensure_future(ctx.step(race, name, effect="read_only")) for name in "ab"]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winners.append("".join(sorted(task.result() for task in done)))
        await ctx.wait("go")
        return winners[-1]

    async with lash.open(url, racing, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(racing)
        gates["b"].set()
        async with asyncio.timeout(60):
            while not winners:
                await asyncio.sleep(0.001)
        gates["a"].set()
        await parked(runtime, handle.id)
        await handle.resolve("go")
        assert await handle.result(timeout=60) == "b"
        assert winners == ["b", "b"]


async def test_a_function_is_not_let_go_of_before_all_of_it_waits(url: str) -> None:
    async def hop(number: int) -> int:
        return number + 1

    @lash.process
    async def busy(ctx: lash.ProcessContext) -> int:
        async def chain() -> int:
            number = 0
            for _ in range(5):
                (number,) = await asyncio.gather(ctx.step(hop, number, effect="read_only"))
            await ctx.sleep(3600)
            return number

        return sum(await asyncio.gather(ctx.wait("x", output=int), chain()))

    async with lash.open(url, busy, process_grace_ms=0) as runtime:
        handle = await runtime.processes.start(busy)
        on = await parked(runtime, handle.id)
        assert sorted(key.split(":")[0] for key in on) == ["timer", "wait"]  # both, in any order
