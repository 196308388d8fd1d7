"""A wake reaches its session once: an idle one gets a turn, a busy one has it injected (contract 5, B-8)."""

from __future__ import annotations

import asyncio
import signal
import sys

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import ModelRequest, WakeDeliveryState

CAUSE = "A background process has reported."


RED = "The build is red."


@lash.process
async def report(ctx: lash.ProcessContext) -> str:
    """Tell the session."""
    await ctx.wake(RED)
    return "done"


def told(request: ModelRequest) -> int:
    """How often a request says that the build is red."""
    return sum(str(message).count(RED) for message in request.messages)


async def settled(runtime: lash.Runtime, session_id: str) -> None:
    """Wait until nothing is queued for a session and no turn of it runs."""
    async with asyncio.timeout(60):
        while True:
            (info,) = await runtime.sessions(search=session_id)
            if not info.pending and not info.running:
                return
            await asyncio.sleep(0.01)


async def test_idle_session_gets_a_turn_with_the_cause(url: str) -> None:
    model = ScriptedModel(["I have seen it."], by_request=True)
    async with lash.open(url, lash.Agent("agent", model=model), report) as runtime:
        session = await runtime.session("desk")
        handle: lash.ProcessHandle[str] = await runtime.processes.start(report, session="desk", wake=True)
        assert await handle == "done"
        wakes = await runtime.wakes.of_process(handle.id)  # its own, and that it has ended
        assert [wake.state for wake in wakes] == [WakeDeliveryState.ENQUEUED] * 2
        await settled(runtime, "desk")
        texts = [str(message) for message in await session.history()]
        assert sum(text.count(RED) for text in texts) == 1
        assert sum(text.count(CAUSE) for text in texts) == 2
        assert any("I have seen it." in text for text in texts)
        assert await runtime.wakes.discarded() == []


async def test_busy_session_has_the_wake_injected_at_its_next_boundary(url: str) -> None:
    started, woken = asyncio.Event(), asyncio.Event()

    @lash.tool(effect="idempotent")
    async def work() -> str:
        """Work for a while."""
        started.set()
        await woken.wait()
        return "worked"

    model = ScriptedModel(
        [call("work"), lambda request: reply(f"told {told(request)} times")], by_request=True
    )
    agent = lash.Agent("agent", model=model, tools=[work])
    async with lash.open(url, agent, report) as runtime:
        session = await runtime.session("desk")

        async def go() -> lash.TurnResult:
            return await session.turn("go")

        turn = asyncio.ensure_future(go())
        try:
            await asyncio.wait_for(started.wait(), 60)
            handle: lash.ProcessHandle[str] = await runtime.processes.start(report, session="desk", wake=True)
            assert await handle == "done"
        finally:
            woken.set()
        assert (await turn).text == "told 1 times"
        await settled(runtime, "desk")
        texts = [str(message) for message in await session.history()]
        assert sum(text.count(RED) for text in texts) == 1


async def test_wake_of_a_session_that_is_gone_is_reported_and_can_be_sent_elsewhere(url: str) -> None:
    model = ScriptedModel(["I have seen it."], by_request=True)
    async with lash.open(url, lash.Agent("agent", model=model), report) as runtime:
        for name in ("gone", "heir"):
            await runtime.session(name)
        await runtime.delete_session("gone")
        handle: lash.ProcessHandle[str] = await runtime.processes.start(report, session="gone", wake=True)
        assert await handle == "done"
        first, _ = await runtime.wakes.discarded()
        assert first.delivery.input == RED
        await runtime.wakes.redrive(first, session="heir")
        assert len(await runtime.wakes.discarded()) == 1
        await settled(runtime, "heir")
        texts = [str(message) for message in await (await runtime.session("heir")).history()]
        assert sum(text.count(RED) for text in texts) == 1


KILLED = """
import asyncio, os, signal, sys
import lash

@lash.process
async def report(ctx: lash.ProcessContext) -> str:
    await ctx.wake("The build is red.")
    return "done"

async def main() -> None:
    async with lash.open(sys.argv[1], report) as runtime:
        await runtime.database.session_catalog.admit_session("desk", agent="agent")
        handle = await runtime.processes.start(report, session="desk", wake=True)
        await handle
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_wake_survives_a_kill_between_its_event_and_its_turn(sqlite_url: str) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, sqlite_url)
    assert await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL
    model = ScriptedModel(["I have seen it."], by_request=True)
    for _ in range(2):
        async with lash.open(sqlite_url, lash.Agent("agent", model=model)) as runtime:
            session = await runtime.session("desk")
            await settled(runtime, "desk")
            texts = [str(message) for message in await session.history()]
            assert sum(text.count(RED) for text in texts) == 1
            assert sum(text.count(CAUSE) for text in texts) == 2
