"""Durable functions: what they return, what they remember, and where changed code is found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

import lash

from .waiting import parked


@dataclass
class Summary:
    title: str
    pages: int


async def test_a_function_returns_its_typed_result(url: str) -> None:
    @lash.process
    async def summarise(ctx: lash.ProcessContext, title: str, pages: int = 2) -> Summary:
        return Summary(title, pages)

    async with lash.open(url, summarise) as runtime:
        handle = await runtime.processes.start(summarise, "Q3", pages=7)
        assert await handle.result(timeout=30) == Summary("Q3", 7)
        again = runtime.processes.handle(handle.id)
        assert await again == Summary("Q3", 7)
        assert (await again.status()).terminal_state == "completed"


async def test_wrong_arguments_are_refused_at_the_start(url: str) -> None:
    @lash.process
    async def count(ctx: lash.ProcessContext, upto: int) -> int:
        return upto

    async with lash.open(url, count) as runtime:
        with pytest.raises(lash.LashError, match="upto") as caught:
            await runtime.processes.start(count, "many")
        assert caught.value.code == "invalid_process_args"
        assert await runtime.processes.list(include_finished=True) == []


async def test_the_same_id_is_the_same_process(url: str) -> None:
    runs = 0

    @lash.process
    async def once(ctx: lash.ProcessContext, name: str) -> str:
        nonlocal runs
        runs += 1
        return f"hello {name}"

    async with lash.open(url, once) as runtime:
        first = await runtime.processes.start(once, "a", id="greeting")
        assert await first.result(timeout=30) == "hello a"
        second = await runtime.processes.start(once, "a", id="greeting")
        assert await second.result(timeout=30) == "hello a"
        assert runs == 1
        with pytest.raises(lash.LashError) as caught:
            await runtime.processes.start(once, "b", id="greeting")
        assert caught.value.code == "process_registration_conflict"


async def test_failures_have_their_code_and_message(url: str) -> None:
    @lash.process
    async def broken(ctx: lash.ProcessContext) -> None:
        raise ValueError("no such thing")

    @lash.process
    async def refused(ctx: lash.ProcessContext) -> None:
        raise lash.ToolError("card_declined", "the bank said no")

    async with lash.open(url, broken, refused) as runtime:
        for definition, code, text in (
            (broken, "process_failed", "ValueError: no such thing"),
            (refused, "card_declined", "the bank said no"),
        ):
            handle = await runtime.processes.start(definition)
            with pytest.raises(lash.LashError) as caught:
                await handle.result(timeout=30)
            assert (caught.value.code, caught.value.message) == (code, text)


async def test_steps_run_once_over_a_wait_that_outlives_the_run(url: str) -> None:
    calls: list[Any] = []

    async def fetch(name: str) -> dict[str, int]:
        calls.append(name)
        return {"size": len(name)}

    @lash.process
    async def collect(ctx: lash.ProcessContext) -> list[int]:
        first = await ctx.step(fetch, "a")
        more = await ctx.wait("more")
        second = await ctx.step(fetch, more)
        return [first["size"], second["size"]]

    async with lash.open(url, collect, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(collect)
        await parked(runtime, handle.id)
        assert calls == ["a"]
        await handle.resolve("more", "bcd")
        assert await handle.result(timeout=30) == [1, 3]
        assert calls == ["a", "bcd"]


@pytest.mark.parametrize("effect", ["read_only", "at_most_once"])
async def test_a_step_may_not_use_the_context(url: str, effect: Any) -> None:
    @lash.process
    async def nesting(ctx: lash.ProcessContext) -> str:
        async def inner() -> int:
            return await ctx.now_ms()

        def in_a_thread() -> Any:
            return ctx.progress(1)

        codes = []
        for fn in (inner, in_a_thread):
            try:
                await ctx.step(fn, effect=effect)
            except lash.LashError as problem:
                codes.append(problem.code)
        return " ".join(codes)

    async with lash.open(url, nesting) as runtime:
        handle = await runtime.processes.start(nesting)
        assert await handle.result(timeout=60) == "process_context_misplaced process_context_misplaced"


async def test_a_task_that_nobody_awaits_ends_with_the_run(url: str) -> None:
    left: list[asyncio.Task[None]] = []

    @lash.process
    async def careless(ctx: lash.ProcessContext) -> int:
        async def linger() -> None:
            await ctx.now_ms()
            await asyncio.Event().wait()

        left.append(asyncio.ensure_future(linger()))
        await ctx.sleep(ms=1)
        return 1

    async with lash.open(url, careless) as runtime:
        handle = await runtime.processes.start(careless)
        assert await handle.result(timeout=60) == 1
        async with asyncio.timeout(60):
            while not left[0].done():
                await asyncio.sleep(0.001)


def test_a_script_starts_and_waits_without_an_event_loop(sqlite_url: str) -> None:
    @lash.process
    async def double(ctx: lash.ProcessContext, number: int) -> int:
        return 2 * number

    with lash.open(sqlite_url, double) as runtime:
        handle = runtime.processes.start_sync(double, 21, id="answer")
        assert handle.result_sync(timeout=60) == 42
        record = runtime.processes.call_sync(runtime.processes.get("answer"))
        assert record.terminal_state == "completed"
