"""Ways to run: plain functions, the event loop, recording and replay; effects as data."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lashlang
from lashlang import (
    LATER,
    Effect,
    Execution,
    Failed,
    HostError,
    LangError,
    Limits,
    Ok,
    Recorder,
    Replay,
    compile_program,
    drive,
    each,
    run,
    run_async,
    surface_of_tools,
)

SURFACE = surface_of_tools(["echo", "add", "mail.send"], "processes", "sleep", "process_signals")


def asked(source: str, answer: Any = None) -> list[Effect]:
    """The effects of a program whose host says yes to everything."""
    seen: list[Effect] = []

    def host(effect: Effect) -> Ok:
        seen.append(effect)
        return Ok(answer)

    run(source, each(host), surface=SURFACE, run_id="r1")
    return seen


def test_tools_as_plain_functions_get_the_payload_and_give_the_value() -> None:
    tools = {"add": lambda p: p["a"] + p["b"], "mail.send": lambda p: {"sent": p}}
    result = run('submit [await tools.add({ a: 1, b: 2 })?, await mail.send("x", 2)?]', tools)
    assert result.value == [3, {"sent": {"args": ["x", 2]}}]


def test_host_error_is_a_value_and_other_exceptions_are_the_hosts_own() -> None:
    def refuses(payload: Any) -> Any:
        raise HostError("no room")

    source = "r = await tools.add({})\nsubmit [r.ok, r.error]"
    assert run(source, {"add": refuses}).value == [False, "no room"]

    def breaks(payload: Any) -> Any:
        raise KeyError("bug in the host")

    with pytest.raises(KeyError, match="bug in the host"):
        run(source, {"add": breaks})


def test_payload_is_the_single_record_or_a_list_of_arguments() -> None:
    source = "tools.echo({ a: 1 })\ntools.echo([1])\ntools.echo()\ntools.echo({}, 2)\nx = { b: 2.0 }\ntools.echo(x)"
    payloads = [effect.payload for effect in asked(source)]
    assert payloads == [{"a": 1}, {"args": [[1]]}, {"args": []}, {"args": [{}, 2]}, {"b": 2}]


def test_effects_are_numbered_and_keyed_by_run_ordinal_and_member() -> None:
    source = "for i in range(2) { r = await [tools.echo({ i: i }), tools.add({})] }\nt = tools\nx = await t.echo({})"
    effects = asked(source)
    assert [effect.key for effect in effects] == ["r1/0.0", "r1/0.1", "r1/1.0", "r1/1.1", "r1/2"]
    assert [effect.alias for effect in effects] == ["tools"] * 5
    assert len({effect.site for effect in effects[:4]}) == 1


def test_kinds_of_effects_and_what_they_carry() -> None:
    source = """
process p(a: any) { yield a wake { w: a } finish 1 }
h = start p(a: [1])
sleep for "1.5s"
sleep until "1970-01-01T00:00:01Z"
signal run h with 5
cancel h
x = await h
"""
    seen = [
        (effect.kind, effect.name, effect.payload)
        for effect in asked(source, {"__handle__": "process", "id": "p"})
    ]
    handle = {"__handle__": "process", "id": "p"}
    assert seen == [
        ("start", "p", {"a": [1]}),
        ("sleep", "for", 1500),
        ("sleep", "until", 1000),
        ("signal_run", "", {"run": handle, "payload": 5}),
        ("cancel", "", handle),
        ("await", "", handle),
    ]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("0", 0), ('"250"', 250), ('"250ms"', 250), ('"2m"', 120_000), ('"1.5h"', 5_400_000), ("0.2", 1)],
)
def test_sleep_reads_durations(text: str, milliseconds: int) -> None:
    assert [effect.payload for effect in asked(f"sleep for {text}")] == [milliseconds]


@pytest.mark.parametrize("text", ['"soon"', "-1", "0 / 0", '"5 days"', '""'])
def test_sleep_refuses_what_is_no_duration(text: str) -> None:
    result = run(f"sleep for {text}", surface=SURFACE)
    assert result.error is not None
    assert result.error.code == "value_error"


def test_join_settles_all_before_the_first_failure_in_source_order_aborts() -> None:
    seen: list[Any] = []

    def host(effect: Effect) -> Any:
        seen.append(effect.payload)
        return Failed(f"no {effect.payload['n']}")

    result = run(
        "submit await { a: tools.echo({ n: 1 }), b: [tools.echo({ n: 2 })?, tools.echo({ n: 3 })?] }",
        each(host),
        surface=SURFACE,
    )
    assert seen == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert result.error is not None
    assert "no 2" in result.error.message


def test_await_of_plain_data_passes_it_through_without_an_effect() -> None:
    source = "r = await tools.echo({})\nsubmit [await r, await [1, { a: null }], await {}]"
    seen: list[Effect] = []
    result = run(source, lambda effect: (seen.append(effect), Ok(7))[1], surface=SURFACE)
    assert result.value == [{"ok": True, "value": 7}, [1, {"a": None}], {}]
    assert len(seen) == 1


def test_host_that_answers_a_join_with_too_little_is_told_so() -> None:
    for answer in ([Ok(1)], Ok(1), "x", [1, 2]):
        with pytest.raises(LangError) as caught:
            run("x = await [tools.echo({}), tools.echo({})]", lambda _, a=answer: a, surface=SURFACE)
        assert caught.value.code == "invalid_outcome"


def test_waiting_run_gives_its_frame_in_the_result() -> None:
    result = run("print 1\nx = await tools.echo({})", lambda _: LATER, surface=SURFACE)
    assert (result.state, result.printed) == ("waiting", (1,))
    assert result.frame is not None
    assert result.frame.site == "main.1#0"


# --- recording and replay ---

PROGRAM = """
out = []
for i in range(4) {
  r = await tools.echo({ i: i })
  out = push(out, r.ok ? r.value : r.error)
}
both = await [tools.echo({ j: 1 }), tools.add({ j: 2 })]
submit { out: out, both: both }
"""


def _flaky(effect: Effect) -> Any:
    if effect.kind == "join":
        return [Ok(member.payload) for member in effect.members]
    return Failed("odd") if effect.payload["i"] % 2 else Ok(effect.payload)


def test_replay_repeats_a_run_without_the_host() -> None:
    recorder = Recorder(_flaky)
    first = run(PROGRAM, recorder, surface=SURFACE)
    assert len(recorder.records) == 5
    again = run(PROGRAM, Replay(recorder.records), surface=SURFACE)
    assert (again.value, again.fuel_used) == (first.value, first.fuel_used)


def test_replay_goes_on_where_the_recording_ends() -> None:
    recorder = Recorder(_flaky)
    first = run(PROGRAM, recorder, surface=SURFACE)
    seen: list[int] = []

    def live(effect: Effect) -> Any:
        seen.append(effect.ordinal)
        return _flaky(effect)

    assert run(PROGRAM, Replay(recorder.records[:2], live), surface=SURFACE).value == first.value
    assert seen == [2, 3, 4]
    waiting = run(PROGRAM, Replay(recorder.records[:2]), surface=SURFACE)
    assert waiting.state == "waiting"


def test_replay_names_the_place_where_a_program_asks_for_something_else() -> None:
    recorder = Recorder(_flaky)
    run(PROGRAM, recorder, surface=SURFACE)
    changed = PROGRAM.replace("{ i: i }", "{ i: i + 1 }")
    for source in (changed, "x = await tools.echo({ i: 0 })", PROGRAM.replace("tools.add", "tools.echo")):
        with pytest.raises(LangError) as caught:
            run(source, Replay(recorder.records), surface=SURFACE)
        assert caught.value.code == "replay_mismatch"
        assert isinstance(caught.value.facts["ordinal"], int)


# --- the event loop ---


async def test_members_of_a_join_wait_together() -> None:
    running = 0
    both = asyncio.Event()

    async def host(effect: Effect) -> Ok:
        nonlocal running
        running += 1
        if running == 2:
            both.set()
        await both.wait()
        return Ok(effect.payload)

    result = await run_async(
        "submit await [tools.echo({ a: 1 })?, tools.add({ b: 2 })?]", host, surface=SURFACE
    )
    assert result.value == [{"a": 1}, {"b": 2}]


async def test_failures_and_host_errors_are_values_on_the_loop_too() -> None:
    async def host(effect: Effect) -> Any:
        if effect.name == "add":
            raise HostError("never")
        return Failed("not now")

    result = await run_async("submit await [tools.echo({}), tools.add({})]", host, surface=SURFACE)
    assert result.value == [{"ok": False, "error": "not now"}, {"ok": False, "error": "never"}]


async def test_computing_leaves_the_loop_free_and_cancelling_the_task_stops_it() -> None:
    execution = Execution(compile_program("while true { x = 1 }", SURFACE), limits=Limits(fuel=10**12))

    async def host(effect: Effect) -> Ok:
        return Ok(None)

    task = asyncio.create_task(drive(execution, host))
    ticks = 0
    while ticks < 20:
        await asyncio.sleep(0)
        ticks += 1
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert execution.error is not None
    assert execution.error.code == "cancelled"


async def test_straight_program_runs_inline_and_a_loop_gives_the_same_answers_apart() -> None:
    async def host(effect: Effect) -> Ok:
        return Ok(effect.payload)

    source = "out = []\nfor i in range(3) { out = push(out, (await tools.echo({ i: i })?).i) }\nsubmit out"
    apart = await run_async(source, host, surface=SURFACE)
    inline = await drive(Execution(compile_program(source, SURFACE)), host, offload=False)
    assert apart.value == inline.value == [0, 1, 2]
    assert apart.fuel_used == inline.fuel_used


# --- compiling ---


def test_compiled_code_is_reused_for_the_same_text_on_an_equal_surface() -> None:
    source = "x = 1 + 1"
    again = surface_of_tools(["echo", "add", "mail.send"], "processes", "sleep", "process_signals")
    assert compile_program(source, SURFACE) is compile_program(source, again)
    assert compile_program(source, SURFACE) is not compile_program(source, surface_of_tools(["other"]))
    assert compile_program(source, SURFACE) is not compile_program(source, SURFACE, projected=["x"])


def test_process_reads_its_definition_value_with_the_refs_of_its_module() -> None:
    source = "process p(a: int) { finish a }\nsubmit p"
    value = run(source, surface=SURFACE).value
    artifact = lashlang.ModuleArtifact.from_program(lashlang.check(lashlang.parse(source), SURFACE))
    assert value["module_ref"] == artifact.module_ref
    assert value["process_ref"] == {"component": artifact.exports.processes["p"].component, "pos": 0}
