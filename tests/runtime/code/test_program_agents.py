"""Programs that ask other agents: each is an operation, and several are asked side by side."""

from __future__ import annotations

from typing import Any

from tests.runtime.code.programs import code_agent
from tests.runtime.code.test_waits import begin, finished
from tests.runtime.conftest import *  # noqa: F403  # the fixtures of a runtime over each backend

import lash
from lash.testing import ScriptedModel, reply


async def test_a_program_asks_two_agents_at_once_and_goes_on_with_both_answers(url):
    def answer(request: Any) -> Any:
        return reply(f"answer to {request.messages[0].text}")

    child = lash.Agent("child", model=ScriptedModel(answer))
    program = 'both = await [tools.child({ input: "a" })?, tools.child({ input: "b" })?]\nsubmit both'
    async with lash.open(url, code_agent(program, tools=[child.as_tool()])) as runtime:
        result = await finished(await begin(runtime))
    assert result.output == ["answer to a", "answer to b"]
    assert [call.name for call in result.tool_calls] == ["child", "child"]
