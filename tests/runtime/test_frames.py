"""Frames: what the model is shown changes, what was committed does not. Compaction, continue_as, forks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.runtime.conftest import scripted_agent

import lash
from lash.plugins import TurnContext
from lash.testing import ScriptedModel, call, reply
from lash.turn import MessageDraft
from lash.values import ActivePath, FrameOpened, Message, ModelFailure, ModelRequest, TokenUsage

WITHIN_S = 60
OVERFLOW = ModelFailure(
    kind="http", code="context_length", message="too long", terminal_reason="context_overflow"
)


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


def shown(request: ModelRequest) -> str:
    return " | ".join(filter(None, texts(request.messages)))


class Notes(lash.Plugin):
    """Compacts without a model, when it is told to."""

    def __init__(self, *, wants: bool = False) -> None:
        self.wants = wants

    async def wants_compaction(self, turn: TurnContext) -> bool:
        return self.wants and len(turn.history) >= 4

    async def compact(self, turn: TurnContext, focus: str | None) -> Sequence[MessageDraft]:
        return (MessageDraft.text("event", f"notes of {len(turn.history)} on {focus}"),)


# ---- compaction


async def test_compaction_on_request_changes_what_is_shown_and_nothing_that_was_committed(url: str) -> None:
    agent = scripted_agent([shown], plugins=[Notes()])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        before = await session.history()
        assert await session.compact("figures") is True
        assert texts(await session.history(all=False)) == ["notes of 2 on figures"]
        assert (await session.turn("two")).text == "notes of 2 on figures | two"
        assert (await session.turn("three")).text.endswith("two | three")
        whole = await session.history()
        assert whole[:2] == before
        assert texts(whole)[2:5] == ["notes of 2 on figures", "two", "notes of 2 on figures | two"]
        frames = await session.frames()
    assert [(frame.reason, frame.status) for frame in frames] == [
        ("initial", "superseded"),
        ("compaction", "active"),
    ]
    assert frames[1].previous_frame_id == frames[0].frame_id


async def test_compaction_of_nothing_says_so() -> None:
    async with lash.open("memory:", scripted_agent(["x"], plugins=[Notes()])) as runtime:
        assert await (await runtime.session("s")).compact() is False


async def test_compaction_by_the_model_is_counted_as_such() -> None:
    cost = TokenUsage(input_tokens=5, output_tokens=2)

    def answers(request: ModelRequest) -> Any:
        text = shown(request)
        return reply("the gist" if "Write the notes." in text else text, usage=cost)

    async with lash.open("memory:", scripted_agent([answers])) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        assert await session.compact() is True
        result = await session.turn("two")
        usage = {entry.source: entry.usage for entry in await session.usage()}
    assert result.text == "What was said and done before, condensed:\n\nthe gist | two"
    assert usage["compaction"] == cost
    assert usage["turn"] == cost + cost


async def test_history_that_fills_the_window_is_compacted_before_the_next_turn() -> None:
    def answers(request: ModelRequest) -> Any:
        text = shown(request)
        if "Write the notes." in text:
            return "the gist"
        return reply(text, usage=TokenUsage(input_tokens=90 if "alpha" in text else 10))

    model = ScriptedModel([answers], by_request=True, context_window_tokens=100)
    agent = lash.Agent("a", model=model, plugins=[lash.Compaction(threshold=0.8)])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        await session.turn("alpha")
        turn = session.turn("two")
        opened = [
            event.activity.reason async for event in turn.events() if isinstance(event.activity, FrameOpened)
        ]
        result = await turn
        third = await session.turn("three")
        frames = await session.frames()
    assert opened == ["compaction"]
    assert result.text.endswith("the gist | two")
    assert third.text.endswith("two | three")
    assert len(frames) == 2


async def test_overflow_in_the_middle_of_a_turn_is_recovered_from_once() -> None:
    def answers(request: ModelRequest) -> Any:
        text = shown(request)
        if "one" in text.split(" | "):
            if "two" in text:
                return OVERFLOW
            return "first"
        return text

    agent = scripted_agent([answers], plugins=[Notes()])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        result = await session.turn("two")
        assert (result.stop, result.text) == (None, "notes of 2 on None | two")
        assert texts(await session.history()) == ["one", "first", "notes of 2 on None", "two", result.text]


async def test_overflow_that_compaction_does_not_mend_stops_the_turn() -> None:
    def answers(request: ModelRequest) -> Any:
        return "first" if shown(request) == "one" else OVERFLOW

    agent = scripted_agent([answers], plugins=[Notes()])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        result = await session.turn("two")
    assert result.stop == "context_overflow"


async def test_compacted_turn_that_is_driven_again_compacts_the_same_way(durable_url: str) -> None:
    entered = asyncio.Event()
    alive = False
    compacted: list[int] = []

    class Slow(Notes):
        async def compact(self, turn: TurnContext, focus: str | None) -> Sequence[MessageDraft]:
            compacted.append(len(turn.history))
            return (MessageDraft.text("event", f"notes {len(compacted)}"),)

    @lash.tool(effect="read_only")
    async def hang() -> str:
        """Hang."""
        if not alive:
            entered.set()
            await asyncio.Event().wait()
        return "went on"

    def answers(request: ModelRequest) -> Any:
        last = request.messages[-1]
        return reply(call("hang")) if last.text == "three" else shown(request)

    def agent() -> lash.Agent:
        return scripted_agent([answers, shown], tools=[hang], plugins=[Slow(wants=True)])

    async with lash.open(durable_url, agent()) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        await session.turn("two")
        running = asyncio.ensure_future(session.turn("three", turn_id="t3"))
        async with asyncio.timeout(WITHIN_S):
            await entered.wait()
    with pytest.raises(lash.LashError):
        await running
    alive = True
    async with lash.open(durable_url, agent()) as runtime:
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            result = await session.turn("three", turn_id="t3")
        assert result.text == "notes 1 | three"
        assert len(await session.frames()) == 2
    assert compacted == [4]


# ---- views


async def test_rolling_history_shows_the_last_turns_only_and_the_export_is_complete() -> None:
    agent = scripted_agent([shown], plugins=[lash.RollingHistory(turns=1)])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        await session.turn("two")
        result = await session.turn("three")
        assert result.text == "two | one | one | two | three"
        assert len(await session.history()) == 6


# ---- continue_as


def continuing(*, then: Any = shown) -> Any:
    def answers(request: ModelRequest) -> Any:
        if request.messages[-1].text == "go":
            return reply(call("continue_as", task="finish it"))
        return then(request) if callable(then) else then

    return answers


async def test_turn_goes_on_in_a_new_frame_and_commits_once(url: str) -> None:
    agent = scripted_agent([continuing()], plugins=[lash.ContinueAs()])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("before")
        result = await session.turn("go", turn_id="t1")
        assert (result.text, result.stop, result.turn_id) == ("finish it", None, "t1")
        assert [one.name for one in result.tool_calls] == ["continue_as"]
        assert result.model_calls == 2
        again = await session.turn("go", turn_id="t1")
        assert (again.text, again.replayed) == ("finish it", True)
        assert (await session.turn("more")).text == "finish it | finish it | more"
        history = await session.history()
        assert texts(history)[:3] == ["before", "before", "go"]
        assert history[5].id == "t1:agent-frame:1:m0"
        frames = await session.frames()
    assert [frame.reason for frame in frames] == ["initial", "continue_as"]
    assert result.head_revision == 2


async def test_frame_ids_follow_from_the_turn() -> None:
    ids = []
    for _ in range(2):
        agent = scripted_agent([continuing()], plugins=[lash.ContinueAs()])
        async with lash.open("memory:", agent) as runtime:
            session = await runtime.session("s")
            await session.turn("go", turn_id="t1")
            ids.append((await session.frames())[1].frame_id)
    assert ids[0] == ids[1]


async def test_model_that_only_ever_starts_over_is_stopped() -> None:
    agent = scripted_agent(
        [lambda request: reply(call("continue_as", task="go"))], plugins=[lash.ContinueAs()]
    )
    async with lash.open("memory:", agent) as runtime:
        result = await (await runtime.session("s")).turn("go")
    assert result.stop == "max_turns"
    assert result.issues[-1].code == "agent_frames_exhausted"


async def test_limit_of_model_calls_holds_over_all_frames() -> None:
    @lash.tool(effect="read_only")
    async def step() -> str:
        """Step."""
        return "stepped"

    def answers(request: ModelRequest) -> Any:
        if request.messages[-1].text == "go":
            return reply(call("continue_as", task="step by step"))
        return reply(call("step"))

    agent = scripted_agent(
        [answers] * 9,
        tools=[step],
        plugins=[lash.ContinueAs()],
        limits=lash.Limits(max_model_calls=4, on_max_turns="stop"),
    )
    async with lash.open("memory:", agent) as runtime:
        result = await (await runtime.session("s")).turn("go")
    assert (result.stop, result.model_calls) == ("max_turns", 4)


async def test_turn_that_is_driven_again_goes_on_in_the_same_frame(durable_url: str) -> None:
    entered = asyncio.Event()
    alive = False
    asked: list[str] = []

    @lash.tool(effect="read_only")
    async def hang() -> str:
        """Hang."""
        if not alive:
            entered.set()
            await asyncio.Event().wait()
        return "went on"

    def answers(request: ModelRequest) -> Any:
        last = request.messages[-1]
        asked.append(last.text or "result")
        if last.text == "go":
            return reply(call("continue_as", task="finish it"))
        return reply(call("hang")) if last.text == "finish it" else f"{shown(request)}, done"

    def agent() -> lash.Agent:
        return scripted_agent([answers, answers], tools=[hang], plugins=[lash.ContinueAs()])

    async with lash.open(durable_url, agent()) as runtime:
        running = asyncio.ensure_future((await runtime.session("s")).turn("go", turn_id="t1"))
        async with asyncio.timeout(WITHIN_S):
            await entered.wait()
    with pytest.raises(lash.LashError):
        await running
    alive = True
    async with lash.open(durable_url, agent()) as runtime:
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            result = await session.turn("go", turn_id="t1")
        assert len(await session.frames()) == 2
    assert result.text == "finish it, done"
    assert asked == ["go", "finish it", "result"]


async def test_input_that_comes_in_the_middle_enters_the_later_frame(url: str) -> None:
    working = asyncio.Event()
    go_on = asyncio.Event()

    @lash.tool(effect="read_only")
    async def work() -> str:
        """Work."""
        working.set()
        await go_on.wait()
        return "worked"

    def answers(request: ModelRequest) -> Any:
        last = request.messages[-1]
        if last.text == "go":
            return reply(call("continue_as", task="finish it"))
        return reply(call("work")) if last.text == "finish it" else shown(request)

    agent = scripted_agent([answers, answers], tools=[work], plugins=[lash.ContinueAs()])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        async with asyncio.timeout(WITHIN_S):
            await working.wait()
            await session.send("and mind this", on_busy="inject")
            go_on.set()
            result = await running
        assert result.text == "finish it | and mind this"
        assert await session.queue() == []


async def test_cancelled_compaction_leaves_no_trace_in_the_conversation() -> None:
    entered = asyncio.Event()

    class Slow(Notes):
        async def compact(self, turn: TurnContext, focus: str | None) -> Sequence[MessageDraft]:
            entered.set()
            await asyncio.Event().wait()
            return ()

    async with lash.open("memory:", scripted_agent([shown], plugins=[Slow()])) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        running = asyncio.ensure_future(session.compact(turn_id="c1"))
        async with asyncio.timeout(WITHIN_S):
            await entered.wait()
            assert await session.cancel("c1") == "requested"
            with pytest.raises(lash.LashError) as caught:
                await running
        assert caught.value.code == "compaction_failed"
        assert texts(await session.history()) == ["one", "one"]
        assert len(await session.frames()) == 1


# ---- forks


async def test_both_branches_go_on_from_a_message(url: str) -> None:
    agent = scripted_agent([shown])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        for text in ("one", "two", "three"):
            await session.turn(text)
        before = await session.history()
        fork = await session.fork(before[3].id, id="f")
        assert (await fork.turn("other")).text == "one | one | two | one | one | two | other"
        assert (await session.turn("four")).text.endswith("three | four")
        assert (await fork.history())[:4] == before[:4]
        assert texts(await fork.history())[4:] == ["other", "one | one | two | one | one | two | other"]
        assert (await session.history())[:6] == before
        assert len(await session.history()) == 8
        own = await runtime.database.runtime_persistence("f").load_session(ActivePath())
        assert own is not None
        assert len(own.graph.nodes) == 2  # nothing was copied


async def test_forks_of_forks_survive_a_restart(durable_url: str) -> None:
    agent = scripted_agent([shown])
    async with lash.open(durable_url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        first = await session.fork(id="f1")
        await first.turn("two")
        second = await first.fork(id="f2")
        across = await first.fork((await first.history())[0].id, id="f3")
        await second.turn("three")
        await across.turn("four")
    async with lash.open(durable_url, agent) as runtime:
        second = await runtime.session("f2")
        assert texts(await second.history())[:5] == ["one", "one", "two", "one | one | two", "three"]
        assert (await second.turn("five")).text.endswith(
            "three | one | one | two | one | one | two | three | five"
        )
        assert texts(await (await runtime.session("f3")).history()) == ["one", "four", "one | four"]


async def test_fork_of_a_fork_that_has_said_nothing_yet() -> None:
    async with lash.open("memory:", scripted_agent([shown], plugins=[Notes()])) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        await session.compact()
        await session.turn("two")
        middle = await session.fork(id="m")
        last = await middle.fork(id="l")
        assert (
            await last.turn("three")
        ).text == "notes of 2 on None | two | notes of 2 on None | two | three"
        assert len(await last.history()) == 7
        assert await middle.history() == await session.history()


async def test_chain_of_forks_has_an_end() -> None:
    async with lash.open("memory:", scripted_agent([shown])) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        for _ in range(64):
            session = await session.fork()
        assert texts(await session.history()) == ["one", "one"]
        with pytest.raises(lash.LashError) as caught:
            await session.fork()
    assert caught.value.code == "fork_too_deep"


async def test_fork_of_nothing_is_an_empty_session() -> None:
    async with lash.open("memory:", scripted_agent([shown])) as runtime:
        session = await runtime.session("s")
        fork = await session.fork(id="f")
        assert await fork.history() == ()
        assert (await fork.turn("one")).text == "one"


async def test_fork_between_a_call_and_its_result_is_refused() -> None:
    @lash.tool(effect="read_only")
    async def look() -> str:
        """Look."""
        return "seen"

    agent = scripted_agent([reply(call("look")), "done"], tools=[look])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        await session.turn("go")
        history = await session.history()
        with pytest.raises(lash.LashError) as caught:
            await session.fork(history[1].id)
        assert caught.value.code == "fork_point_unsafe"
        with pytest.raises(lash.LashError) as caught:
            await session.fork("nothing")
        assert caught.value.code == "fork_point_unknown"


async def test_same_fork_again_is_the_same_session_and_another_one_is_refused() -> None:
    async with lash.open("memory:", scripted_agent([shown])) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        fork = await session.fork(id="f")
        await fork.turn("two")
        again = await session.fork(id="f")
        assert len(await again.history()) == 4
        with pytest.raises(lash.LashError) as caught:
            await session.fork((await session.history())[0].id, id="f")
        assert caught.value.code == "idempotency_conflict"


async def test_session_that_others_share_is_not_deleted_under_them(url: str) -> None:
    async with lash.open(url, scripted_agent([shown])) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        await session.fork(id="f")
        await runtime.session("f", labels=["mine"])  # does not make it forget where it comes from
        with pytest.raises(lash.LashError) as caught:
            await runtime.delete_session("s")
        assert caught.value.code == "session_forked"
        assert caught.value.facts["forks"] == ["f"]
        await runtime.delete_session("f")
        await runtime.delete_session("s")


async def test_fork_after_a_compaction_goes_on_in_that_frame() -> None:
    async with lash.open("memory:", scripted_agent([shown], plugins=[Notes()])) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        await session.compact()
        fork = await session.fork(id="f")
        assert (await fork.turn("two")).text == "notes of 2 on None | two"
        assert len(await fork.history()) == 5
        assert [frame.reason for frame in await fork.frames()] == ["initial", "compaction"]
