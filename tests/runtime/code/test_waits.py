"""Programs that wait in their middle: parked, stored as data, gone on with by another runtime."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.contract.settable import SettableClock
from tests.runtime.code.programs import Calls, block, code_agent
from tests.runtime.conftest import *  # noqa: F403  # the fixtures of a runtime over each backend

import lash
from lash.testing import ScriptedModel, reply

WITHIN_S = 60
ORDER_FOUR = """
got = []
for i in range(4) {
  print format("order {}", i)
  got = push(got, await tools.order({ amount: i })?)
}
submit got
"""


async def parked(runtime: lash.Runtime) -> tuple[str, ...]:
    """Return what the turn waits for, once it is parked."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = await runtime.database.turn_ingress.find_turn("s", "t1")
            if found.parked_on:
                return found.parked_on
            await asyncio.sleep(0.01)


async def begin(runtime: lash.Runtime) -> asyncio.Future[lash.TurnResult]:
    session = await runtime.session("s")
    return asyncio.ensure_future(session.turn("go", turn_id="t1"))


async def finished(running: asyncio.Future[lash.TurnResult]) -> lash.TurnResult:
    async with asyncio.timeout(WITHIN_S):
        return await running


async def cut(running: asyncio.Future[Any]) -> None:
    """The runtime of a waiting caller was closed."""
    with pytest.raises(lash.LashError) as caught:
        await finished(running)
    assert caught.value.code == "runtime_closed"


async def approve_all(runtime: lash.Runtime) -> None:
    for approval in await runtime.approvals.list():
        await runtime.approvals.approve(approval.id)


async def test_a_program_waits_for_approvals_in_its_loop_and_makes_each_call_once(url):
    calls = Calls()
    async with lash.open(url, code_agent(ORDER_FOUR, calls=calls)) as runtime:
        running = await begin(runtime)
        assert await parked(runtime) == ("approval:s:t1:p3.2",)
        await approve_all(runtime)
        async with asyncio.timeout(WITHIN_S):
            while await parked(runtime) != ("approval:s:t1:p3.3",):
                await asyncio.sleep(0.01)
        assert calls == [("order", 0), ("order", 1), ("order", 2)]
        await approve_all(runtime)
        result = await finished(running)
        told = (await (await runtime.session("s")).history())[2].text
    assert result.output == [f"ordered {n}" for n in range(4)]
    assert calls == [("order", n) for n in range(4)]
    assert told == "Output:\n" + "\n".join(f"order {n}" for n in range(4)) + "\n[submitted]"
    assert [call.name for call in result.tool_calls] == ["order"] * 4


@pytest.fixture(params=["sqlite", "postgres"])
def lasting_url(request: pytest.FixtureRequest, tmp_path) -> str:
    """A database that outlives its runtime."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_urls")())
    return str(tmp_path / "agent.db")


async def test_another_runtime_goes_on_in_the_middle_of_the_loop(lasting_url):
    calls = Calls()
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, calls=calls)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
    await cut(running)
    for amount in (2, 3):
        async with lash.open(lasting_url, code_agent(ORDER_FOUR, calls=calls)) as runtime:
            running = await begin(runtime)
            assert await parked(runtime) == (f"approval:s:t1:p3.{amount}",)
            await approve_all(runtime)
            if amount == 3:
                result = await finished(running)
            else:
                async with asyncio.timeout(WITHIN_S):
                    while await parked(runtime) != ("approval:s:t1:p3.3",):
                        await asyncio.sleep(0.01)
        if amount != 3:
            await cut(running)
    assert result.output == [f"ordered {n}" for n in range(4)]
    assert calls == [("order", n) for n in range(4)]


async def test_what_was_done_before_the_wait_is_not_run_again_not_even_from_the_journal(lasting_url):
    calls = Calls()
    many = """
before = 1
submit_to = [await tools.order({ amount: 0 })? for i in range(150)]
last = await tools.order({ amount: 9 })?
submit [len(submit_to), last, before]
"""
    async with lash.open(lasting_url, code_agent("earlier = 1", many, calls=calls)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
    await cut(running)
    async with lash.open(lasting_url, code_agent("earlier = 1", many, calls=calls)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
        await approve_all(runtime)
        result = await finished(running)
    assert result.output == [150, "ordered 9", 1]
    assert len(calls) == 151
    assert len(result.tool_calls) == 151
    calls_replayed = [key for key in result.replayed_effects if ":p" in key]
    assert calls_replayed == [], "the frame is gone on from, not the journal"


async def test_a_stored_program_is_refused_under_another_key(lasting_url):
    calls = Calls()
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, calls=calls), frame_key=b"one") as runtime:
        running = await begin(runtime)
        await parked(runtime)
    await cut(running)
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, calls=calls), frame_key=b"two") as runtime:
        running = await begin(runtime)
        await parked(runtime)
        await approve_all(runtime)
        with pytest.raises(lash.LashError) as caught:
            await finished(running)
    assert caught.value.code == "frame_key"
    assert calls == [("order", 0), ("order", 1)]
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, calls=calls), frame_key=b"one") as runtime:
        running = await begin(runtime)
        await parked(runtime)
        await approve_all(runtime)
        await finished(running)
    assert calls == [("order", n) for n in range(4)]


async def test_a_program_whose_tools_have_changed_is_refused_and_goes_on_when_they_are_back(lasting_url):
    calls = Calls()
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, calls=calls)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
    await cut(running)
    others = [tool for tool in calls.tools() if tool.name != "order"]
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, tools=others)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
        await approve_all(runtime)
        with pytest.raises(lash.LashError) as caught:
            await finished(running)
        assert caught.value.code == "frame_code_mismatch"
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, calls=calls)) as runtime:
        running = await begin(runtime)
        async with asyncio.timeout(WITHIN_S):
            while not running.done():
                await approve_all(runtime)
                await asyncio.sleep(0.01)
        assert (await running).output == [f"ordered {n}" for n in range(4)]


async def test_members_of_a_join_that_need_not_wait_are_run_and_the_join_ends_when_the_last_is_there(url):
    calls = Calls()
    join = """
both = await { a: tools.pay({ amount: 1 })?, b: tools.order({ amount: 5 })?, c: tools.order({ amount: 6 })? }
submit both
"""
    async with lash.open(url, code_agent(join, calls=calls)) as runtime:
        running = await begin(runtime)
        assert set(await parked(runtime)) == {"approval:s:t1:p3.0-1", "approval:s:t1:p3.0-2"}
        assert calls == [("pay", 1)]
        async with asyncio.timeout(WITHIN_S):
            while not running.done():
                await approve_all(runtime)
                await asyncio.sleep(0.01)
        result = await running
    assert result.output == {"a": "paid 1", "b": "ordered 5", "c": "ordered 6"}
    assert sorted(calls) == [("order", 5), ("order", 6), ("pay", 1)]


async def test_a_denied_call_is_told_to_the_program(url):
    program = "r = await tools.order({ amount: 5 })\nsubmit [r.ok, r.error]"
    async with lash.open(url, code_agent(program)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
        (approval,) = await runtime.approvals.list()
        await runtime.approvals.deny(approval.id, "too much")
        result = await finished(running)
    assert result.output[0] is False
    assert "too much" in result.output[1]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_long_sleep_parks_the_turn_until_its_time_has_come(kind, tmp_path):
    clock = SettableClock()
    program = 'x = 1\nsleep for "2h"\nsubmit x'
    agent = code_agent(program)
    async with lash.open(
        "memory:" if kind == "memory" else str(tmp_path / "a.db"), agent, clock=clock
    ) as runtime:
        running = await begin(runtime)
        (key,) = await parked(runtime)
        assert key.startswith("sleep:")
        waits = runtime.database.durable_waits
        assert (await waits.get_wait(key)).deadline_ms == clock.now_ms() + 7_200_000
        clock.advance(7_199_999)
        assert await waits.resolve_due() == []
        assert not running.done()
        clock.advance(1)
        await waits.resolve_due()
        assert (await finished(running)).output == 1


async def test_a_program_whose_time_is_up_ends_alike_when_its_turn_is_driven_again(lasting_url):
    """The first driver stops the program by the clock; the second, whose clock stands still, must not go on in it."""
    spins = "n = 0\nwhile n < 4000000 { n = n + 1 }\nsubmit n"
    limits = lash.Limits(program_time_ms=1)
    steps = [spins, reply(block("await tools.order({ amount: 5 })?\nsubmit 7"))]
    calls = Calls()
    async with lash.open(lasting_url, code_agent(*steps, calls=calls, limits=limits)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
    await cut(running)
    patient = lash.Limits(program_time_ms=None)
    async with lash.open(lasting_url, code_agent(*steps, calls=calls, limits=patient)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
        await approve_all(runtime)
        result = await finished(running)
        told = (await (await runtime.session("s")).history())[2].text
    assert result.output == 7
    assert "time_exhausted" in told


async def test_two_waiting_turns_of_two_sessions_do_not_mix(url):
    calls = Calls()

    def step(request: Any) -> Any:
        amount = request.messages[0].text
        return reply(block(f"mine = {amount}\nr = await tools.order({{ amount: mine }})?\nsubmit [mine, r]"))

    agent = lash.Agent("coder", model=ScriptedModel(step), tools=calls.tools(), protocol="code")
    async with lash.open(url, agent) as runtime:
        sessions = {name: await runtime.session(name) for name in ("5", "6")}
        running = {name: asyncio.ensure_future(session.turn(name)) for name, session in sessions.items()}
        async with asyncio.timeout(WITHIN_S):
            while not all(one.done() for one in running.values()):
                await approve_all(runtime)
                await asyncio.sleep(0.01)
        outputs = {name: (await one).output for name, one in running.items()}
    assert outputs == {"5": [5, "ordered 5"], "6": [6, "ordered 6"]}


async def test_a_binding_that_has_changed_while_its_program_waited_is_refused(lasting_url):
    rows = [[1, 2, 3]]
    calls = Calls()
    program = "n = len(rows)\nr = await tools.order({ amount: 5 })?\nsubmit [n, len(rows), r]"

    def agent() -> lash.Agent:
        options = lash.CodeOptions(
            bindings={"rows": lash.Binding.ref("now:rows")}, resolvers={"now": lambda uri: rows[0]}
        )
        return code_agent(program, calls=calls, code=options)

    async with lash.open(lasting_url, agent()) as runtime:
        running = await begin(runtime)
        await parked(runtime)
    await cut(running)
    rows[0] = [1, 2, 3, 4]
    async with lash.open(lasting_url, agent()) as runtime:
        running = await begin(runtime)
        await parked(runtime)
        await approve_all(runtime)
        with pytest.raises(lash.LashError) as caught:
            await finished(running)
        assert caught.value.code == "binding_changed"
    assert calls == []
    rows[0] = [1, 2, 3]
    async with lash.open(lasting_url, agent()) as runtime:
        result = await finished(await begin(runtime))
    assert result.output == [3, 3, "ordered 5"]


async def test_tools_that_a_suspended_program_does_not_use_may_change_meanwhile(lasting_url):
    calls = Calls()
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, calls=calls)) as runtime:
        running = await begin(runtime)
        await parked(runtime)
    await cut(running)
    others = [tool for tool in calls.tools() if tool.name != "lookup"]
    async with lash.open(lasting_url, code_agent(ORDER_FOUR, tools=others)) as runtime:
        running = await begin(runtime)
        async with asyncio.timeout(WITHIN_S):
            while not running.done():
                await approve_all(runtime)
                await asyncio.sleep(0.01)
        assert (await running).output == [f"ordered {n}" for n in range(4)]
    assert calls == [("order", n) for n in range(4)]
