"""Who runs a process, who runs it again, and who must not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lash
from lash.backends import open_database
from lash.testing import ScriptedModel, call, reply
from lash.values import (
    ProcessProvenance,
    ProcessRecord,
    ProcessRegistration,
    SessionTurnInput,
    TurnInput,
)

from .waiting import parked


def counting(calls: list[str]) -> Any:
    async def count(name: str) -> int:
        calls.append(name)
        return len(calls)

    return count


@pytest.mark.parametrize(
    ("changed", "recorded", "asked"),
    [
        ("rename", "step count#1", "step tally#1"),
        ("reorder", "step count#1", "wait more#1"),
        ("arguments", "step count#1", "step count#1"),
        ("shorten", "wait go#1", "the end of the function"),
    ],
)
async def test_changed_code_is_found_where_it_differs(
    sqlite_url: str, changed: str, recorded: str, asked: str
) -> None:
    calls: list[str] = []
    count = counting(calls)

    @lash.process(name="job")
    async def before(ctx: lash.ProcessContext) -> int:
        await ctx.step(count, "a")
        await ctx.wait("go")
        return int(await ctx.wait("more", output=int))

    @lash.process(name="job")
    async def after(ctx: lash.ProcessContext) -> int:
        match changed:
            case "rename":
                await ctx.step(count, "a", name="tally")
            case "reorder":
                await ctx.wait("more")
            case "arguments":
                await ctx.step(count, "b")
            case _:
                return int(await ctx.step(count, "a"))
        return 0

    async with lash.open(sqlite_url, before, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(before)
        await parked(runtime, handle.id)
        await handle.resolve("go")
        await parked(runtime, handle.id)
    async with lash.open(sqlite_url, after, process_grace_ms=10) as runtime:
        waiting = asyncio.ensure_future(runtime.processes.wait(handle.id, timeout=60))
        await asyncio.sleep(0)
        await runtime.processes.resolve(handle.id, "more", 5)
        with pytest.raises(lash.LashError) as caught:
            await waiting
        assert caught.value.code == "process_replay_mismatch"
        assert (caught.value.facts["recorded"], caught.value.facts["asked"]) == (recorded, asked)
        assert not (await runtime.processes.get(handle.id)).is_terminal  # the old code may still finish it
    async with lash.open(sqlite_url, before, process_grace_ms=10) as runtime:
        assert await runtime.processes.handle(handle.id).result(timeout=60) == 5
    assert calls == ["a"]


async def test_an_at_most_once_step_that_was_cut_is_unknown_and_may_be_handled(sqlite_url: str) -> None:
    entered = asyncio.Event()
    runs: list[str] = []

    async def charge() -> str:
        runs.append("charge")
        entered.set()
        await asyncio.Event().wait()
        return "charged"

    async def look(what: str) -> str:
        runs.append(what)
        return f"{what}: no charge found"

    @lash.process
    async def pay(ctx: lash.ProcessContext) -> str:
        try:
            return await ctx.step(charge)
        except lash.LashError as problem:
            return await ctx.step(look, problem.code, effect="read_only")

    async with lash.open(sqlite_url, pay) as runtime:
        handle = await runtime.processes.start(pay)
        await entered.wait()
    async with lash.open(sqlite_url, pay) as runtime:
        assert (
            await runtime.processes.handle(handle.id).result(timeout=60) == "outcome_unknown: no charge found"
        )
    assert runs == ["charge", "outcome_unknown"]


@pytest.mark.parametrize("effect", ["read_only", "idempotent"])
async def test_a_repeatable_step_that_was_cut_runs_again(sqlite_url: str, effect: Any) -> None:
    entered, alive_again = asyncio.Event(), asyncio.Event()
    runs = 0

    async def fetch() -> str:
        nonlocal runs
        runs += 1
        entered.set()
        await alive_again.wait()
        return "fetched"

    @lash.process
    async def job(ctx: lash.ProcessContext) -> str:
        return await ctx.step(fetch, effect=effect)

    async with lash.open(sqlite_url, job) as runtime:
        handle = await runtime.processes.start(job)
        await entered.wait()
    alive_again.set()
    async with lash.open(sqlite_url, job) as runtime:
        assert await runtime.processes.handle(handle.id).result(timeout=60) == "fetched"
        record = await runtime.processes.get(handle.id)
        assert record.attempts == 1  # it was given back, which uses up no attempt
    assert runs == 2


async def test_steps_are_tried_again_as_their_policy_says(url: str) -> None:
    runs: list[int] = []

    def flaky() -> int:
        runs.append(1)
        if len(runs) < 3:
            raise ConnectionError("reset")
        return len(runs)

    @lash.process
    async def job(ctx: lash.ProcessContext) -> int:
        return await ctx.step(flaky, effect="idempotent", retry=lash.Retry(attempts=3, base_ms=0))

    async with lash.open(url, job) as runtime:
        handle = await runtime.processes.start(job)
        assert await handle.result(timeout=60) == 3


async def test_external_work_is_untouched_and_ended_from_outside(url: str) -> None:
    @lash.process
    async def other(ctx: lash.ProcessContext) -> int:
        return 1

    async with lash.open(url, other) as runtime:
        external = await runtime.processes.start_external({"job": 7}, id="outside")
        own = await runtime.processes.start(other)
        assert await own.result(timeout=60) == 1
        record = await external.status()
        assert (record.attempts, record.is_terminal) == (0, False)
        await runtime.processes.complete_external("outside", {"rows": 3})
        assert await external == {"rows": 3}
        with pytest.raises(lash.LashError) as caught:
            await runtime.processes.complete_external(own.id, 2)
        assert caught.value.code == "process_not_external"


async def crashed(url: str, process_id: str, attempts: int) -> None:
    """Leave a process as a worker leaves it that dies while it runs: begun, and no lease that lasts."""
    database = open_database(url)
    registry = database.process_registry
    for _ in range(attempts):
        lease = await registry.claim_process_lease(process_id, "worker of old", 60_000)
        await registry.start_process_attempt(lease)
        await registry.complete_process_lease(lease.completion())
    await database.close()


async def abandoned(runtime: lash.Runtime, process_id: str) -> ProcessRecord:
    with pytest.raises(lash.LashError) as caught:
        await runtime.processes.wait(process_id, timeout=60)
    assert caught.value.code == "process_abandoned"
    return await runtime.processes.get(process_id)


async def test_owner_bound_work_without_its_owner_is_abandoned_with_evidence(sqlite_url: str) -> None:
    runs: list[int] = []

    @lash.process(recovery="owner_bound")
    async def once(ctx: lash.ProcessContext) -> int:
        runs.append(1)
        return 1

    async with lash.open(sqlite_url, once, work=False) as runtime:
        handle = await runtime.processes.start(once)
    await crashed(sqlite_url, handle.id, 1)
    async with lash.open(sqlite_url, once) as runtime:
        record = await abandoned(runtime, handle.id)
        assert record.await_output is not None
        raw = record.await_output.raw  # type: ignore[union-attr]
        assert raw["evidence"]["reason"] == "process_owner_bound"
        assert raw["evidence"]["attempts"] == 1
        assert raw["written_by"] == runtime.database.owner_id
    assert runs == []


async def test_attempts_are_bounded_and_waiting_uses_up_none(sqlite_url: str) -> None:
    runs: list[int] = []

    @lash.process(max_attempts=2)
    async def twice(ctx: lash.ProcessContext) -> str:
        runs.append(1)
        for number in range(4):
            await ctx.wait(str(number))
        return "done"

    async with lash.open(sqlite_url, twice, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(twice, id="patient")
        for number in range(4):
            await parked(runtime, handle.id)
            await handle.resolve(str(number))
        assert await handle.result(timeout=60) == "done"
        assert (await handle.status()).attempts == 1
    async with lash.open(sqlite_url, twice, work=False) as runtime:
        await runtime.processes.start(twice, id="cursed")
    await crashed(sqlite_url, "cursed", 2)
    async with lash.open(sqlite_url, twice) as runtime:
        record = await abandoned(runtime, "cursed")
        assert record.attempts == 2


async def test_a_request_to_abandon_is_honoured_once_nobody_runs_it(url: str) -> None:
    @lash.process
    async def stuck(ctx: lash.ProcessContext) -> None:
        await ctx.wait("never")

    async with lash.open(url, stuck, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(stuck)
        await parked(runtime, handle.id)
        await runtime.processes.abandon(handle.id, requested_by="ops", reason="gone")
        await abandoned(runtime, handle.id)


async def test_a_session_hears_of_work_that_was_given_up(sqlite_url: str) -> None:
    @lash.tool(effect="at_most_once")
    async def deploy() -> str:
        """Deploy."""
        return "deployed"

    agent = lash.Agent("a", model=ScriptedModel(lambda request: request.messages[-1].text), tools=[deploy])
    async with lash.open(sqlite_url, agent, work=False) as runtime:
        await runtime.session("s", agent)
    async with lash.open(sqlite_url, agent, max_concurrent_processes=0) as runtime:
        handle = await runtime.processes.start(deploy, session="s", wake=True)
    await crashed(sqlite_url, handle.id, 1)
    async with lash.open(sqlite_url, agent) as runtime:
        await abandoned(runtime, handle.id)
        session = await runtime.session("s")
        async with asyncio.timeout(60):
            while not await session.history():
                await asyncio.sleep(0.01)
        assert "was given up and did not finish" in (await session.history())[-1].text


async def test_two_workers_never_run_one_process_twice(sqlite_url: str) -> None:
    runs: dict[str, int] = {}

    async def note(name: str) -> None:
        runs[name] = runs.get(name, 0) + 1
        await asyncio.sleep(0)

    @lash.process
    async def job(ctx: lash.ProcessContext, name: str) -> str:
        await ctx.step(note, name)
        await ctx.wait("go")
        await ctx.step(note, f"{name} again")
        return name

    names = [f"job{number}" for number in range(40)]
    async with (
        lash.open(sqlite_url, job, process_grace_ms=10) as one,
        lash.open(sqlite_url, job, process_grace_ms=10) as two,
    ):
        for name in names:
            await one.processes.start(job, name, id=name)
        for number, name in enumerate(names):
            await (one if number % 2 else two).processes.resolve(name, "go")
        assert [await two.processes.wait(name, timeout=60) for name in names] == names
    assert set(runs.values()) == {1}
    assert len(runs) == 80


async def test_a_parent_that_waits_never_starves_its_children(url: str) -> None:
    @lash.process
    async def leaf(ctx: lash.ProcessContext, number: int) -> int:
        return number

    @lash.process
    async def tree(ctx: lash.ProcessContext, depth: int) -> int:
        if depth == 0:
            return 1
        children = [ctx.start(tree, depth - 1) for _ in range(2)]
        return sum([await child for child in children]) + await ctx.start(leaf, 1)

    async with lash.open(url, leaf, tree, process_grace_ms=10, max_concurrent_processes=1) as runtime:
        handle = await runtime.processes.start(tree, 3)
        assert await handle.result(timeout=120) == 8 + 7


async def test_a_failed_child_is_its_parents_to_handle(url: str) -> None:
    @lash.process
    async def bad(ctx: lash.ProcessContext) -> None:
        raise lash.ToolError("out_of_paper", "no paper")

    @lash.process
    async def parent(ctx: lash.ProcessContext) -> str:
        child = ctx.start(bad)
        try:
            await child
        except lash.LashError as problem:
            return f"{child.id == problem.process_id} {problem.code}"
        return "?"

    async with lash.open(url, bad, parent) as runtime:
        handle = await runtime.processes.start(parent)
        assert await handle.result(timeout=60) == "True out_of_paper"


async def test_a_tool_in_the_background_reports_and_wakes_its_session(url: str) -> None:
    seen: list[Any] = []

    @lash.tool(effect="idempotent")
    async def render(pages: int, ctx: lash.ToolContext) -> str:
        """Render."""
        seen.append((ctx.process_id, ctx.session_id))
        ctx.progress({"page": pages})
        return f"{pages} pages"

    @lash.tool(effect="idempotent")
    async def start_report(ctx: lash.ToolContext) -> str:
        """Start a report."""
        handle = await ctx.processes.start(render, pages=3, label="report")
        listed = await ctx.processes.list(include_finished=True)
        assert [(one.label, record.id) for one, record in listed] == [("report", handle.id)]
        return handle.id

    def conclude(request: Any) -> Any:
        return reply(request.messages[-1].text or "started")

    model = ScriptedModel(
        lambda request: (
            call("start_report")
            if request.messages[-1].role == "user" and "go" in request.messages[-1].text
            else conclude(request)
        )
    )
    agent = lash.Agent("a", model=model, tools=[render, start_report])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("go")
        (record,) = await runtime.processes.list(session="s", include_finished=True)
        assert await runtime.processes.wait(record.id, timeout=60) == "3 pages"
        assert seen == [(record.id, "s")]
        async with asyncio.timeout(60):
            while "report has finished: 3 pages" not in (await session.history())[-1].text:
                await asyncio.sleep(0.01)
        events = [event.event_type for event in await runtime.processes.events(record.id)]
        assert "process.progress" in events


async def test_an_agent_that_cannot_be_asked_is_a_failure_and_not_tried_for_ever(url: str) -> None:
    agent = lash.Agent("a", model=ScriptedModel(["hello"]))
    async with lash.open(url, agent) as runtime:
        registration = ProcessRegistration(
            id="p1",
            input=SessionTurnInput(create_request={"agent": "a"}, turn_input=TurnInput.text("hi")),
            provenance=ProcessProvenance(host_profile_id="agent:a"),
        )
        await runtime.database.process_registry.register_process(registration)
        with pytest.raises(lash.LashError) as caught:
            await runtime.processes.wait("p1", timeout=60)
        assert caught.value.code == "process_session_create_failed"
