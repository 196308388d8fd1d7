"""Watching with a cursor: no commit is missed, what is lost of a running turn is named (ruling 21)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

import lash
from lash.runtime import SessionWatch
from lash.testing import ScriptedModel, call
from lash.values import (
    AssistantTextDelta,
    EventGap,
    MessageCommitted,
    TurnEvent,
    TurnFinished,
    TurnStarted,
)

from .conftest import scripted_agent


def echo_agent() -> lash.Agent:
    return lash.Agent("a", model=ScriptedModel(lambda request: f"re: {request.messages[-1].text}"))


class Gate:
    """A tool that stops in the middle of a turn until it is let go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.leave = asyncio.Event()

    def agent(self) -> lash.Agent:
        @lash.tool(effect="read_only")
        async def gate() -> str:
            """Wait."""
            self.entered.set()
            await self.leave.wait()
            return "through"

        return scripted_agent([["first words", call("gate")], "last words"], tools=[gate], name="a")


def committed(events: Iterable[TurnEvent]) -> list[str]:
    """The durable events, in short."""
    found = []
    for event in events:
        match event.activity:
            case MessageCommitted(message=message, head_revision=revision):
                found.append(f"{revision} {message.role}: {message.text}")
            case TurnFinished(head_revision=revision):
                found.append(f"{revision} end of {event.turn_id}")
            case _:
                pass
    return found


async def until_end_of(watch: SessionWatch, turn_id: str) -> list[TurnEvent]:
    events = []
    async with asyncio.timeout(60):
        async for event in watch:
            events.append(event)
            if isinstance(event.activity, TurnFinished) and event.turn_id == turn_id:
                return events
    raise AssertionError(f"the watch ended before turn {turn_id}")


async def rest(watch: SessionWatch) -> list[TurnEvent]:
    watch.close()
    return [event async for event in watch]


async def test_a_watcher_that_was_away_is_told_every_commit_once(url: str) -> None:
    async with lash.open(url, echo_agent()) as runtime:
        session = await runtime.session("s")
        watch = session.watch()
        await session.turn("one", turn_id="t1")
        seen = await until_end_of(watch, "t1")
        watch.close()
        await session.turn("two", turn_id="t2")
        await session.turn("three", turn_id="t3")

        again = await rest(session.watch(seen[-1].cursor))

        assert committed(seen) == ["1 user: one", "1 assistant: re: one", "1 end of t1"]
        assert committed(again) == [
            "2 user: two",
            "2 assistant: re: two",
            "2 end of t2",
            "3 user: three",
            "3 assistant: re: three",
            "3 end of t3",
        ]


async def test_every_cursor_goes_on_exactly_after_its_event(url: str) -> None:
    async with lash.open(url, echo_agent()) as runtime:
        session = await runtime.session("s")
        start = session.watch()
        for number in range(3):
            await session.turn(f"turn {number}")
        whole = await rest(start)

        for place, event in enumerate(whole):
            again = await rest(session.watch(event.cursor))
            assert [one.id for one in again] == [one.id for one in whole[place + 1 :]], place


async def test_commits_are_told_after_everything_that_their_turn_showed(url: str) -> None:
    async with lash.open(url, echo_agent()) as runtime:
        session = await runtime.session("s")
        watch = session.watch()
        await session.turn("hello", turn_id="t1")

        kinds = [type(event.activity).__name__ for event in await rest(watch)]

        assert kinds[0] == "TurnStarted"
        assert kinds[-3:] == ["MessageCommitted", "MessageCommitted", "TurnFinished"]
        assert kinds.index("MessageCommitted") > kinds.index("AssistantTextDelta")
        assert kinds.count("TurnFinished") == 1


async def test_a_connection_that_breaks_in_the_middle_of_a_turn_misses_nothing(url: str) -> None:
    gate = Gate()
    async with lash.open(url, gate.agent()) as runtime:
        session = await runtime.session("s")
        whole = session.watch()
        broken = session.watch()
        turn = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        first = await anext(broken)
        broken.close()
        await gate.entered.wait()

        again = session.watch(first.cursor)
        gate.leave.set()
        told = [first, *await until_end_of(again, "t1")]

        assert [event.id for event in told] == [event.id for event in await until_end_of(whole, "t1")]
        await turn


async def test_after_a_restart_the_gap_is_named_and_no_commit_is_missed(sqlite_url: str) -> None:
    gate = Gate()
    async with lash.open(sqlite_url, gate.agent()) as runtime:
        session = await runtime.session("s")
        watch = session.watch()
        await session.send("go", idempotency_key="t1")
        await gate.entered.wait()
        seen = [event async for event in _now(watch)]

    later = Gate()
    later.leave.set()
    runtime = lash.open(sqlite_url, later.agent())
    watch = SessionWatch(runtime.database, runtime._bus, "s", seen[-1].cursor)
    async with runtime:
        told = await until_end_of(watch, "t1")

    assert any(isinstance(event.activity, AssistantTextDelta) for event in seen)
    assert told[0].activity == EventGap(reason="restarted")
    assert told[0].turn_id == "t1"
    assert [event.activity.restarts for event in told if isinstance(event.activity, TurnStarted)] == [1]
    assert committed(told)[0] == "1 user: go"
    assert committed(told)[-2:] == ["1 assistant: last words", "1 end of t1"]
    assert not {event.id for event in seen} & {event.id for event in told}


async def _now(watch: SessionWatch) -> AsyncIterator[TurnEvent]:
    """What the watch has by now: it is closed first."""
    watch.close()
    async for event in watch:
        yield event


async def test_another_process_is_watched_by_its_commits(sqlite_url: str) -> None:
    async with lash.open(sqlite_url, echo_agent()) as driving, lash.open(sqlite_url, work=False) as looking:
        await driving.session("s")
        watch = looking.watch_session("s")
        reading = asyncio.ensure_future(until_end_of(watch, "t2"))
        session = await driving.session("s")
        await session.turn("one", turn_id="t1")
        await session.turn("two", turn_id="t2")

        told = committed(await reading)

        assert told[-3:] == ["2 user: two", "2 assistant: re: two", "2 end of t2"]
        watch.close()


async def test_a_stranger_to_the_running_turn_is_shown_what_is_kept_of_it(url: str) -> None:
    """A cursor of an earlier process, taken between turns: no gap, and the running turn from its beginning."""
    gate = Gate()
    async with lash.open(url, gate.agent()) as runtime:
        session = await runtime.session("s")
        session.watch()  # from now on the session's events are kept
        turn = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        await gate.entered.wait()
        from lash.runtime import WatchCursor

        old = WatchCursor(session_id="s", revision=0, incarnation="long gone", number=900).encoded()
        watch = session.watch(old)
        gate.leave.set()
        told = await until_end_of(watch, "t1")

        assert isinstance(told[0].activity, TurnStarted)
        assert committed(told)[-1] == "1 end of t1"
        await turn


@pytest.mark.parametrize("cursor", ["", "nonsense", "bm9uc2Vuc2U", "{}", "AAAA====", "é"])
async def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    async with lash.open("memory:", echo_agent()) as runtime:
        session = await runtime.session("s")
        with pytest.raises(lash.LashError) as caught:
            session.watch(cursor)
        assert caught.value.code == "cursor_invalid"


async def test_a_cursor_of_another_session_or_of_the_future_is_refused() -> None:
    async with lash.open("memory:", echo_agent()) as runtime:
        one, two = await runtime.session("one"), await runtime.session("two")
        watch = one.watch()
        await one.turn("hello")
        cursor = (await rest(watch))[-1].cursor
        with pytest.raises(lash.LashError) as caught:
            two.watch(cursor)
        assert caught.value.code == "cursor_invalid"
    async with lash.open("memory:", echo_agent()) as restored:
        session = await restored.session("one")
        with pytest.raises(lash.LashError) as caught:
            await anext(session.watch(cursor))
        assert (caught.value.code, caught.value.head_revision) == ("cursor_invalid", 0)
