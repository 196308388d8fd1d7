"""Plugins: what each hook may do, what happens when it raises, and that nobody is asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runtime.conftest import scripted_agent

import lash
from lash.plugins import (
    AbortTurn,
    AddMessages,
    DenyCall,
    EnqueueTurn,
    HookedCall,
    HookedResult,
    PromptContext,
    PromptContribution,
    ReplaceArgs,
    ReplaceResult,
    RequireApproval,
    SessionRestored,
    ShortCircuit,
    TurnContext,
    TurnPersisted,
)
from lash.testing import call, reply
from lash.turn import MessageDraft
from lash.values import (
    AssistantTextDelta,
    Message,
    ModelRequest,
    ModelResponse,
    PluginNotice,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallCompleted,
    TurnState,
)

WITHIN_S = 60
COST = TokenUsage(input_tokens=11, output_tokens=3)


@lash.tool(effect="read_only")
async def look(at: str) -> str:
    """Look."""
    return f"saw {at}"


def said(request: ModelRequest) -> str:
    """Return all that the model was told, for a script that repeats it."""
    texts = []
    for message in request.messages:
        texts += [str(getattr(part, "content", None) or getattr(part, "text", "")) for part in message.parts]
    return " | ".join(filter(None, texts))


def agent_with(*plugins: lash.Plugin, steps: Any = None, **options: Any) -> lash.Agent:
    return scripted_agent(
        steps or [reply(call("look", at="x")), said], tools=[look], plugins=list(plugins), **options
    )


async def turn(agent: lash.Agent, url: str = "memory:", **options: Any) -> lash.TurnResult:
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            return await session.turn("go", turn_id="t1", **options)


# ---- what hooks may do


async def test_messages_before_a_turn_are_stored_with_it() -> None:
    class Greeter(lash.Plugin):
        async def before_turn(self, turn: TurnContext) -> AddMessages:
            return AddMessages.text(f"be kind in {turn.session_id}")

    agent = agent_with(Greeter(), steps=[said])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        assert result.text == "go | be kind in s"
        history = await session.history()
    assert [message.role for message in history] == ["user", "system", "assistant"]
    assert history[1].origin is not None
    assert (history[1].origin.kind, history[1].origin.source_id) == ("plugin", "Greeter")


@pytest.mark.parametrize("hook", ["before_turn", "before_tool", "after_tool", "checkpoint"])
async def test_plugin_may_end_a_turn(hook: str) -> None:
    async def abort(self: Any, *args: Any) -> AbortTurn:
        return AbortTurn("no_more", "that is enough")

    plugin = type("Guard", (lash.Plugin,), {hook: abort})()
    result = await turn(agent_with(plugin))
    assert result.stop == "plugin_abort"
    (issue,) = result.issues
    assert (issue.code, issue.message, issue.facts["plugin"]) == ("no_more", "that is enough", "Guard")


async def test_arguments_are_replaced_in_order_and_the_strictest_directive_holds() -> None:
    class First(lash.Plugin):
        async def before_tool(self, turn: TurnContext, call: HookedCall) -> ReplaceArgs:
            return ReplaceArgs({"at": call.args["at"] + "1"})

    class Second(lash.Plugin):
        async def before_tool(self, turn: TurnContext, call: HookedCall) -> ReplaceArgs:
            return ReplaceArgs({"at": call.args["at"] + "2"})

    class Denies(lash.Plugin):
        async def before_tool(self, turn: TurnContext, call: HookedCall) -> DenyCall:
            return DenyCall(f"not {call.args['at']}")

    class Answers(lash.Plugin):
        async def before_tool(self, turn: TurnContext, call: HookedCall) -> ShortCircuit:
            return ShortCircuit("cached")

    assert (await turn(agent_with(First(), Second()))).text.endswith("saw x12")
    assert (await turn(agent_with(Answers()))).text.endswith("cached")
    denied = await turn(agent_with(First(), Answers(), Denies()))
    assert denied.text.endswith("Error (tool_denied): look was not run: not x1")


async def test_replaced_arguments_are_checked_like_the_models() -> None:
    class Wrong(lash.Plugin):
        async def before_tool(self, turn: TurnContext, call: HookedCall) -> ReplaceArgs:
            return ReplaceArgs({"at": 5})

    assert "invalid_tool_args" in (await turn(agent_with(Wrong()))).text


async def test_plugin_may_want_a_person_to_agree() -> None:
    class Careful(lash.Plugin):
        async def before_tool(self, turn: TurnContext, call: HookedCall) -> RequireApproval:
            return RequireApproval("looks are private")

    async with lash.open("memory:", agent_with(Careful())) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        changed = runtime.database.subscribe(["session:s"])
        async with asyncio.timeout(WITHIN_S):
            while not (waiting := await runtime.approvals.list()):
                await changed.wait(timeout_ms=50)
            assert waiting[0].question.reason == "looks are private"
            await runtime.approvals.approve(waiting[0].id)
            assert (await running).text.endswith("saw x")
        changed.close()


async def test_results_are_replaced_and_projected_and_remarks_come_at_the_next_checkpoint() -> None:
    class Redacts(lash.Plugin):
        async def after_tool(
            self, turn: TurnContext, call: HookedCall, result: HookedResult
        ) -> ReplaceResult:
            return ReplaceResult(str(result.content).replace("x", "?"))

    class Remarks(lash.Plugin):
        async def after_tool(self, turn: TurnContext, call: HookedCall, result: HookedResult) -> AddMessages:
            return AddMessages.text(f"remark on {result.content}", role="user")

        def project_result(self, call: HookedCall, result: HookedResult) -> Any:
            return f"<{result.content}>"

    async with lash.open("memory:", agent_with(Redacts(), Remarks())) as runtime:
        running = (await runtime.session("s")).turn("go")
        shown = [
            event.activity.call.result
            async for event in running.events()
            if isinstance(event.activity, ToolCallCompleted)
        ]
        result = await running
    assert shown == ["<saw ?>"]
    assert result.text == "go | <saw ?> | remark on saw ?"
    assert result.tool_calls[0].result == "<saw ?>"


async def test_checkpoint_may_add_what_is_shown_and_not_stored() -> None:
    class Hints(lash.Plugin):
        async def checkpoint(self, turn: TurnContext, kind: Any) -> AddMessages | None:
            if kind != "after_work":
                return None
            return AddMessages(transient=(MessageDraft.text("system", "hint"),))

    agent = agent_with(Hints())
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        assert (await session.turn("go")).text == "go | saw x | hint"
        assert "hint" not in [message.text for message in await session.history()]


async def test_turn_may_be_followed_by_another_one(url: str) -> None:
    class Follows(lash.Plugin):
        async def after_turn(self, turn: TurnContext, summary: Any) -> EnqueueTurn | None:
            return EnqueueTurn("check it") if "after" not in summary.turn_id else None

    agent = agent_with(Follows(), steps=[lambda request: "two" if "check it" in said(request) else "one"])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        assert (await session.turn("go", turn_id="t1")).text == "one"
        changed = runtime.database.subscribe(["session:s"])
        async with asyncio.timeout(WITHIN_S):
            while (
                await runtime.database.turn_ingress.find_turn("s", "t1:after:Follows")
            ).state is not TurnState.COMMITTED:
                await changed.wait(timeout_ms=50)
        changed.close()
        assert [message.text for message in await session.history()] == ["go", "one", "check it", "two"]


async def test_views_change_what_the_model_sees_and_nothing_else() -> None:
    class Forgets(lash.Plugin):
        async def transform_context(self, prompt: PromptContext) -> Sequence[Message]:
            return [message for message in prompt.history if "secret" not in message.text]

    agent = agent_with(Forgets(), steps=[said])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        await session.turn("a secret")
        second = await session.turn("what?")
        assert "secret" not in second.text
        assert "a secret" in [message.text for message in await session.history()]


async def test_answers_are_rewritten_before_anybody_sees_them() -> None:
    class Polite(lash.Plugin):
        async def on_model_response(self, turn: TurnContext, response: ModelResponse) -> ModelResponse:
            return response.replace(parts=(TextPart(text="please"),))

    agent = agent_with(Polite(), steps=["damn"])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        shown = [
            event.activity.text
            async for event in session.turn("go").events()
            if isinstance(event.activity, AssistantTextDelta)
        ]
        assert shown == ["please"]
        assert [message.text for message in await session.history()] == ["go", "please"]


async def test_stream_is_filtered() -> None:
    class Quiet(lash.Plugin):
        def on_stream(self, event: Any) -> Any:
            return TextDelta("*" * len(event.text), event.block) if isinstance(event, TextDelta) else event

    agent = agent_with(Quiet(), steps=["damn"])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        shown = [
            event.activity.text
            async for event in session.turn("go").events()
            if isinstance(event.activity, AssistantTextDelta)
        ]
    assert "".join(shown) == "****"


async def test_plugins_bring_tools_and_instructions_in_the_order_of_slots() -> None:
    class Brings(lash.Plugin):
        @lash.tool(effect="read_only")
        async def extra(self) -> str:
            """Extra."""
            return f"by {self.id}"

        def tools(self) -> Sequence[Any]:
            return [self.extra]

        def instructions(self) -> Sequence[PromptContribution]:
            return (
                PromptContribution(text="last", slot="environment"),
                PromptContribution(text="low", priority=-1),
                PromptContribution(text="high", priority=1),
            )

    seen: list[ModelRequest] = []

    def asks(request: ModelRequest) -> Any:
        seen.append(request)
        return reply(call("extra"))

    result = await turn(agent_with(Brings(), steps=[asks, said], instructions="first"))
    assert result.text == "go | by Brings"
    assert seen[0].instructions == "first\n\nhigh\n\nlow\n\nlast"
    assert [tool.name for tool in seen[0].tools] == ["look", "extra"]


async def test_hooks_may_ask_the_model_and_the_ledger_tells_for_whom() -> None:
    class Asks(lash.Plugin):
        async def before_turn(self, turn: TurnContext) -> AddMessages:
            question = Message(id="q", role="user", parts=(TextPart(text="who?"),))
            answer = await turn.complete([question], usage_source="inquiry")
            turn.notice({"asked": True})
            return AddMessages.text("".join(part.text for part in answer.parts if isinstance(part, TextPart)))

    def answers(request: ModelRequest) -> Any:
        asked = said(request)
        return reply("it is me" if asked == "who?" else asked, usage=COST)

    agent = agent_with(Asks(), steps=[answers])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        running = session.turn("go")
        notices = [
            event.activity async for event in running.events() if isinstance(event.activity, PluginNotice)
        ]
        result = await running
        usage = {entry.source: entry.usage for entry in await session.usage()}
    assert result.text == "go | it is me"
    assert notices == [PluginNotice(plugin_id="Asks", payload={"asked": True})]
    assert usage == {"turn": COST, "inquiry": COST}


# ---- options and state


class Tally(msgspec.Struct):
    calls: int = 0


class Settings(msgspec.Struct):
    word: str = "none"


class Counts(lash.Plugin):
    state_type = Tally
    options_type = Settings

    async def before_tool(self, turn: TurnContext, call: HookedCall) -> None:
        self.state.calls += 1

    def instructions(self) -> str:
        return f"{self.options.word}:{self.state.calls}"


async def test_state_and_options_are_a_sessions_own_and_survive_a_restart(durable_url: str) -> None:
    seen: list[str] = []

    def asks(request: ModelRequest) -> Any:
        seen.append(request.instructions)
        return reply(call("look", at="x"))

    agent = agent_with(Counts(), steps=[asks, "done"])
    async with lash.open(durable_url, agent) as runtime:
        session = await runtime.session("s", plugin_options={"Counts": {"word": "w"}})
        await session.turn("one")
        await session.turn("two")
        await (await runtime.session("other")).turn("one")
    async with lash.open(durable_url, agent) as runtime:
        await (await runtime.session("s")).turn("three")
    assert seen == ["w:0", "w:1", "none:0", "w:2"]


async def test_options_are_checked_when_they_are_given() -> None:
    async with lash.open("memory:", agent_with(Counts())) as runtime:
        for options, code in (
            ({"Counts": {"word": 5}}, "plugin_options_invalid"),
            ({"Nobody": {}}, "plugin_unknown"),
        ):
            with pytest.raises(lash.LashError) as caught:
                await runtime.session("s", plugin_options=options)
            assert caught.value.code == code


async def test_plugin_is_given_what_the_caller_meant_for_this_turn() -> None:
    class Hears(lash.Plugin):
        async def before_turn(self, turn: TurnContext) -> AddMessages:
            return AddMessages.text(f"told {turn.plugin_input}")

    result = await turn(agent_with(Hears(), steps=[said]), plugins={"Hears": 7})
    assert result.text == "go | told 7"


# ---- life, order, failure


async def test_events_are_heard_and_what_listeners_raise_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Hears(lash.Plugin):
        heard: list[Any] = []

        async def on_event(self, event: Any) -> None:
            self.heard.append(event)
            raise RuntimeError("deaf")

    agent = agent_with(Hears(), steps=["fine"])
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        first = await session.turn("go", turn_id="t1")
        second = await session.turn("go", turn_id="t2")
    assert (first.stop, second.stop) == (None, None)
    assert Hears.heard == [
        TurnPersisted(session_id="s", turn_id="t1", head_revision=1, stop=None),
        SessionRestored(session_id="s", turn_id="t2", restarts=0),
        TurnPersisted(session_id="s", turn_id="t2", head_revision=2, stop=None),
    ]
    assert "Hears failed in on_event" in caplog.text


@pytest.mark.parametrize(
    "hook",
    [
        "before_turn",
        "transform_context",
        "on_model_response",
        "before_tool",
        "after_tool",
        "project_result",
        "checkpoint",
        "wants_compaction",
    ],
)
async def test_hook_that_raises_ends_the_turn_and_is_named(hook: str) -> None:
    async def breaks(self: Any, *args: Any) -> None:
        raise RuntimeError("broken")

    def breaks_at_once(self: Any, *args: Any) -> None:
        raise RuntimeError("broken")

    plugin = type("Broken", (lash.Plugin,), {hook: breaks_at_once if hook == "project_result" else breaks})()
    async with lash.open("memory:", agent_with(plugin)) as runtime:
        session = await runtime.session("s")
        if hook == "wants_compaction":  # is asked when there is something to compact
            await session.turn("before")
        result = await session.turn("go")
        assert result.stop == "plugin_abort"
        (issue,) = result.issues
        assert (issue.code, issue.facts) == ("plugin_failed", {"plugin": "Broken", "hook": hook})
        assert "broken" in issue.message
        again = await session.history()
    assert again[-1].role != "assistant" or not again[-1].tool_calls


@pytest.mark.parametrize("hook", ["tools", "instructions"])
async def test_plugin_that_cannot_say_what_it_brings_ends_the_turn(hook: str) -> None:
    def breaks(self: Any) -> None:
        raise RuntimeError("broken")

    result = await turn(agent_with(type("Broken", (lash.Plugin,), {hook: breaks})()))
    assert result.stop == "plugin_abort"
    assert result.issues[0].code == "plugin_failed"


async def test_what_fails_after_a_turn_is_an_issue_of_it() -> None:
    class Broken(lash.Plugin):
        async def after_turn(self, turn: TurnContext, summary: Any) -> None:
            raise RuntimeError("too late")

    result = await turn(agent_with(Broken(), steps=["fine"]))
    assert (result.text, result.stop) == ("fine", None)
    assert [issue.code for issue in result.issues] == ["plugin_failed"]


async def test_directive_of_another_phase_is_refused() -> None:
    class Confused(lash.Plugin):
        async def before_turn(self, turn: TurnContext) -> Any:
            return ReplaceArgs({})

    result = await turn(agent_with(Confused()))
    assert result.stop == "plugin_abort"
    assert "AddMessages, AbortTurn" in result.issues[0].message


async def test_failure_of_the_world_gives_the_turn_back_and_it_goes_on() -> None:
    class Flaky(lash.Plugin):
        tries = 0

        async def before_turn(self, turn: TurnContext) -> None:
            Flaky.tries += 1
            if Flaky.tries == 1:
                raise lash.LashError("service_busy", "come back", retryable=True)

    async with lash.open("memory:", agent_with(Flaky(), steps=["fine"])) as runtime:
        session = await runtime.session("s")
        with pytest.raises(lash.LashError) as caught:
            await session.turn("go", turn_id="t1")
        assert caught.value.code == "service_busy"
        async with asyncio.timeout(WITHIN_S):
            assert (await session.turn("go", turn_id="t1")).text == "fine"


def test_agent_refuses_plugins_that_cannot_work_together() -> None:
    class One(lash.Plugin):
        def project_result(self, call: HookedCall, result: HookedResult) -> Any:
            return None

    class Two(One):
        pass

    with pytest.raises(lash.LashError) as caught:
        lash.Agent("a", model="scripted:x", plugins=[One(), Two(), One(), object()])
    assert len(caught.value.problems) == 3


async def test_plugins_are_opened_and_closed_with_the_runtime() -> None:
    class Lives(lash.Plugin):
        life: list[str] = []

        async def start(self) -> None:
            self.life.append("start")

        async def close(self) -> None:
            self.life.append("close")

    shared = Lives()
    one, two = agent_with(shared), scripted_agent(["x"], name="two", plugins=[shared])
    async with lash.open("memory:", one, two):
        assert Lives.life == ["start"]
    assert Lives.life == ["start", "close"]


# ---- replay


async def test_turn_that_is_driven_again_asks_no_plugin_twice(durable_url: str) -> None:
    entered = asyncio.Event()
    alive = False

    @lash.tool(effect="read_only")
    async def hang() -> str:
        """Hang."""
        if not alive:
            entered.set()
            await asyncio.Event().wait()
        return "went on"

    class Records(lash.Plugin):
        state_type = Tally
        asked: list[str] = []

        async def before_turn(self, turn: TurnContext) -> AddMessages:
            self.asked.append("before_turn")
            self.state.calls += 1
            return AddMessages.text(f"number {len(self.asked)}")

        async def on_model_response(self, turn: TurnContext, response: ModelResponse) -> None:
            self.asked.append("on_model_response")
            self.state.calls += 1

        async def before_tool(self, turn: TurnContext, call: HookedCall) -> None:
            self.asked.append("before_tool")
            self.state.calls += 1

        async def after_turn(self, turn: TurnContext, summary: Any) -> None:
            self.asked.append(f"after_turn {self.state.calls}")

    def agent() -> lash.Agent:
        return scripted_agent([reply(call("hang")), said], tools=[hang], plugins=[Records()])

    async with lash.open(durable_url, agent()) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        async with asyncio.timeout(WITHIN_S):
            await entered.wait()
    with pytest.raises(lash.LashError):
        await running
    alive = True
    async with lash.open(durable_url, agent()) as runtime:
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            result = await session.turn("go", turn_id="t1")
    assert result.text == "go | number 1 | went on"
    assert Records.asked == [
        "before_turn",
        "on_model_response",
        "before_tool",
        "on_model_response",
        "after_turn 4",
    ]


async def test_answer_that_a_hook_was_given_is_paid_once_though_the_hook_was_cut(durable_url: str) -> None:
    entered = asyncio.Event()
    alive = False
    asked: list[str] = []

    class Thinks(lash.Plugin):
        async def before_turn(self, turn: TurnContext) -> AddMessages:
            question = Message(id="q", role="user", parts=(TextPart(text="who?"),))
            answer = await turn.complete([question])
            if not alive:
                entered.set()
                await asyncio.Event().wait()
            return AddMessages.text("".join(part.text for part in answer.parts if isinstance(part, TextPart)))

    def answers(request: ModelRequest) -> Any:
        asked.append(said(request))
        return reply("me" if asked[-1] == "who?" else asked[-1], usage=COST)

    def agent() -> lash.Agent:
        return agent_with(Thinks(), steps=[answers])

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
        usage = {entry.source: entry.usage for entry in await session.usage()}
    assert result.text == "go | me"
    assert asked == ["who?", "go | me"]
    assert usage == {"turn": COST, "Thinks": COST}


async def test_call_that_has_run_keeps_its_result_when_its_tool_is_gone(durable_url: str) -> None:
    entered = asyncio.Event()
    alive = False

    class Comes(lash.Plugin):
        there = True

        def tools(self) -> Sequence[Any]:
            @lash.tool(effect="read_only")
            async def fleeting() -> str:
                """Come and go."""
                return "was here"

            return [fleeting] if self.there else []

    @lash.tool(effect="read_only")
    async def hang() -> str:
        """Hang."""
        if not alive:
            entered.set()
            await asyncio.Event().wait()
        return "went on"

    steps = [reply(call("fleeting")), reply(call("hang")), said]
    async with lash.open(durable_url, scripted_agent(steps, tools=[hang], plugins=[Comes()])) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        async with asyncio.timeout(WITHIN_S):
            await entered.wait()
    with pytest.raises(lash.LashError):
        await running
    alive, Comes.there = True, False
    async with lash.open(durable_url, scripted_agent(steps, tools=[hang], plugins=[Comes()])) as runtime:
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            result = await session.turn("go", turn_id="t1")
    assert result.text == "go | was here | went on"


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(["one", "two", "three"]))
def test_order_of_plugins_decides_what_is_chained_and_nothing_else(order: list[str]) -> None:
    def named(name: str) -> lash.Plugin:
        class Appends(lash.Plugin):
            id = name

            async def before_tool(self, turn: TurnContext, call: HookedCall) -> ReplaceArgs:
                return ReplaceArgs({"at": f"{call.args['at']} {name}"})

            async def after_tool(self, turn: TurnContext, call: HookedCall, result: HookedResult) -> None:
                return None

        return Appends()

    result = asyncio.run(turn(agent_with(*(named(name) for name in order))))
    assert result.text == f"go | saw x {' '.join(order)}"
    assert result.model_calls == 2
    assert result.issues == ()
