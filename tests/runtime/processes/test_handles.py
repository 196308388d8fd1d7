"""Who sees a process, what is kept of it, and what is said to it while nobody runs it."""

from __future__ import annotations

from typing import Any

import pytest

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import ModelRequest, ProcessExternalRef, ToolResultPart


@lash.process
async def quick(ctx: lash.ProcessContext) -> int:
    return 1


async def test_a_session_sees_what_it_has_and_gives_away(url: str) -> None:
    async with lash.open(url, quick, work=False) as runtime:
        processes = runtime.processes
        mine = await processes.start(quick, session="a", label="job")
        await processes.start(quick)  # the host's own
        assert [record.id for record in await processes.list(session="a")] == [mine.id]
        assert len(await processes.list()) == 2
        await processes.transfer([mine.id], from_session="a", to_session="b")
        assert await processes.list(session="a") == []
        assert [record.id for record in await processes.list(session="b")] == [mine.id]
        with pytest.raises(lash.LashError) as caught:
            await processes.transfer([mine.id], from_session="a", to_session="b")
        assert caught.value.code == "process_handle_not_granted"
        await processes.observe(mine.id, "c", label="watched")
        assert await processes.list(session="c") == []  # to watch is no right


async def test_a_pruned_process_is_told_from_one_that_never_was(url: str) -> None:
    async with lash.open(url, quick) as runtime:
        handle = await runtime.processes.start(quick, id="old")
        assert await handle.result(timeout=60) == 1
        ended_at_ms = (await handle.status()).updated_at_ms
        assert await runtime.processes.prune(finished_before_ms=ended_at_ms) == 0
        assert await runtime.processes.prune(finished_before_ms=ended_at_ms + 1) == 1
        for process_id, code in (("old", "process_no_longer_retained"), ("never", "process_unknown")):
            with pytest.raises(lash.LashError) as caught:
                await runtime.processes.wait(process_id, timeout=60)
            assert caught.value.code == code
        with pytest.raises(lash.LashError) as caught:
            await runtime.processes.start(quick, id="old")
        assert caught.value.code == "process_no_longer_retained"


async def test_external_work_keeps_where_it_lives(url: str) -> None:
    async with lash.open(url, quick, work=False) as runtime:
        ref = ProcessExternalRef(backend="batch", id="job-7", metadata={"queue": "night"})
        handle = await runtime.processes.start_external({"rows": 5}, ref=ref)
        assert (await handle.status()).external_ref == ref
        problem = lash.LashError("disk_full", "no room")
        await runtime.processes.complete_external(handle.id, error=problem)
        with pytest.raises(lash.LashError, match="no room") as caught:
            await handle
        assert caught.value.code == "disk_full"


async def test_what_is_said_to_an_agent_before_it_works_is_heard_after_a_restart(sqlite_url: str) -> None:
    def conclude(request: ModelRequest) -> Any:
        return reply(" / ".join(message.text for message in request.messages if message.role == "user"))

    agent = lash.Agent("helper", model=ScriptedModel(conclude))
    async with lash.open(sqlite_url, agent, work=False) as runtime:
        session = await runtime.session("s", agent)
        handle = await session.spawn(agent, "count", wake=False)
        await handle.send("twice", idempotency_key="m1")
    async with lash.open(sqlite_url, agent) as runtime:
        await runtime.processes.send(handle.id, "twice", idempotency_key="m1")
        first = await runtime.processes.wait(handle.id, timeout=60)
        child = await runtime.session(first["session_id"])
        said = [message.text for message in await child.history() if message.role == "user"]
        if len(said) == 1:  # its turn was over before the words could enter it: they are a turn of their own
            await child.turn("and now?")
            said = [message.text for message in await child.history() if message.role == "user"]
        assert said[:2] == ["count", "twice"]
        assert said.count("twice") == 1


async def test_a_tool_steers_only_what_its_session_sees(url: str) -> None:
    @lash.tool(effect="idempotent")
    async def stop(process_id: str, ctx: lash.ToolContext) -> str:
        """Stop a process.

        Args:
            process_id: Which.
        """
        await ctx.processes.cancel(process_id, "the model said so")
        return "asked"

    def conclude(request: ModelRequest) -> str:
        return " ".join(
            str(part.content) for part in request.messages[-1].parts if isinstance(part, ToolResultPart)
        )

    def asking(process_id: str) -> ScriptedModel:
        return ScriptedModel([call("stop", process_id=process_id), conclude], by_request=True)

    own = lash.Agent("own", model=asking("mine"), tools=[stop])
    other = lash.Agent("other", model=asking("mine"), tools=[stop])
    async with lash.open(url, own, other) as runtime:
        session, stranger = await runtime.session("a", own), await runtime.session("b", other)
        await runtime.processes.start_external(id="mine", session="a")
        assert "process_handle_not_granted" in (await stranger.turn("stop it")).text
        assert not (await runtime.processes.get("mine")).cancel_requested
        assert (await session.turn("stop it")).text == "asked"
        assert (await runtime.processes.get("mine")).cancel_requested
