"""The work with the OpenAI Agents SDK: `Runner.run` with a `SQLiteSession`, its documented way to keep a conversation.

Settings: the session sets WAL itself; its connections are private and keep the default of SQLite,
`synchronous=FULL`. Tracing is off, so that nothing leaves the machine. A run that died is not kept by the SDK (its
`RunState` is for runs that stopped to ask for approval), so that all a caller can do after a crash is to run again.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agents import (
    Agent,
    Model,
    ModelResponse,
    Runner,
    SQLiteSession,
    Usage,
    function_tool,
    set_tracing_disabled,
)
from agents.tool_context import ToolContext
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from peers.workload import ANSWER, PROMPT, RESULT, USER, Conversation, Recovered, Scene

set_tracing_disabled(True)


class Scripted(Model):
    """A model that follows a script: a function of the items that it is given."""

    def __init__(self, script: Callable[[list[Any]], list[Any]]) -> None:
        self._script = script

    async def get_response(
        self, system_instructions: object, input: str | list[Any], *_: object, **__: object
    ) -> ModelResponse:
        items = [{"role": "user", "content": input}] if isinstance(input, str) else input
        usage = Usage(requests=1, input_tokens=100, output_tokens=20, total_tokens=120)
        return ModelResponse(output=self._script(items), usage=usage, response_id=None)

    def stream_response(self, *_: object, **__: object) -> Any:
        raise AssertionError("nobody here streams")


def called(name: str, arguments: str) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        type="function_call", name=name, arguments=arguments, call_id=f"call_{uuid.uuid4().hex}"
    )


def said(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id=f"msg_{uuid.uuid4().hex}", type="message", role="assistant", status="completed", content=[content]
    )


def has_results(items: list[Any]) -> bool:
    return bool(items[-1].get("type") == "function_call_output")


@function_tool
def look(number: int) -> str:
    """Look something up."""
    return RESULT


@asynccontextmanager
async def conversation(path: Path) -> AsyncIterator[Conversation]:
    """Open the conversation."""
    seen = 0

    def script(items: list[Any]) -> list[Any]:
        nonlocal seen
        seen = len(items)
        if has_results(items):
            return [said(ANSWER)]
        return [called("look", '{"number": 1}'), called("look", '{"number": 2}')]

    agent = Agent("talker", model=Scripted(script), tools=[look])
    session = SQLiteSession("s", path)

    async def turn() -> str:
        return str((await Runner.run(agent, USER, session=session)).final_output)

    yield Conversation(turn, lambda: seen)
    session.close()


async def charge_once(scene: Scene, _: str) -> Recovered:
    """Run the toy agent; after a crash, run it again on the same session."""

    @function_tool
    def charge(context: ToolContext[None], amount: int) -> str:
        """Charge the customer."""
        return scene.charge(context.tool_call_id)

    def script(items: list[Any]) -> list[Any]:
        scene.asked()
        return [said("charged")] if has_results(items) else [called("charge", '{"amount": 10}')]

    agent = Agent("toy", model=Scripted(script), tools=[charge])
    session = SQLiteSession("s", scene.database)
    result = await Runner.run(agent, PROMPT, session=session)
    users = sum(item.get("role") == "user" for item in await session.get_items())
    session.close()
    return Recovered(str(result.final_output), users)
