"""A runtime that is closed in the middle of a turn, and the next one that finishes it."""

from __future__ import annotations

import asyncio

import pytest

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import EffectState, ModelRequest, TokenUsage, TurnStarted

COST = TokenUsage(input_tokens=7)


class Cut:
    """A tool that hangs in its first life and answers in its second."""

    def __init__(self, effect: str) -> None:
        self.entered = asyncio.Event()
        self.alive_again = False
        self.runs = 0
        self.effect = effect

    def tool(self) -> lash.Tool:  # type: ignore[type-arg]
        @lash.tool(effect=self.effect)  # type: ignore[call-overload]
        async def work() -> str:
            """Work."""
            self.runs += 1
            if not self.alive_again:
                self.entered.set()
                await asyncio.Event().wait()
            return "worked"

        return work


def agent_of(cut: Cut) -> tuple[lash.Agent, ScriptedModel]:
    def conclude(request: ModelRequest) -> str:
        return f"told: {request.messages[-1].parts[0].content}"  # type: ignore[union-attr]

    model = ScriptedModel([reply(call("work"), usage=COST), conclude], by_request=True)
    return lash.Agent("a", model=model, tools=[cut.tool()]), model


async def cut_in_the_middle(url: str, agent: lash.Agent, cut: Cut) -> None:
    """Begin a turn and close the runtime while its tool runs."""
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        await cut.entered.wait()
    with pytest.raises(lash.LashError) as caught:
        await running
    assert caught.value.code == "runtime_closed"
    assert caught.value.retryable
    cut.alive_again = True


@pytest.mark.parametrize("effect", ["read_only", "idempotent"])
async def test_repeatable_work_is_done_again_and_the_model_is_not_asked_again(
    sqlite_url: str, effect: str
) -> None:
    cut = Cut(effect)
    agent, model = agent_of(cut)
    await cut_in_the_middle(sqlite_url, agent, cut)
    async with lash.open(sqlite_url, agent) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go", turn_id="t1")
        assert result.text == "told: worked"
        assert cut.runs == 2
        assert len(model.requests) == 2
        assert len(result.replayed_effects) == 1
        assert next(entry.usage.input_tokens for entry in await session.usage()) >= COST.input_tokens


async def test_at_most_once_work_is_not_done_again_and_the_model_is_told(sqlite_url: str) -> None:
    cut = Cut("at_most_once")
    agent, _ = agent_of(cut)
    await cut_in_the_middle(sqlite_url, agent, cut)
    async with lash.open(sqlite_url, agent) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go", turn_id="t1")
        assert "Nobody knows" in result.text
        assert cut.runs == 1
        (unknown,), _ = await runtime.effects.list(state=EffectState.UNKNOWN)
        assert unknown.identity.label == "work"
        settled = await runtime.effects.settle(
            unknown.identity.replay_key, result="it had worked", settled_by="ada"
        )
        assert (settled.state, settled.settled_by) == (EffectState.DONE, "ada")


async def test_operator_who_settles_before_the_recovery_answers_for_the_tool(sqlite_url: str) -> None:
    cut = Cut("at_most_once")
    agent, _ = agent_of(cut)
    await cut_in_the_middle(sqlite_url, agent, cut)
    async with lash.open(sqlite_url, work=False) as operator:
        lines, _ = await operator.effects.list(session_id="s")
        (line,) = [one for one in lines if one.identity.label == "work"]
        await operator.effects.settle(line.identity.replay_key, result="by hand", settled_by="ada")
    async with lash.open(sqlite_url, agent) as runtime:
        session = await runtime.session("s")
        assert (await session.turn("go", turn_id="t1")).text == "told: by hand"
        assert cut.runs == 1


async def test_recovery_starts_by_itself_when_the_database_is_opened(sqlite_url: str) -> None:
    cut = Cut("read_only")
    agent, _ = agent_of(cut)
    await cut_in_the_middle(sqlite_url, agent, cut)
    async with lash.open(sqlite_url, agent) as runtime:
        session = await runtime.session("s")
        watcher = runtime.database.subscribe(["session:s"])
        while (result := await session.result("t1")) is None:
            await watcher.wait(timeout_ms=1000)
        assert result.text == "told: worked"
        watcher.close()


async def test_restarts_are_told_to_whoever_watches(sqlite_url: str) -> None:
    cut = Cut("read_only")
    agent, _ = agent_of(cut)
    await cut_in_the_middle(sqlite_url, agent, cut)
    runtime = lash.open(sqlite_url, agent)
    watcher = runtime.watch_session("s")
    async with runtime:
        event = await anext(watcher)
        assert isinstance(event.activity, TurnStarted)
        assert (event.turn_id, event.activity.restarts) == ("t1", 1)
        watcher.close()


async def test_work_of_another_agent_is_left_alone(sqlite_url: str) -> None:
    cut = Cut("read_only")
    agent, _ = agent_of(cut)
    await cut_in_the_middle(sqlite_url, agent, cut)
    other = lash.Agent("other", model=ScriptedModel(["mine"]))
    async with lash.open(sqlite_url, other) as runtime:
        mine = await runtime.session("mine", other)
        assert (await mine.turn("hi")).text == "mine"
        assert await runtime.database.turn_ingress.list_unserved(("other",)) == {"a": 1}
        with pytest.raises(lash.LashError) as caught:
            await runtime.session("s")
        assert caught.value.code == "agent_mismatch"


async def test_tool_that_was_replaced_is_found_by_its_field(sqlite_url: str) -> None:
    cut = Cut("read_only")
    agent, model = agent_of(cut)
    await cut_in_the_middle(sqlite_url, agent, cut)
    changed = lash.Agent(
        "a", model=model, tools=[cut.tool()], instructions="These instructions were not there before."
    )
    async with lash.open(sqlite_url, changed) as runtime:
        session = await runtime.session("s")
        with pytest.raises(lash.LashError) as caught:
            await session.turn("go", turn_id="t1")
        assert caught.value.code == "effect_replay_hash_conflict"
        assert caught.value.fields == ["command.request.instructions"]
    async with lash.open(sqlite_url, agent) as runtime:
        session = await runtime.session("s")
        assert (await session.turn("go", turn_id="t1")).text == "told: worked"
