"""Input that arrives while a turn runs: queued, injected, refused, cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lash
from lash.backends.memory import MemoryDatabase
from lash.testing import ScriptedModel, call, reply
from lash.values import InputAccepted, ModelRequest

from .conftest import scripted_agent


class Gate:
    """A tool that tells when it was entered and waits until it may leave."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.leave = asyncio.Event()

    def tool(self) -> lash.Tool:  # type: ignore[type-arg]
        @lash.tool(effect="read_only")
        async def gate() -> str:
            """Wait."""
            self.entered.set()
            await self.leave.wait()
            return "open"

        return gate


async def test_second_turn_waits_for_the_first_and_its_model_is_not_called_before(url: str) -> None:
    gate = Gate()
    asked: list[str] = []

    def step(request: ModelRequest) -> object:
        asked.append(request.messages[-1].text or "result")
        return call("gate") if request.messages[-1].text == "first" else "done"

    agent = lash.Agent("a", model=ScriptedModel(step), tools=[gate.tool()])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        first = asyncio.ensure_future(session.turn("first"))
        await gate.entered.wait()
        second = asyncio.ensure_future(session.turn("second"))
        while len(await session.queue()) < 2:
            await asyncio.sleep(0)
        assert asked == ["first"]
        gate.leave.set()
        assert ((await first).head_revision, (await second).head_revision) == (1, 2)
        assert asked == ["first", "result", "second"]


async def test_turns_of_one_session_keep_their_order(url: str) -> None:
    async with lash.open(url, lash.Agent("a", model=ScriptedModel(lambda r: r.messages[-1].text))) as runtime:
        session = await runtime.session("s")
        results = await asyncio.gather(*(session.turn(f"turn {n}") for n in range(10)))
        assert [result.text for result in results] == [f"turn {n}" for n in range(10)]
        assert [result.head_revision for result in results] == list(range(1, 11))


async def test_injected_input_enters_the_running_turn_and_is_kept(url: str) -> None:
    gate = Gate()
    model = ScriptedModel([call("gate"), "I have heard both."])
    async with lash.open(url, lash.Agent("a", model=model, tools=[gate.tool()])) as runtime:
        session = await runtime.session("s")
        watcher = runtime.watch_session("s")
        first = asyncio.ensure_future(session.turn("first"))
        await gate.entered.wait()
        second = asyncio.ensure_future(session.turn("and this", on_busy="inject"))
        while len(await session.queue()) < 2:
            await asyncio.sleep(0)
        gate.leave.set()
        results = await first, await second
        assert [result.text for result in results] == ["I have heard both."] * 2
        assert results[0].head_revision == results[1].head_revision == 1
        texts = [message.text for message in await session.history() if message.role == "user"]
        assert texts == ["first", "and this"]
        watcher.close()
        accepted = [e.activity async for e in watcher if isinstance(e.activity, InputAccepted)]
        assert [one.texts for one in accepted] == [("and this",)]


async def test_injected_input_becomes_a_turn_when_none_runs(url: str) -> None:
    async with lash.open(url, scripted_agent(["hello"])) as runtime:
        result = await (await runtime.session("s")).turn("hi", on_busy="inject")
        assert (result.text, result.head_revision) == ("hello", 1)


async def test_refused_while_busy(url: str) -> None:
    gate = Gate()
    agent = scripted_agent([call("gate"), "done"], tools=[gate.tool()])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        first = asyncio.ensure_future(session.turn("first"))
        await gate.entered.wait()
        with pytest.raises(lash.LashError) as caught:
            await session.turn("second", on_busy="refuse")
        assert caught.value.code == "session_busy"
        gate.leave.set()
        await first
        assert (await session.turn("third", on_busy="refuse")).head_revision == 2


async def test_send_is_driven_without_anybody_waiting(url: str) -> None:
    async with lash.open(url, scripted_agent(["hello"])) as runtime:
        session = await runtime.session("s")
        accepted = await session.send("hi", idempotency_key="k1")
        while (result := await session.result(accepted.turn_id)) is None:
            await asyncio.sleep(0)
        assert result.text == "hello"
        again = await session.send("hi", idempotency_key="k1")
        assert (again.turn_id, again.batch_id, again.known) == (accepted.turn_id, accepted.batch_id, True)


async def test_cancelled_while_a_tool_runs_keeps_what_was_done(url: str) -> None:
    gate = Gate()
    agent = scripted_agent([reply("I start.", call("gate")), "never said"], tools=[gate.tool()])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        turn = session.turn("go")
        running = asyncio.ensure_future(turn)
        await gate.entered.wait()
        assert await turn.cancel() == "requested"
        result = await running
        assert result.stop == "cancelled"
        roles = [message.role for message in await session.history()]
        assert roles == ["user", "assistant", "tool"]
        assert await turn.cancel() == "too_late"
        assert await session.queue() == []


async def test_cancelled_while_the_model_is_asked(url: str) -> None:
    asked = asyncio.Event()

    async def step(_: ModelRequest) -> str:
        asked.set()
        await asyncio.Event().wait()
        return "never"

    async with lash.open(url, lash.Agent("a", model=ScriptedModel(step))) as runtime:
        session = await runtime.session("s")
        turn = session.turn("go")
        running = asyncio.ensure_future(turn)
        await asked.wait()
        await turn.cancel()
        result = await running
        assert (result.stop, result.model_calls) == ("cancelled", 0)


async def test_cancelled_before_it_ran(url: str) -> None:
    gate = Gate()
    agent = scripted_agent([call("gate"), "done"], tools=[gate.tool()])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        first = asyncio.ensure_future(session.turn("first"))
        await gate.entered.wait()
        second = session.turn("second")
        waiting = asyncio.ensure_future(second)
        while len(await session.queue()) < 2:
            await asyncio.sleep(0)
        assert await second.cancel() == "cancelled_before_execution"
        result = await waiting
        assert (result.stop, result.text) == ("cancelled", "")
        gate.leave.set()
        assert (await first).stop is None
        assert [m.text for m in await session.history() if m.role == "user"] == ["first"]


async def test_a_caller_that_goes_away_does_not_take_the_turn_with_it(url: str) -> None:
    gate = Gate()
    agent = scripted_agent([call("gate"), "done"], tools=[gate.tool()])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        turn = session.turn("go")
        caller = asyncio.ensure_future(turn)
        await gate.entered.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        gate.leave.set()
        assert (await turn).text == "done"


async def test_deleted_session_is_gone_for_ever(url: str) -> None:
    async with lash.open(url, scripted_agent(["hello"])) as runtime:
        session = await runtime.session("s")
        await session.turn("hi")
        deletion = await runtime.delete_session("s")
        assert deletion.node_count == 2
        assert await runtime.sessions() == []
        with pytest.raises(lash.LashError) as caught:
            await runtime.session("s")
        assert caught.value.code == "session_deleted"
        with pytest.raises(lash.LashError) as caught:
            await session.turn("again")
        assert caught.value.code == "session_deleted"


class Cut:
    """A port whose writes are lost from a moment on, as those of a process that is about to be killed."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.is_cut = False
        self.claimed, self.lost = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:  # everything else is the port's own
        return getattr(self._port, name)

    async def claim_injections(self, *args: Any, **options: Any) -> Any:
        claim = await self._port.claim_injections(*args, **options)
        if claim is not None and self.is_cut:
            self.claimed.set()
            raise self._busy()
        return claim

    async def record_effects(self, *args: Any, **options: Any) -> None:
        if self.is_cut:
            await self.claimed.wait()
            self.lost.set()
            raise self._busy()
        await self._port.record_effects(*args, **options)

    def _busy(self) -> lash.LashError:
        return lash.LashError("store_busy", "the answer was lost", retryable=True)


async def test_input_that_was_claimed_and_did_not_enter_a_cancelled_turn_gets_a_turn_of_its_own() -> None:
    database: Any = MemoryDatabase()
    ingress = database.turn_ingress = Cut(database.turn_ingress)
    journal = database.effect_journal = Cut(database.effect_journal)
    journal.claimed = ingress.claimed
    entered, leave = asyncio.Event(), asyncio.Event()

    @lash.tool(effect="read_only")
    async def look() -> str:
        """Look."""
        entered.set()
        await leave.wait()
        return "seen"

    agent = lash.Agent("a", model=ScriptedModel([call("look"), "to the second"]), tools=[look])
    async with lash.Runtime(database=database, agents=[agent]) as runtime, asyncio.timeout(60):
        session = await runtime.session("s")
        await session.send("first", idempotency_key="t1")
        await entered.wait()
        await session.send("second", idempotency_key="t2", on_busy="inject")
        ingress.is_cut = journal.is_cut = True
        leave.set()
        await ingress.claimed.wait()
        await journal.lost.wait()
        await database.turn_ingress.request_cancel("s", "t1")
        ingress.is_cut = journal.is_cut = False
        result = await session.turn("second", turn_id="t2", on_busy="inject")
        assert (result.turn_id, result.text) == ("t2", "to the second")
        texts = [message.text for message in await session.history() if message.role == "user"]
        assert texts == ["first", "second"]


class CommittedElsewhere:
    """A persistence whose commit comes too late: another driver has committed the turn with its own content."""

    def __init__(self, persistence: Any) -> None:
        self._persistence = persistence

    def __getattr__(self, name: str) -> Any:  # everything else is the persistence's own
        return getattr(self._persistence, name)

    async def commit_runtime_state(self, commit: Any) -> Any:
        await self._persistence.commit_runtime_state(commit)
        raise lash.LashError("runtime_turn_commit_conflict", "that turn is committed with another content")


async def test_whoever_awaits_a_turn_that_another_driver_has_committed_gets_what_is_committed() -> None:
    database: Any = MemoryDatabase()
    persistence = database.runtime_persistence
    database.runtime_persistence = lambda session_id=None: CommittedElsewhere(persistence(session_id))
    async with lash.Runtime(database=database, agents=[scripted_agent(["hello"])]) as runtime:
        async with asyncio.timeout(60):
            result = await (await runtime.session("s")).turn("hi")
        assert (result.text, result.head_revision) == ("hello", 1)
