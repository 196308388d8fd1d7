"""Agents that work for others: as tools, in the background, told things, cancelled, and paid for once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import ModelFailure, ModelRequest, TokenUsage, ToolResultPart

from .waiting import parked

COST = TokenUsage(input_tokens=10, output_tokens=3)
CHILD_COST = TokenUsage(input_tokens=100, output_tokens=7)


class Facts(msgspec.Struct):
    city: str
    people: int


def told(request: ModelRequest) -> str:
    """The results that the model was given last, as text."""
    return " ".join(
        str(part.content) for part in request.messages[-1].parts if isinstance(part, ToolResultPart)
    )


def researcher(answer: Any = "Bern has 130000 people.", **options: Any) -> lash.Agent:
    return lash.Agent(
        "researcher", model=ScriptedModel([reply(answer, usage=CHILD_COST)], by_request=True), **options
    )


def asking(*tools: Any, name: str = "chief", tool: str = "researcher", **options: Any) -> lash.Agent:
    def conclude(request: ModelRequest) -> Any:
        return reply(f"I was told: {told(request)}", usage=COST)

    steps = [reply(call(tool, input="How many?"), usage=COST), conclude]
    return lash.Agent(name, model=ScriptedModel(steps, by_request=True), tools=tools, **options)


def spent(entries: Any) -> dict[str, int]:
    return {entry.source: entry.usage.input_tokens for entry in entries}


async def test_an_agent_as_a_tool_answers_and_is_paid_for_once(url: str) -> None:
    chief = asking(researcher().as_tool())
    async with lash.open(url, chief) as runtime:
        session = await runtime.session("s")
        result = await session.turn("ask")
        assert result.text == "I was told: Bern has 130000 people."
        assert spent(await session.usage()) == {"turn": 20, "subagent": 100}
        (child,) = await runtime.processes.list(session="s", include_finished=True)
        assert child.input.create_request["parent_session_id"] == "s"  # type: ignore[union-attr]
        environment = await runtime.processes.environment(child.id)
        assert environment is not None
        assert environment.agent == "researcher"


async def test_a_typed_answer_is_typed_for_code_and_json_for_the_model(url: str) -> None:
    answer = reply('{"city": "Bern", "people": 130}', usage=CHILD_COST)
    agent = lash.Agent("researcher", model=ScriptedModel([answer], by_request=True), output=Facts)
    chief = asking(agent.as_tool())
    async with lash.open(url, chief) as runtime:
        session = await runtime.session("s")
        handle = await session.spawn(agent, "How many?", wake=False)
        assert await handle.result(timeout=60) == Facts("Bern", 130)
        result = await session.turn("ask")
        assert result.text == "I was told: {'city': 'Bern', 'people': 130}"


async def test_a_turn_lets_go_of_an_agent_that_takes_long(url: str) -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    async def slow(_: ModelRequest) -> Any:
        entered.set()
        await go.wait()
        return reply("at last", usage=CHILD_COST)

    agent = lash.Agent("researcher", model=ScriptedModel([slow], by_request=True))
    chief = asking(agent.as_tool())
    async with lash.open(url, chief, process_grace_ms=20) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("ask", turn_id="t"))
        await entered.wait()
        ingress = runtime.database.turn_ingress
        async with asyncio.timeout(60):
            while not (await ingress.find_turn("s", "t")).parked_on:
                await asyncio.sleep(0.01)
        go.set()
        result = await running
        assert result.text == "I was told: at last"
        assert spent(await session.usage()) == {"turn": 20, "subagent": 100}


async def test_a_background_agent_wakes_its_session_with_the_answer(url: str) -> None:
    def answer(request: ModelRequest) -> Any:
        return reply(f"heard: {request.messages[-1].text.splitlines()[-1]}", usage=COST)

    chief = lash.Agent("chief", model=ScriptedModel([answer], by_request=True))
    agent = researcher()
    async with lash.open(url, chief, agent) as runtime:
        session = await runtime.session("s", chief)
        handle = await session.spawn(agent, "How many?", label="census")
        assert await handle.result(timeout=60) == "Bern has 130000 people."
        async with asyncio.timeout(60):
            while not await session.history():
                await asyncio.sleep(0.01)
        text = (await session.history())[-1].text
        assert text == "heard: census has finished: Bern has 130000 people."


async def test_a_failed_agent_is_told_to_the_model_that_asked(url: str) -> None:
    refused = ModelFailure(kind="auth", code="model_auth_failed", message="wrong key")
    agent = lash.Agent("researcher", model=ScriptedModel([refused], by_request=True))
    chief = asking(agent.as_tool())
    async with lash.open(url, chief) as runtime:
        session = await runtime.session("s")
        result = await session.turn("ask")
        assert "subagent_stopped" in result.text


async def test_cancelling_the_turn_cancels_the_agent_that_it_waits_for(url: str) -> None:
    entered = asyncio.Event()

    async def hang(_: ModelRequest) -> Any:
        entered.set()
        await asyncio.Event().wait()

    agent = lash.Agent("researcher", model=ScriptedModel([hang], by_request=True))
    chief = asking(agent.as_tool())
    for number, grace_ms in enumerate((20, 60_000)):
        async with lash.open(url, chief, process_grace_ms=grace_ms) as runtime:
            session = await runtime.session(f"s{number}")
            entered.clear()
            running = asyncio.ensure_future(session.turn("ask", turn_id="t"))
            await entered.wait()
            if grace_ms < 1000:
                async with asyncio.timeout(60):
                    while not (await runtime.database.turn_ingress.find_turn(session.id, "t")).parked_on:
                        await asyncio.sleep(0.01)
            assert await session.cancel("t") == "requested"
            assert (await running).stop == "cancelled"
            (child,) = await runtime.processes.list(session=session.id, include_finished=True)
            with pytest.raises(lash.LashError) as caught:
                await runtime.processes.wait(child.id, timeout=60)
            assert caught.value.code == "process_cancelled"


async def test_agents_ask_each_other_only_so_deep(url: str) -> None:
    offered: list[list[str]] = []

    def look(request: ModelRequest) -> Any:
        offered.append([tool.name for tool in request.tools])
        if not request.tools:
            return reply("at the bottom")
        return reply(call("deeper", input="go on"))

    def conclude(request: ModelRequest) -> Any:
        return reply(told(request))

    def nested(depth: int) -> lash.Agent:
        tools = [] if depth == 0 else [nested(depth - 1).as_tool("deeper")]
        return lash.Agent(
            f"level{depth}", model=ScriptedModel([look, conclude], by_request=True), tools=tools
        )

    async with lash.open(url, nested(9)) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        assert result.text == "at the bottom"
        assert [len(names) for names in offered] == [1, 1, 1, 0]  # three agents below the first


async def test_words_reach_an_agent_that_works(url: str) -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    @lash.tool(effect="read_only")
    async def look() -> str:
        """Look."""
        entered.set()
        await go.wait()
        return "seen"

    def conclude(request: ModelRequest) -> Any:
        texts = [message.text for message in request.messages if message.role == "user"]
        return reply(" / ".join(texts), usage=CHILD_COST)

    agent = lash.Agent(
        "researcher", model=ScriptedModel([reply(call("look")), conclude], by_request=True), tools=[look]
    )
    chief = asking(agent.as_tool())
    async with lash.open(url, chief, process_grace_ms=20) as runtime:
        session = await runtime.session("s")
        handle = await session.spawn(agent, "count", wake=False)
        await entered.wait()
        await parked(runtime, handle.id)
        await handle.send("in thousands", idempotency_key="m1")
        await handle.send("in thousands", idempotency_key="m1")
        go.set()
        assert await handle.result(timeout=60) == "count / in thousands"


async def test_a_session_spawns_as_deep_as_its_agent_may(url: str) -> None:
    agent = researcher()
    chief = lash.Agent("chief", model=ScriptedModel(["x"]), limits=lash.Limits(subagent_depth=0))
    async with lash.open(url, chief, agent) as runtime:
        session = await runtime.session("s", chief)
        with pytest.raises(lash.LashError) as caught:
            await session.spawn(agent, "How many?")
        assert caught.value.code == "subagent_depth_exceeded"
        with pytest.raises(lash.LashError) as caught:
            await runtime.processes.spawn(agent, "How many?", session="nowhere")
        assert caught.value.code == "session_unknown"
