"""Programs that go on in a clean context: their seed crosses over, and nothing else."""

from __future__ import annotations

from typing import Any

from tests.runtime.code.programs import Calls, block
from tests.runtime.conftest import *  # noqa: F403  # the fixtures of a runtime over each backend

import lash
from lash.plugins import ContinueAs
from lash.testing import ScriptedModel, reply


def switching(request: Any) -> Any:
    """The model: what it writes follows from what it is shown, in either frame."""
    if "the second part" in request.messages[0].text:
        return reply(block("kept = kept + 1\nsubmit [kept, len(history), history[0].content]"))
    if "other" in request.messages[-1].text.split("Step")[0]:
        return reply(
            block(
                'await tools.continue_as({ task: "the second part", seed: { kept: other } })?\nprint "never"'
            )
        )
    return reply(block("other = 41\nprint other"))


def agent() -> lash.Agent:
    return lash.Agent(
        "coder",
        model=ScriptedModel(switching),
        tools=Calls().tools(),
        protocol="code",
        plugins=[ContinueAs()],
    )


async def test_a_program_goes_on_in_a_new_frame_with_its_seed_alone(url):
    one = agent()
    async with lash.open(url, one) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        assert result.output == [42, 2, "the second part"]
        assert result.stop is None
        assert len(await session.frames()) == 2
        complete = [message.text for message in await session.history()]
    status = one.model.requests[2].messages[-1].text
    assert "kept: int = 41" in status
    assert "other" not in status
    assert complete[0] == "go"
    assert any("the second part" in text for text in complete)


async def test_the_variables_of_the_new_frame_stay_for_the_next_turn(url):
    async with lash.open(url, agent()) as runtime:
        session = await runtime.session("s")
        await session.turn("go")
        assert (await session.turn("again")).output[0] == 43
