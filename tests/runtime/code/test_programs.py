"""Code mode as a user has it, over each backend."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest
from tests.runtime.code.programs import Calls, block, code_agent
from tests.runtime.conftest import *  # noqa: F403  # the fixtures of a runtime over each backend

import lash
from lash.testing import reply
from lash.tools import WithControl
from lash.values import (
    AssistantReasoningDelta,
    AssistantTextDelta,
    AttachmentPart,
    CodeBlockCompleted,
    CodeBlockStarted,
    FailTurn,
    FinishTurn,
    ModelAttemptReset,
    ModelRequest,
    ProgramEnded,
)


async def turn(url: str, agent: lash.Agent, text: str = "go", **options: Any) -> lash.TurnResult:
    """One turn in a runtime of its own."""
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        return await session.turn(text, **options)


async def test_programs_call_tools_and_submit_the_answer(url):
    calls = Calls()
    agent = code_agent(
        'r = await tools.lookup({ key: "abc" })?\nprint r.length',
        "both = await { a: tools.pay({ amount: r.length })?, b: tools.order({ amount: 1 })? }\nsubmit both",
        calls=calls,
    )
    result = await turn(url, agent)
    assert result.output == {"a": "paid 3", "b": "ordered 1"}
    assert result.stop is None
    assert sorted(calls) == [("lookup", "abc"), ("order", 1), ("pay", 3)]
    assert [call.name for call in result.tool_calls] == ["lookup", "pay", "order"]


async def test_a_failed_call_is_a_value_to_the_program_and_ends_it_behind_a_question_mark(url):
    agent = code_agent(
        'r = await tools.fail({ why: "rain" })\nprint r\nx = await tools.fail({ why: "snow" })?\nprint "never"',
        "submit [r.ok, r.error]",
    )
    result = await turn(url, agent)
    assert result.output == [False, "Error (no_luck): rain"]
    assert [call.is_error for call in result.tool_calls] == [True, True]


async def test_arguments_that_do_not_fit_are_told_before_anything_runs(url):
    calls = Calls()
    agent = code_agent(
        'await tools.pay({ amount: 1 })?\nawait tools.pay({ amount: "two" })?', "submit 1", calls=calls
    )
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("go")
        told = (await session.history())[2].text
    assert "incompatible_operation_input" in told
    assert calls == []


async def test_variables_stay_over_programs_turns_and_restarts(url):
    def count(request: ModelRequest) -> Any:
        known = "seen: int" in request.messages[-1].text  # as a model reads what is bound
        return reply(block("seen = seen + 1\nsubmit seen" if known else "seen = 1\nsubmit seen"))

    agent = code_agent(count)
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        assert [(await session.turn(str(n))).output for n in range(3)] == [1, 2, 3]
    if url != "memory:":
        assert (await turn(url, agent)).output == 4


async def test_what_a_failed_program_assigned_before_its_failure_stays(url):
    agent = code_agent("a = 1\nb = [1][7].x.y", "submit a")
    assert (await turn(url, agent)).output == 1


async def test_a_program_that_is_no_program_is_told_with_its_place(url):
    agent = code_agent("x = = 1", "submit 2")
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        assert (await session.turn("go")).output == 2
        told = (await session.history())[2].text
    assert "line 1, column 5" in told


async def test_endless_programs_are_stopped_by_fuel_and_the_model_goes_on(url):
    limits = lash.Limits(program_fuel=10_000)
    agent = code_agent("n = 0\nwhile true { n = n + 1 }", "submit n", limits=limits)
    assert (await turn(url, agent)).output == 10_000


async def test_a_program_that_holds_too_much_is_stopped(url):
    limits = lash.Limits(program_memory_bytes=100_000)
    agent = code_agent("xs = []\nwhile true { xs = push(xs, xs) }", "submit 1", limits=limits)
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("go")
        assert "memory_exhausted" in (await session.history())[2].text


class Verdict(msgspec.Struct):
    good: bool
    why: str


async def test_a_typed_answer_is_submitted_checked_and_repaired(url):
    agent = code_agent('submit { good: "yes" }', 'submit { good: true, why: "so" }', output=Verdict)
    result = await turn(url, agent)
    assert result.output == Verdict(good=True, why="so")
    assert result.model_calls == 2


async def test_prose_ends_a_turn_without_a_typed_output_only(url):
    assert (await turn(url, code_agent(reply("Four.")))).text == "Four."
    stopped = await turn(
        url,
        code_agent(*[reply("Four.")] * 3, output=Verdict, limits=lash.Limits(max_program_repairs=2)),
        turn_id="t2",
    )
    assert stopped.stop == "invalid_output"


async def test_a_long_output_is_cut_for_the_model_and_whole_in_a_later_program(url):
    agent = code_agent(
        'long = join(["line" for i in range(5000)], " ")\nprint "short"\nprint long',
        "whole = history[2].output\nsubmit [len(history), whole[0], len(whole[1]), history[0].content]",
    )
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        told = (await session.history())[2].text
    assert result.output == [4, "short", 24_999, "go"]
    assert len(told) < 11_000
    assert "the whole text is `history[2].output[1]`" in told


async def test_the_history_of_earlier_turns_is_there_after_a_restart(url):
    if url == "memory:":
        pytest.skip("a memory database does not outlive its runtime")
    first = code_agent('print join(["word" for i in range(4000)], " ")', 'submit "done"')
    await turn(url, first, "the first question")
    second = code_agent("submit [history[0].content, len(history[2].output[0]), history[5].content]")
    result = await turn(url, second, "the second question")
    assert result.output == ["the first question", 19_999, "done"]


async def test_the_prompt_tells_operations_and_variables_and_its_fixed_part_never_moves(url):
    agent = code_agent('big = range(1000)\nname = "Ada"', "x = 1", "submit 1")
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("go")
        await session.turn("again")
    requests = agent.model.requests
    assert {request.instructions for request in requests} == {requests[0].instructions}
    assert "tools.lookup({ key: str }) -> dict\n    Look something up." in requests[0].instructions
    assert all((request.tools, request.passing) == ((), 1) for request in requests)
    status = requests[2].messages[-1].text
    assert 'name: str = "Ada"' in status
    assert "big: list[int], 1,000 items: [0, 1, 2," in status
    for before, after in itertools.pairwise(requests):
        fixed = list(before.messages)[:-1]
        assert list(after.messages)[: len(fixed)] == fixed


async def test_a_watcher_sees_prose_as_reasoning_and_the_program_as_a_program(url):
    agent = code_agent(reply(block("print 1", "I count.\n")), reply("It is one."))
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        events = [event async for event in session.turn("go").events()]
    rows: dict[str, str] = {}
    for event in events:
        match event.activity:
            case AssistantTextDelta(text=text):
                rows[event.correlation_id] = rows.get(event.correlation_id, "") + text
            case ModelAttemptReset(correlation_ids=taken_back):
                for row in taken_back:
                    rows.pop(row, None)
            case _:
                pass
    assert list(rows.values()) == ["It is one."]
    kinds = [event.activity for event in events]
    assert "".join(one.text for one in kinds if isinstance(one, AssistantReasoningDelta)) == "I count.\n"
    assert [
        type(one) for one in kinds if isinstance(one, CodeBlockStarted | CodeBlockCompleted | ProgramEnded)
    ] == [
        CodeBlockStarted,
        CodeBlockCompleted,
        ProgramEnded,
    ]
    assert next(one for one in kinds if isinstance(one, ProgramEnded)).output == ("1",)


async def test_a_cancelled_turn_stops_a_program_that_computes(url):
    agent = code_agent(
        "started = true\nn = 0\nwhile true { n = n + 1 }", limits=lash.Limits(program_fuel=10**12)
    )
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        running = session.turn("go", turn_id="t1")
        seen = asyncio.Event()

        async def watch() -> None:
            async for event in running.events():
                if isinstance(event.activity, CodeBlockCompleted):
                    seen.set()

        watcher = asyncio.ensure_future(watch())
        await seen.wait()
        await session.cancel("t1")
        async with asyncio.timeout(30):
            await watcher
        result = await session.result("t1")
    assert result is not None
    assert result.stop == "cancelled"


async def test_bindings_are_read_by_reference_and_never_shown_whole(url):
    rows = [{"id": n, "city": "Ulm" if n % 2 else "Bonn"} for n in range(2000)]
    read: list[str] = []

    async def orders(uri: str) -> Any:
        read.append(uri)
        return rows

    options = lash.CodeOptions(
        bindings={
            "rows": lash.Binding.ref("orders:2024", type="list[{ id: int, city: str }]", preview="2,000 rows")
        },
        resolvers={"orders": orders},
    )
    agent = code_agent(
        "print len(rows)", "rows[0].id = 5", 'submit len([r for r in rows if r.city == "Ulm"])', code=options
    )
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        history = await session.history()
    assert result.output == 1000
    assert read
    assert set(read) == {"orders:2024"}
    assert "read-only" in history[4].text
    prompt = agent.model.requests[-1]
    assert "`rows`: list[{ id: int, city: str }]; 2,000 rows" in prompt.instructions
    assert not any('"Ulm"}' in message.text for message in prompt.messages)


async def test_a_binding_that_fails_is_told_to_the_program(url):
    def broken(uri: str) -> Any:
        raise OSError("gone")

    options = lash.CodeOptions(bindings={"rows": lash.Binding.ref("x:1")}, resolvers={"x": broken})
    agent = code_agent("print len(rows)", 'submit "gave up"', code=options)
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        assert (await session.turn("go")).output == "gave up"
        assert "binding_unavailable" in (await session.history())[2].text


async def test_code_options_are_refused_where_they_could_not_work():
    with pytest.raises(lash.LashError) as caught:
        lash.CodeOptions(bindings={"rows": lash.Binding.ref("orders:1")})
    assert caught.value.code == "code_options_invalid"
    with pytest.raises(lash.LashError) as caught:
        lash.CodeOptions(bindings={"history": lash.Binding.ref("attachment:1")})
    assert caught.value.code == "code_options_invalid"
    with pytest.raises(lash.LashError) as caught:
        lash.Agent("a", model="local:smollm2", code=lash.CodeOptions())
    assert caught.value.code == "agent_invalid"


async def test_a_picture_that_a_program_prints_is_shown_to_the_model(url):
    @lash.tool(effect="read_only")
    async def draw(name: str) -> lash.Attachment:
        """Draw something."""
        return lash.Attachment(b"picture of " + name.encode(), "image/png", label=name)

    agent = code_agent(
        'p = await tools.draw({ name: "cat" })?\nq = await tools.draw({ name: "dog" })?\nprint p',
        "submit 1",
        tools=[draw],
    )
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("go")
        output = (await session.history())[2]
    (shown,) = [part.ref for part in output.parts if isinstance(part, AttachmentPart)]
    assert shown.label == "cat"
    assert list(agent.model.requests[1].attachments.values()) == [b"picture of cat"]


async def test_a_turn_brings_values_of_its_own_from_attachments(url):
    agent = code_agent("submit [len(rows), rows[1].n, len(text)]")
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        rows = await session.attach(b'[{"n": 1}, {"n": 2}]', "application/json")
        text = await session.attach("é".encode() * 9, "text/plain; charset=utf-8")
        bindings = {
            "rows": lash.Binding.ref(f"attachment:{rows.id}", type="list[{ n: int }]"),
            "text": lash.Binding.ref(f"attachment:{text.id}"),
        }
        assert (await session.turn("go", bindings=bindings)).output == [2, 2, 9]
        with pytest.raises(lash.LashError) as caught:
            session.turn("go", bindings={"rows": lash.Binding.ref("ftp://x")})
        assert caught.value.code == "code_options_invalid"
    assert "rows (read-only): list[{ n: int }]" in agent.model.requests[0].messages[-1].text


async def test_bindings_are_refused_for_an_agent_that_runs_no_programs():
    agent = lash.Agent("plain", model="local:smollm2")
    async with lash.open("memory:", agent, work=False) as runtime:
        session = await runtime.session("s", agent)
        with pytest.raises(lash.LashError) as caught:
            session.turn("go", bindings={"rows": lash.Binding.ref("attachment:1")})
    assert caught.value.code == "code_options_invalid"


async def test_a_cancelled_turn_keeps_what_its_program_did(url):
    calls = Calls()
    entered = asyncio.Event()

    @lash.tool(effect="read_only")
    async def hang() -> str:
        """Never end."""
        entered.set()
        await asyncio.Event().wait()
        return "never"

    program = """
print "begun"
r = await tools.pay({ amount: 3 })?
h = await tools.hang({})
x = await tools.pay({ amount: 4 })?
"""
    agent = code_agent(program, tools=[*calls.tools(), hang])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        await entered.wait()
        await session.cancel("t1")
        async with asyncio.timeout(60):
            result = await running
        told = (await session.history())[2].text
    assert result.stop == "cancelled"
    assert calls == [("pay", 3)]
    assert [(call.name, call.is_error) for call in result.tool_calls] == [("pay", False), ("hang", True)]
    assert told == "Output:\nbegun\nThe program failed.\nThe program was stopped: the turn was cancelled."


async def test_a_cancelled_turn_does_not_wait_for_a_sleeping_program(url):
    agent = code_agent('print "begun"\nsleep for "900ms"\nsleep for "900ms"\nsubmit 1')
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        while not agent.model.responses:
            await asyncio.sleep(0.01)
        await session.cancel("t1")
        async with asyncio.timeout(60):
            result = await running
    assert result.stop == "cancelled"


@pytest.mark.parametrize("ends", ["finish", "fail"])
async def test_a_call_may_end_the_turn_and_the_calls_beside_it_are_told(url, ends):
    calls = Calls()

    @lash.tool(effect="read_only")
    async def stop() -> WithControl:
        """End the turn."""
        return WithControl("stopped", FinishTurn("all done") if ends == "finish" else FailTurn("enough"))

    program = "both = await [tools.stop({})?, tools.pay({ amount: 1 })?]\nr = await tools.pay({ amount: 2 })?"
    result = await turn(url, code_agent(program, tools=[stop, *calls.tools()]))
    assert (result.stop, result.output) == (
        (None, "all done") if ends == "finish" else ("tool_failure", None)
    )
    assert [call.name for call in result.tool_calls] == ["stop", "pay"]
    assert calls == [("pay", 1)]
