"""Programs that subscribe to events: what is registered is what was written, once, and it starts what it names."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from tests.runtime.code.programs import block, code_agent
from tests.runtime.code.test_waits import begin, finished
from tests.runtime.conftest import *  # noqa: F403  # the fixtures of a runtime over each backend

import lash
from lash.testing import reply

WITHIN_S = 60


class Pressed(msgspec.Struct):
    id: int


BUTTON = lash.EventSource(type="panel.button", payload=Pressed)
REGISTER = """
process on_press(e: panel.button.Event, who: str) { wake { text: format("{} pressed {}", who, e.id) } }
h = await triggers.register({
  source: panel.button("left"), target: on_press, inputs: { e: trigger.event, who: "ann" }, name: "press"
})?
submit h
"""


async def woken(session: lash.Session, text: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not any(text in message.text for message in await session.history()):
            await asyncio.sleep(0.02)


async def test_a_program_subscribes_and_every_event_starts_its_process(url):
    def step(request: Any) -> Any:
        return reply(block(REGISTER)) if len(request.messages) == 2 else reply("noted")

    async with lash.open(url, code_agent(step), events=[BUTTON]) as runtime:
        session = await runtime.session("s")
        handle = (await session.turn("go")).output
        assert handle["type"] == "trigger_handle"
        for number in (7, 8):
            left = lash.EventSource(type="panel.button", value="left")
            emitted = await runtime.emit(left, {"id": number}, idempotency_key=str(number))
            assert len(emitted.deliveries) == 1
            await woken(session, f"ann pressed {number}")
        right = lash.EventSource(type="panel.button", value="right")
        assert (await runtime.emit(right, {"id": 9}, idempotency_key="9")).deliveries == ()


async def test_registering_listing_and_cancelling_agree(url):
    program = (
        REGISTER.replace("submit h", "")
        + """
listed = await triggers.list({ name: "press" })?
gone = await triggers.cancel({ handle: h })?
again = await triggers.cancel({ handle: h })?
submit { listed: listed, gone: gone, again: again, left: await triggers.list({ name: "press", enabled: true })? }
"""
    )
    async with lash.open(url, code_agent(program), events=[BUTTON]) as runtime:
        output = (await finished(await begin(runtime))).output
    (listed,) = output["listed"]
    assert (listed["name"], listed["source_type"], listed["source"]) == ("press", "panel.button", "left")
    assert listed["target"]["process_name"] == "on_press"
    assert listed["target"]["inputs"] == {"e": {"kind": "event"}, "who": {"kind": "fixed", "value": "ann"}}
    assert (output["gone"], output["again"], output["left"]) == (True, False, [])


async def test_a_block_that_is_run_again_subscribes_once(url):
    program = REGISTER.replace('name: "press"', 'subscription_key: "press"').replace("submit h", "print h.id")
    async with lash.open(url, code_agent(program, program, "submit 1"), events=[BUTTON]) as runtime:
        await finished(await begin(runtime))
        assert len(await runtime.triggers.list()) == 1


async def test_a_schedule_that_cannot_be_kept_is_told_to_the_program(url):
    program = """
process tick(t: schedule.Tick) { finish t.due_at_ms }
r = await triggers.register({
  source: schedule.Interval({ seconds: 0.001 }), target: tick, inputs: { t: trigger.event }
})
submit r
"""
    async with lash.open(url, code_agent(program)) as runtime:
        output = (await finished(await begin(runtime))).output
    assert output["ok"] is False
    assert "schedule_invalid" in output["error"]


async def test_the_prompt_names_sources_with_their_events(url):
    agent = code_agent("submit 1")
    async with lash.open(url, agent, events=[BUTTON]) as runtime:
        await finished(await begin(runtime))
    told = agent.model.requests[0].instructions
    assert "panel.button(any): a source of events panel.button.Event { id: int }" in told
    assert "schedule.Cron({ expression: str, tz: str? }): a source of events schedule.Tick" in told
