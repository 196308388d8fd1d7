"""Turns that wait: parked without a lease, and taken up when their wait is resolved."""

from __future__ import annotations

import asyncio

import pytest
from tests.runtime.conftest import scripted_agent

import lash
from lash.contracts import EffectParked
from lash.testing import call, reply
from lash.values import ModelRequest, TurnParked, TurnState, WaitDraft

WITHIN_S = 30


class Gatekeeper:
    """A tool that waits for a durable wait, and one beside it that does not."""

    def __init__(self) -> None:
        self.runtime: lash.Runtime | None = None
        self.entered = 0
        self.quick = 0

    def tools(self) -> list[lash.Tool]:  # type: ignore[type-arg]
        @lash.tool(effect="idempotent")
        async def wait_for(key: str) -> str:
            """Wait."""
            assert self.runtime is not None
            self.entered += 1
            await self.runtime.database.durable_waits.open_wait(WaitDraft(key=key))
            found = await self.runtime.database.durable_waits.find_wait(key)
            if found is None:
                raise EffectParked([key])
            return str(found.value)

        @lash.tool
        async def note(text: str) -> str:
            """Note."""
            self.quick += 1
            return text

        @lash.tool
        async def wait_once(key: str) -> str:
            """Wait, although it may begin only once."""
            raise EffectParked([key])

        return [wait_for, note, wait_once]


def told(request: object) -> str:
    parts = [part for message in request.messages for part in message.parts]  # type: ignore[attr-defined]
    return " | ".join(str(part.content) for part in parts if hasattr(part, "content"))


async def parked(runtime: lash.Runtime, turn_id: str = "t1", session_id: str = "s") -> None:
    """Return once the turn is parked."""
    subscription = runtime.database.subscribe([f"session:{session_id}"])
    try:
        async with asyncio.timeout(WITHIN_S):
            while not (await runtime.database.turn_ingress.find_turn(session_id, turn_id)).parked_on:
                await subscription.wait(timeout_ms=50)
    finally:
        subscription.close()


@pytest.fixture
def keeper() -> Gatekeeper:
    return Gatekeeper()


def agent_of(keeper: Gatekeeper) -> lash.Agent:
    asks = reply(call("wait_for", key="w"), call("note", text="beside"))
    return scripted_agent([asks, told], tools=keeper.tools())


async def test_turn_parks_after_its_other_calls_and_its_caller_goes_on_waiting(
    url: str, keeper: Gatekeeper
) -> None:
    async with lash.open(url, agent_of(keeper)) as runtime:
        keeper.runtime = runtime
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        await parked(runtime)
        assert keeper.quick == 1
        assert await runtime.database.session_leases.find_session_lease("s") is None
        assert not running.done()
        await runtime.database.durable_waits.resolve_wait("w", "now")
        async with asyncio.timeout(WITHIN_S):
            result = await running
    assert result.text == "now | beside"
    assert keeper.quick == 1
    assert [call.name for call in result.tool_calls] == ["wait_for", "note"]


async def test_wait_resolved_before_the_turn_is_parked_lets_it_go_on(url: str, keeper: Gatekeeper) -> None:
    async with lash.open(url, agent_of(keeper)) as runtime:
        keeper.runtime = runtime
        await runtime.database.durable_waits.resolve_wait("w", "early")
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            result = await session.turn("go")
    assert result.text == "early | beside"
    assert keeper.entered == 1


async def test_turn_stays_parked_over_a_restart(durable_url: str, keeper: Gatekeeper) -> None:
    agent = agent_of(keeper)
    async with lash.open(durable_url, agent) as runtime:
        keeper.runtime = runtime
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        await parked(runtime)
    with pytest.raises(lash.LashError) as caught:
        await running
    assert caught.value.code == "runtime_closed"
    async with lash.open(durable_url, agent) as runtime:
        keeper.runtime = runtime
        session = await runtime.session("s")
        again = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        await parked(runtime)
        await runtime.database.durable_waits.resolve_wait("w", "later")
        async with asyncio.timeout(WITHIN_S):
            result = await again
    assert result.text == "later | beside"
    assert keeper.quick == 1


async def test_other_sessions_go_on_and_work_of_the_same_session_waits(url: str, keeper: Gatekeeper) -> None:
    asks = reply(call("wait_for", key="w"))
    agent = scripted_agent([asks, told], tools=keeper.tools())
    idle = scripted_agent(["fine"], name="idle")
    async with lash.open(url, agent, idle) as runtime:
        keeper.runtime = runtime
        session = await runtime.session("s", "agent")
        first = asyncio.ensure_future(session.turn("one", turn_id="t1"))
        await parked(runtime)
        accepted = await session.send("two", idempotency_key="t2")
        other = await runtime.session("other", "idle")
        async with asyncio.timeout(WITHIN_S):
            assert (await other.turn("hello")).text == "fine"
        assert accepted.turn_id == "t2"
        assert (await runtime.database.turn_ingress.find_turn("s", "t2")).state is TurnState.PENDING
        await runtime.database.durable_waits.resolve_wait("w", "x")
        async with asyncio.timeout(WITHIN_S):
            await first


async def test_cancel_ends_a_parked_turn_and_keeps_what_it_did(url: str, keeper: Gatekeeper) -> None:
    async with lash.open(url, agent_of(keeper)) as runtime:
        keeper.runtime = runtime
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        await parked(runtime)
        assert await session.cancel("t1") == "requested"
        async with asyncio.timeout(WITHIN_S):
            result = await running
    assert result.stop == "cancelled"
    assert keeper.quick == 1
    by_name = {one.name: one for one in result.tool_calls}
    assert by_name["note"].result == "beside"
    assert by_name["wait_for"].is_error
    assert "not run" in str(by_name["wait_for"].result)


async def test_tool_that_may_begin_once_cannot_park(keeper: Gatekeeper) -> None:
    agent = scripted_agent([reply(call("wait_once", key="w")), told], tools=keeper.tools())
    async with lash.open("memory:", agent) as runtime:
        result = await (await runtime.session("s")).turn("go")
    assert "idempotent" in result.text


async def test_watchers_are_told_that_a_turn_is_parked(keeper: Gatekeeper) -> None:
    async with lash.open("memory:", agent_of(keeper)) as runtime:
        keeper.runtime = runtime
        session = await runtime.session("s")
        turn = session.turn("go", turn_id="t1")
        seen = []
        async with asyncio.timeout(WITHIN_S):
            async for event in turn.events():
                if isinstance(event.activity, TurnParked):
                    seen.append(event.activity)
                    await runtime.database.durable_waits.resolve_wait("w", "x")
    assert seen == [TurnParked(turn_id="t1", wait_keys=("w",))]


async def test_agent_may_be_worked_on_while_its_turn_is_parked(durable_url: str, keeper: Gatekeeper) -> None:
    @lash.tool
    async def newer() -> str:
        """Come later."""
        return "new"

    asks = reply(call("wait_for", key="w"), call("note", text="beside"))
    offered: list[tuple[str, list[str]]] = []

    def looks(request: ModelRequest) -> str:
        offered.append((request.instructions, [tool.name for tool in request.tools]))
        return told(request)

    before = scripted_agent([asks, looks, looks], tools=keeper.tools(), instructions="old words")
    after = scripted_agent([asks, looks], tools=[newer, *keeper.tools()], instructions="new words")
    async with lash.open(durable_url, before) as runtime:
        keeper.runtime = runtime
        running = asyncio.ensure_future((await runtime.session("s")).turn("go", turn_id="t1"))
        await parked(runtime)
    with pytest.raises(lash.LashError):
        await running
    async with lash.open(durable_url, after) as runtime:
        keeper.runtime = runtime
        await runtime.database.durable_waits.resolve_wait("w", "later")
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            result = await session.turn("go", turn_id="t1")
            await session.turn("go")
    assert result.text == "later | beside"
    assert keeper.quick == 2
    names = ["wait_for", "note", "wait_once"]
    assert offered == [("old words", names), ("new words", ["newer", *names])]


async def test_tool_that_waits_for_what_is_there_is_found_out() -> None:
    @lash.tool(effect="idempotent")
    async def never_looks() -> str:
        """Wait without looking."""
        raise EffectParked(["w"])

    agent = scripted_agent([reply(call("never_looks")), told], tools=[never_looks])
    async with lash.open("memory:", agent) as runtime:
        await runtime.database.durable_waits.resolve_wait("w", 1)
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(lash.LashError) as caught:
                await session.turn("go", turn_id="t1")
            assert caught.value.code == "turn_waits_for_nothing"
            await session.cancel("t1")
