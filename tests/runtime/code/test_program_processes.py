"""Processes that programs declare: run in the background, suspended as data, checked before they run."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from tests.contract.settable import SettableClock
from tests.runtime.code.programs import Calls, code_agent
from tests.runtime.code.test_waits import approve_all, begin, cut, finished, lasting_url
from tests.runtime.conftest import *  # noqa: F403  # the fixtures of a runtime over each backend

import lash
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    LashlangProcessInput,
    ProcessAwaitOutput,
    ProcessProvenance,
    ProcessRecord,
    ProcessRegistration,
    ProcessScope,
)
from lashlang import HostSurface, ModuleArtifact, check, parse

__all__ = ["lasting_url"]

WITHIN_S = 60


async def only_process(runtime: lash.Runtime) -> ProcessRecord:
    """Return the process that the session has started, once it is there."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = await runtime.database.process_registry.list_handle_grants(ProcessScope(session_id="s"))
            if found:
                return found[0][1]
            await asyncio.sleep(0.01)


async def output_of(runtime: lash.Runtime, process_id: str) -> ProcessAwaitOutput:
    async with asyncio.timeout(WITHIN_S):
        return await runtime.database.process_registry.await_process(process_id)


async def parked_on(runtime: lash.Runtime, process_id: str) -> tuple[str, ...]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = await runtime.database.process_registry.parked_processes([process_id])
            if process_id in found:
                return found[process_id]
            await asyncio.sleep(0.01)


def in_background(body: str, call: str = "work()") -> str:
    return f"process {call.replace('()', '')}() {{\n{body}\n}}\njob = start {call}\nsubmit job.id"


async def test_a_program_starts_a_process_and_awaits_its_value(url):
    program = """
process double(n: int) { finish n * 2 }
jobs = [start double(n: 2), start double(n: 3)]
submit await jobs
"""
    async with lash.open(url, code_agent(program)) as runtime:
        result = await finished(await begin(runtime))
    assert result.output == [{"ok": True, "value": 4}, {"ok": True, "value": 6}]


async def test_a_failed_process_is_a_value_to_who_awaits_it(url):
    program = 'process bad() { fail { why: "rain" } }\nr = await start bad()\nsubmit [r.ok, r.error]'
    async with lash.open(url, code_agent(program)) as runtime:
        result = await finished(await begin(runtime))
    assert result.output == [False, '{"why": "rain"}']


async def test_a_process_calls_tools_yields_and_ends_after_its_turn(url):
    calls = Calls()
    body = """
  total = 0
  for key in ["a", "bb"] {
    r = await tools.lookup({ key: key })?
    total = total + r.length
    yield { so_far: total }
  }
  finish total
"""
    async with lash.open(url, code_agent(in_background(body), calls=calls)) as runtime:
        process_id = (await finished(await begin(runtime))).output
        assert await output_of(runtime, process_id) == AwaitSuccess(3)
        events = await runtime.database.process_registry.events_after(process_id, 0)
    assert calls == [("lookup", "a"), ("lookup", "bb")]
    assert [event.payload["value"] for event in events if event.event_type == "process.yield"] == [
        {"so_far": 1},
        {"so_far": 3},
    ]


async def test_signals_reach_a_waiting_process_in_order(url):
    program = """
process listen() {
  first = wait signal
  second = wait signal
  finish [first, second]
}
job = start listen()
signal run job with { n: 1 }
signal run job with { n: 2 }
submit (await job)?
"""
    async with lash.open(url, code_agent(program)) as runtime:
        assert (await finished(await begin(runtime))).output == [{"n": 1}, {"n": 2}]


async def test_a_cancelled_process_ends_as_cancelled(url):
    program = "process idle() { x = wait signal\nfinish x }\njob = start idle()\ncancel job\nr = await job\nsubmit r.ok"
    async with lash.open(url, code_agent(program)) as runtime:
        assert (await finished(await begin(runtime))).output is False
        record = await only_process(runtime)
        assert isinstance(await output_of(runtime, record.id), AwaitCancelled)


async def test_a_process_that_computes_for_ever_is_cancelled_too(url):
    limits = lash.Limits(program_fuel=10**12)
    agent = code_agent(in_background("n = 0\nwhile true { n = n + 1 }"), limits=limits)
    async with lash.open(url, agent) as runtime:
        process_id = (await finished(await begin(runtime))).output
        await runtime.processes.cancel(process_id)
        assert isinstance(await output_of(runtime, process_id), AwaitCancelled)


def computing() -> bool:
    """Whether a thread of this process runs a program now."""
    for frame in sys._current_frames().values():
        while frame is not None:
            if frame.f_code.co_filename == "<lashlang>":
                return True
            frame = frame.f_back
    return False


async def test_a_runtime_that_closes_does_not_wait_for_a_process_that_computes(url):
    limits = lash.Limits(program_fuel=10**12, program_time_ms=None)
    agent = code_agent(in_background("n = 0\nwhile true { n = n + 1 }"), limits=limits)
    async with asyncio.timeout(WITHIN_S):
        async with lash.open(url, agent) as runtime:
            process_id = (await finished(await begin(runtime))).output
            registry = runtime.database.process_registry
            while not (await registry.get_process(process_id)).attempts:
                await asyncio.sleep(0.01)
            while not computing():
                await asyncio.sleep(0.01)
    async with asyncio.timeout(WITHIN_S):
        while computing():
            await asyncio.sleep(0.01)


async def test_an_error_of_a_process_has_its_text(url):
    agent = code_agent(in_background('x = [1][9].y.z\nfinish validate("a", Type { n: int })'))
    async with lash.open(url, agent) as runtime:
        process_id = (await finished(await begin(runtime))).output
        ended = await output_of(runtime, process_id)
    assert isinstance(ended, AwaitFailure)
    assert ended.code == "process_runtime_error"


async def test_a_process_that_uses_up_its_fuel_says_so(url):
    agent = code_agent(
        in_background("n = 0\nwhile true { n = n + 1 }"), limits=lash.Limits(program_fuel=10_000)
    )
    async with lash.open(url, agent) as runtime:
        process_id = (await finished(await begin(runtime))).output
        ended = await output_of(runtime, process_id)
    assert isinstance(ended, AwaitFailure)
    assert (ended.code, ended.failure_class) == ("process_runtime_error", "resource_limit")


async def test_another_runtime_goes_on_with_a_process_in_its_loop(lasting_url):
    calls = Calls()
    body = """
  got = []
  for i in range(4) { got = push(got, await tools.order({ amount: i })?) }
  finish got
"""
    agent = code_agent(in_background(body), calls=calls)
    async with lash.open(lasting_url, agent) as runtime:
        process_id = (await finished(await begin(runtime))).output
        (key,) = await parked_on(runtime, process_id)
        assert key.startswith("approval:s:")
        assert key.endswith(":p0.2")
        frame = await runtime.database.process_registry.process_frame(process_id)
        assert frame is not None
        assert frame.find(b"lashF") >= 0
    assert calls == [("order", 0), ("order", 1)]
    async with lash.open(lasting_url, agent) as runtime:
        async with asyncio.timeout(WITHIN_S):
            while not (await runtime.database.process_registry.get_process(process_id)).is_terminal:
                await approve_all(runtime)
                await asyncio.sleep(0.02)
        ended = await output_of(runtime, process_id)
    assert ended == AwaitSuccess([f"ordered {n}" for n in range(4)])
    assert calls == [("order", n) for n in range(4)]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_process_that_sleeps_is_parked_with_its_frame_and_ends_when_its_time_has_come(kind, tmp_path):
    clock = SettableClock()
    agent = code_agent(in_background('before = 1\nsleep for "3h"\nfinish before + 1'))
    async with lash.open(
        "memory:" if kind == "memory" else str(tmp_path / "a.db"), agent, clock=clock
    ) as runtime:
        process_id = (await finished(await begin(runtime))).output
        (key,) = await parked_on(runtime, process_id)
        assert key.startswith("sleep:process:")
        clock.advance(3 * 3_600_000)
        await runtime.database.durable_waits.resolve_due()
        assert await output_of(runtime, process_id) == AwaitSuccess(2)


async def test_a_turn_that_awaits_a_slow_process_is_parked_and_another_runtime_goes_on(lasting_url):
    program = """
process slow() { r = await tools.order({ amount: 5 })
  finish r.value }
note = "before"
r = await start slow()
submit [note, r.value]
"""
    async with lash.open(lasting_url, code_agent(program)) as runtime:
        running = await begin(runtime)
        record = await only_process(runtime)
        async with asyncio.timeout(WITHIN_S):
            while (await runtime.database.turn_ingress.find_turn("s", "t1")).parked_on != (
                f"process:{record.id}",
            ):
                await asyncio.sleep(0.01)
    await cut(running)
    async with lash.open(lasting_url, code_agent(program)) as runtime:
        running = await begin(runtime)
        async with asyncio.timeout(WITHIN_S):
            while not running.done():
                await approve_all(runtime)
                await asyncio.sleep(0.02)
        assert (await running).output == ["before", "ordered 5"]
        granted = await runtime.database.process_registry.list_handle_grants(ProcessScope(session_id="s"))
    assert [record.id for _, record in granted] == [record.id]


# ---- what cannot be run

WORK = 'process work(n: int) { r = await tools.lookup({ key: "k" })?\nfinish n }'


def module_of(agent: lash.Agent, source: str = WORK) -> ModuleArtifact:
    from lash.runtime.code import code_surface

    return ModuleArtifact.from_program(
        check(parse(source), code_surface(agent.tools, abilities=("processes",)).host)
    )


def asked_of(module: ModuleArtifact, **changes: Any) -> LashlangProcessInput:
    reference = module.exports.processes["work"]
    terms: dict[str, Any] = {
        "module_ref": module.module_ref,
        "process_ref": {"component": reference.component, "pos": reference.pos},
        "required_surface_ref": module.required_surface_ref,
        "process_name": "work",
        "args": {"n": 1},
    }
    return LashlangProcessInput(**(terms | changes))


async def end_of(runtime: lash.Runtime, asked: LashlangProcessInput) -> ProcessAwaitOutput:
    await runtime.session("s")
    await runtime.database.process_registry.register_process(
        ProcessRegistration(
            id="process:p",
            input=asked,
            provenance=ProcessProvenance(
                owner_scope=ProcessScope(session_id="s"), host_profile_id="agent:coder"
            ),
        )
    )
    return await output_of(runtime, "process:p")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"module_ref": "lashlang:v1:sha256:" + "0" * 64}, "process_module_artifact_missing"),
        (
            {"required_surface_ref": "lashlang-surface:v1:sha256:" + "0" * 64},
            "process_required_surface_mismatch",
        ),
        ({"process_name": "other"}, "process_ref_mismatch"),
        ({"process_ref": {"component": "0" * 64, "pos": 0}}, "process_ref_mismatch"),
        ({"process_ref": {"nonsense": 1}}, "process_ref_mismatch"),
        ({"args": {}}, "process_args_invalid"),
    ],
)
async def test_a_process_that_is_not_what_its_start_says_ends_with_a_code_of_its_own(changes, code):
    agent = code_agent("submit 1")
    module = module_of(agent)
    async with lash.open("memory:", agent) as runtime:
        await runtime.database.artifact_store.put_module_artifact(module)
        ended = await end_of(runtime, asked_of(module, **changes))
    assert isinstance(ended, AwaitFailure)
    assert ended.code == code


async def test_a_process_whose_operations_are_gone_says_which(url):
    whole = code_agent("submit 1")
    module = module_of(whole)
    without = code_agent("submit 1", tools=[tool for tool in Calls().tools() if tool.name != "lookup"])
    async with lash.open(url, without) as runtime:
        await runtime.database.artifact_store.put_module_artifact(module)
        ended = await end_of(runtime, asked_of(module))
    assert isinstance(ended, AwaitFailure)
    assert ended.code == "process_surface_incompatible"
    assert "lookup" in ended.message


async def test_a_process_is_run_from_the_stored_module_alone(url):
    agent = code_agent("submit 1")
    module = module_of(agent)
    async with lash.open(url, agent) as runtime:
        await runtime.database.artifact_store.put_module_artifact(module)
        assert await end_of(runtime, asked_of(module, args={"n": 41})) == AwaitSuccess(41)


async def test_a_surface_without_what_the_process_needs_is_found_before_anything_runs():
    assert module_of(code_agent("submit 1")).required_surface.missing_from(HostSurface())
