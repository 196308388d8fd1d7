"""A turn, end to end, on each backend."""

from __future__ import annotations

import asyncio

import pytest

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import (
    AssistantTextDelta,
    ModelFailure,
    TokenUsage,
    ToolCallCompleted,
    ToolResultPart,
    TurnFinished,
    TurnStarted,
)

from .conftest import scripted_agent

COST = TokenUsage(input_tokens=10, output_tokens=5)


async def test_turn_answers_with_text_usage_and_revision(url: str) -> None:
    agent = scripted_agent([reply("Hello, you.", usage=COST)])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("chat-1")
        result = await session.turn("Hello?")
        assert result.text == "Hello, you."
        assert result.usage == COST
        assert result.stop is None
        assert result.head_revision == 1
        history = await session.history()
        assert [(message.role, message.text) for message in history] == [
            ("user", "Hello?"),
            ("assistant", "Hello, you."),
        ]
        (entry,) = await session.usage()
        assert (entry.source, entry.model, entry.usage) == ("turn", "scripted", COST)


async def test_second_turn_sees_the_first(url: str) -> None:
    model = ScriptedModel(["one", "two"])
    async with lash.open(url, lash.Agent("a", model=model)) as runtime:
        session = await runtime.session("s")
        await session.turn("first")
        await session.turn("second")
        assert [message.text for message in model.requests[1].messages] == ["first", "one", "second"]


async def test_events_come_in_order_and_end_with_turn_finished(url: str) -> None:
    agent = scripted_agent([reply("a long enough answer to be streamed in pieces", usage=COST)])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        turn = session.turn("go")
        activities = [event.activity async for event in turn.events()]
        assert isinstance(activities[0], TurnStarted)
        streamed = "".join(one.text for one in activities if isinstance(one, AssistantTextDelta))
        assert streamed == "a long enough answer to be streamed in pieces"
        assert isinstance(activities[-1], TurnFinished)
        assert activities[-1].text == streamed
        assert (await turn).text == streamed


async def test_tools_run_together_and_report_in_call_order(url: str) -> None:
    both_inside = asyncio.Barrier(2)
    second_done = asyncio.Event()

    @lash.tool(effect="read_only")
    async def first(word: str) -> str:
        """Wait for the second."""
        await both_inside.wait()
        await second_done.wait()
        return f"first {word}"

    @lash.tool(effect="read_only")
    async def second(word: str) -> str:
        """Go first."""
        await both_inside.wait()
        second_done.set()
        return f"second {word}"

    model = ScriptedModel([reply(call("first", word="a"), call("second", word="b")), "done"])
    async with lash.open(url, lash.Agent("a", model=model, tools=[first, second])) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        assert [one.result for one in result.tool_calls] == ["first a", "second b"]
        assert [one.settled_rank for one in result.tool_calls] == [1, 0]
        told = [
            part.content
            for message in model.requests[1].messages
            for part in message.parts
            if isinstance(part, ToolResultPart)
        ]
        assert told == ["first a", "second b"]


async def test_wrong_arguments_go_back_to_the_model(url: str) -> None:
    @lash.tool(effect="read_only")
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    agent = scripted_agent(
        [call("double", number="many"), call("double", number=21), "It is 42."], tools=[double]
    )
    async with lash.open(url, agent) as runtime:
        result = await (await runtime.session("s")).turn("double it")
        assert [one.is_error for one in result.tool_calls] == [True, False]
        assert result.tool_calls[1].result == 42
        assert result.text == "It is 42."


async def test_unknown_tool_is_told_to_the_model(url: str) -> None:
    agent = scripted_agent([call("no_such_tool"), "I have no such tool."])
    async with lash.open(url, agent) as runtime:
        result = await (await runtime.session("s")).turn("use it")
        assert result.tool_calls[0].is_error
        assert "no_such_tool" in str(result.tool_calls[0].result)
        assert result.stop is None


async def test_tool_error_reaches_the_model_with_its_code(url: str) -> None:
    @lash.tool
    def charge(amount: int) -> str:
        """Charge a card."""
        raise lash.ToolError("card_declined", f"the card declined {amount}")

    agent = scripted_agent([call("charge", amount=5), "It was declined."], tools=[charge])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        events = [event.activity async for event in session.turn("charge").events()]
        (completed,) = [one for one in events if isinstance(one, ToolCallCompleted)]
        assert completed.call.is_error
        assert "the card declined 5" in str(completed.call.result)


async def test_same_turn_id_gives_the_same_result_and_runs_nothing(url: str) -> None:
    model = ScriptedModel([reply("once", usage=COST)])
    async with lash.open(url, lash.Agent("a", model=model)) as runtime:
        session = await runtime.session("s")
        first = await session.turn("hi", turn_id="t1")
        again = await session.turn("hi", turn_id="t1")
        assert (again.text, again.usage, again.head_revision) == (first.text, COST, 1)
        assert again.replayed
        assert not first.replayed
        assert len(model.requests) == 1


async def test_same_turn_id_with_other_input_is_a_conflict(url: str) -> None:
    async with lash.open(url, scripted_agent(["once"])) as runtime:
        session = await runtime.session("s")
        await session.turn("hi", turn_id="t1")
        with pytest.raises(lash.LashError) as caught:
            await session.turn("something else", turn_id="t1")
        assert caught.value.code == "idempotency_conflict"


async def test_model_failure_stops_the_turn_and_is_committed(url: str) -> None:
    failure = ModelFailure(kind="auth", code="model_auth", message="the key was refused", status=401)
    async with lash.open(url, scripted_agent([failure])) as runtime:
        session = await runtime.session("s")
        result = await session.turn("hi")
        assert result.stop == "provider_error"
        assert [issue.code for issue in result.issues] == ["model_auth"]
        assert result.head_revision == 1


async def test_max_model_calls_ends_in_a_last_answer(url: str) -> None:
    @lash.tool(effect="read_only")
    def look() -> str:
        """Look."""
        return "nothing"

    def step(request: lash.values.ModelRequest) -> object:  # type: ignore[name-defined]
        return "I looked often enough." if request.tool_choice == "none" else call("look")

    agent = lash.Agent("a", model=ScriptedModel(step), tools=[look], limits=lash.Limits(max_model_calls=3))
    async with lash.open(url, agent) as runtime:
        result = await (await runtime.session("s")).turn("look")
        assert result.stop == "max_turns"
        assert result.text == "I looked often enough."


async def test_spent_tokens_stop_the_turn(url: str) -> None:
    @lash.tool(effect="read_only")
    def look() -> str:
        """Look."""
        return "nothing"

    agent = lash.Agent(
        "a",
        model=ScriptedModel([reply(call("look"), usage=TokenUsage(input_tokens=100)), "never asked"]),
        tools=[look],
        limits=lash.Limits(turn_tokens=100),
    )
    async with lash.open(url, agent) as runtime:
        result = await (await runtime.session("s")).turn("look")
        assert result.stop == "budget_exhausted"
        assert result.model_calls == 1


async def test_context_and_idempotency_key_reach_the_tool(url: str) -> None:
    seen: list[tuple[object, str, str]] = []

    @lash.tool(effect="idempotent")
    def pay(ctx: lash.ToolContext) -> str:
        """Pay."""
        seen.append((ctx.context, ctx.idempotency_key, ctx.session_id))
        return "paid"

    agent = scripted_agent([call("pay"), "done"], tools=[pay])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("pay", turn_id="t1", context={"user": 7})
        ((context, key, session_id),) = seen
        assert context == {"user": 7}
        assert key.startswith("lash-tool:s:t1:")
        assert key.endswith(":pay")
        assert session_id == "s"


async def test_resources_are_handed_to_tools_by_type(url: str) -> None:
    class Pool:
        name = "the pool"

    @lash.tool(effect="read_only")
    def ask(pool: lash.Resource[Pool]) -> str:
        """Ask the pool."""
        return pool.name

    agent = scripted_agent([call("ask"), "done"], tools=[ask])
    async with lash.open(url, agent, resources=[Pool()]) as runtime:
        result = await (await runtime.session("s")).turn("ask")
        assert result.tool_calls[0].result == "the pool"
    with pytest.raises(lash.LashError) as caught:
        async with lash.open(url, agent):
            pass
    assert caught.value.code == "resource_missing"


async def test_ten_megabytes_of_tool_output_are_cut_for_the_model_and_kept(url: str) -> None:
    @lash.tool(effect="read_only")
    def flood() -> str:
        """Give a lot."""
        return "x" * 10_000_000

    model = ScriptedModel([call("flood"), "that was a lot"])
    async with lash.open(url, lash.Agent("a", model=model, tools=[flood])) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        assert result.text == "that was a lot"
        (told,) = [
            part
            for message in model.requests[1].messages
            for part in message.parts
            if isinstance(part, ToolResultPart)
        ]
        assert len(str(told.content)) < 20_000
        stored = await session.attachment(told.attachments[0].id)
        assert len(stored.data) == 10_000_000


@pytest.mark.parametrize("session_id", ["a/b/../c", "🦊" * 10, "x" * 10_000, " padded "])
async def test_session_ids_are_any_text(url: str, session_id: str) -> None:
    async with lash.open(url, scripted_agent(["hi"])) as runtime:
        session = await runtime.session(session_id)
        await session.turn("hi")
        assert [info.session_id for info in await runtime.sessions()] == [session_id]


@pytest.mark.parametrize("session_id", ["", "   ", "\ud800"])
async def test_impossible_session_ids_are_refused(url: str, session_id: str) -> None:
    async with lash.open(url, scripted_agent(["hi"])) as runtime:
        with pytest.raises(lash.LashError) as caught:
            await runtime.session(session_id)
        assert caught.value.code == "invalid_argument"
        assert await runtime.sessions() == []
