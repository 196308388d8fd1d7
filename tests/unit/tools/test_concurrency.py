"""Serial keys and threads."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from typing import Any

import pytest

from lash.tools import SerialLanes, ToolContext, ToolSet, ToolThreads, tool
from lash.values import CompletedToolCall, PreparedToolCall, ToolCallPart


async def run(tools: ToolSet, call: Any, *names: str) -> list[CompletedToolCall]:
    prepared = [tools.prepare(ToolCallPart(call_id=str(n), name=name)) for n, name in enumerate(names)]
    assert all(isinstance(one, PreparedToolCall) for one in prepared)
    return list(
        await asyncio.gather(*(tools.execute(one, call.invocation()) for one in prepared))  # type: ignore[arg-type]
    )


async def wait_until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():  # what is waited for happens in threads that tell nobody
            await asyncio.sleep(0)


async def test_calls_that_share_a_key_run_one_at_a_time(call: Any) -> None:
    inside: list[str] = []
    most = 0

    async def work(name: str) -> None:
        nonlocal most
        inside.append(name)
        most = max(most, len(inside))
        for _ in range(5):
            await asyncio.sleep(0)
        inside.remove(name)

    @tool(serial_key="db")
    async def a() -> None:
        await work("a")

    @tool(serial_key="db")
    async def b() -> None:
        await work("b")

    lanes = SerialLanes()
    results = await run(ToolSet([a, b], lanes=lanes), call, "a", "b", "a", "b")
    assert [result.error for result in results] == [None] * 4
    assert most == 1
    assert len(lanes) == 0


async def test_other_keys_do_not_wait(call: Any) -> None:
    meeting = asyncio.Barrier(2)

    @tool(serial_key="x")
    async def a() -> None:
        await meeting.wait()

    @tool(serial_key="y")
    async def b() -> None:
        await meeting.wait()

    async with asyncio.timeout(30):
        await run(ToolSet([a, b]), call, "a", "b")


async def test_a_key_is_free_after_a_crash(call: Any) -> None:
    @tool(serial_key="db")
    def bad() -> None:
        raise ValueError

    @tool(serial_key="db")
    def good() -> str:
        return "ok"

    results = await run(ToolSet([bad, good]), call, "bad", "good")
    assert results[1].content == "ok"


async def test_time_spent_waiting_for_a_key_is_not_the_tools_time(call: Any) -> None:
    release = asyncio.Event()

    @tool(serial_key="db")
    async def slow() -> None:
        await release.wait()

    @tool(serial_key="db", timeout=0.001)
    async def quick() -> str:
        return "ok"

    tools = ToolSet([slow, quick])
    both = asyncio.create_task(run(tools, call, "slow", "quick"))
    expired = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.02, expired.set_result, None)
    await expired
    release.set()
    assert (await both)[1].content == "ok"


async def test_a_key_whose_holder_cannot_be_stopped_is_refused_until_it_ends(call: Any) -> None:
    release = threading.Event()

    @tool(serial_key="db", timeout=0.01)
    def stuck() -> None:
        release.wait(30)

    @tool(serial_key="db")
    async def after() -> str:
        return "ok"

    lanes = SerialLanes()
    tools = ToolSet([stuck, after], lanes=lanes)
    (first,) = await run(tools, call, "stuck")
    assert first.error is not None
    assert first.error.code == "tool_timeout"
    (second,) = await run(tools, call, "after")
    assert second.error is not None
    assert (second.error.code, second.error.retryable) == ("tool_serial_key_blocked", True)
    release.set()
    await wait_until(lambda: len(lanes) == 0)
    (third,) = await run(tools, call, "after")
    assert third.content == "ok"


async def test_no_more_threads_than_the_limit_run_at_once(call: Any) -> None:
    lock, release, running, most = threading.Lock(), threading.Event(), 0, 0

    @tool
    def f() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(30)
        with lock:
            running -= 1

    tools = ToolSet([f], threads=ToolThreads(limit=3))
    everything = asyncio.create_task(run(tools, call, *["f"] * 10))
    await wait_until(lambda: running == 3)
    release.set()
    await everything
    assert most == 3


async def test_abandoned_threads_do_not_starve_the_others_but_are_bounded(call: Any) -> None:
    release = threading.Event()

    @tool(timeout=0.01)
    def stuck() -> None:
        release.wait(30)

    @tool
    def quick() -> str:
        return "ok"

    threads = ToolThreads(limit=1, abandoned_limit=2)
    tools = ToolSet([stuck, quick], threads=threads)
    assert [r.error.code for r in await run(tools, call, "stuck") if r.error] == ["tool_timeout"]
    assert (await run(tools, call, "quick"))[0].content == "ok"
    assert [r.error.code for r in await run(tools, call, "stuck") if r.error] == ["tool_timeout"]
    assert threads.abandoned == 2
    assert [r.error.code for r in await run(tools, call, "quick") if r.error] == ["tool_threads_exhausted"]
    release.set()
    await wait_until(lambda: threads.abandoned == 0)
    assert (await run(tools, call, "quick"))[0].content == "ok"


async def test_threads_are_reused_and_end_with_their_pool(call: Any) -> None:
    seen: set[threading.Thread] = set()

    @tool
    def f() -> None:
        seen.add(threading.current_thread())

    tools = ToolSet([f], threads=ToolThreads(limit=2))
    for _ in range(20):
        await run(tools, call, "f")
    assert len(seen) <= 3
    del tools
    gc.collect()
    await wait_until(lambda: not any(thread.is_alive() for thread in seen))


def test_one_set_serves_one_loop_after_another(call: Any) -> None:
    @tool(serial_key="db")
    def f(ctx: ToolContext) -> str:
        ctx.progress(1)
        return "ok"

    tools = ToolSet([f])
    for _ in range(2):
        (result,) = asyncio.run(run(tools, call, "f"))
        assert result.content == "ok"


async def test_lanes_hold_nothing_for_calls_without_a_key() -> None:
    lanes = SerialLanes()
    async with lanes.entered(None) as hold:
        assert hold is None
        assert len(lanes) == 0
    async with lanes.entered("k") as hold:
        assert hold is not None
        assert len(lanes) == 1
    assert len(lanes) == 0


async def test_a_coroutine_that_will_not_be_cancelled_is_left_behind(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lash.tools.attempt._CLEANUP_S", 0.01)
    release = asyncio.Event()

    @tool(serial_key="db", timeout=0.01)
    async def deaf() -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    lanes = SerialLanes()
    tools = ToolSet([deaf], lanes=lanes)
    for code in ("tool_timeout", "tool_serial_key_blocked"):
        (result,) = await run(tools, call, "deaf")
        assert result.error is not None
        assert result.error.code == code
    release.set()
    await wait_until(lambda: len(lanes) == 0)
