"""The work with lash, at its defaults: WAL, `synchronous=FULL`, one SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import ModelRequest, TokenUsage
from peers.workload import ANSWER, PROMPT, RESULT, USER, Conversation, Recovered, Scene

# A provider says what a call cost; the script would else count the characters of the whole history.
COST = TokenUsage(input_tokens=100, output_tokens=20)


@lash.tool(effect="read_only")
async def look(number: int) -> str:
    """Look something up."""
    return RESULT


@asynccontextmanager
async def conversation(path: Path) -> AsyncIterator[Conversation]:
    """Open the conversation."""
    seen = 0

    def ask(request: ModelRequest) -> object:
        nonlocal seen
        seen = len(request.messages)
        return reply(call("look", number=1), call("look", number=2))

    model = ScriptedModel([ask, reply(ANSWER)], by_request=True, chunk_chars=4096, usage=COST)
    model.requests = Forgetful()  # what was asked is not kept: it would grow with the square of the history
    async with lash.open(path, lash.Agent("talker", model=model, tools=[look])) as runtime:
        session = await runtime.session("s")

        async def turn() -> str:
            return (await session.turn(USER)).text

        yield Conversation(turn, lambda: seen)


class Forgetful(list):  # type: ignore[type-arg]
    def append(self, _: object) -> None:
        pass


async def charge_once(scene: Scene, mode: str) -> Recovered:
    """Run the toy agent, or find it where it was cut: `lash.open` drives unfinished turns on by itself.

    Args:
        mode: The tool's promise, `at_most_once` (the default of lash) or `idempotent`.
    """

    @lash.tool(effect=mode)
    async def charge(amount: int, ctx: lash.ToolContext) -> str:
        """Charge the customer."""
        return scene.charge(ctx.idempotency_key)

    def first(_: ModelRequest) -> object:
        scene.asked()
        return call("charge", amount=10)

    def last(request: ModelRequest) -> object:
        scene.asked()
        return "unknown" if "Nobody knows" in repr(request.messages[-1]) else "charged"

    model = ScriptedModel([first, last], by_request=True)
    async with lash.open(scene.database, lash.Agent("toy", model=model, tools=[charge])) as runtime:
        session = await runtime.session("s")
        result = await session.turn(PROMPT, turn_id="t1")  # the turn id makes asking again safe
        history = await session.history()
        return Recovered(result.text, sum(message.role == "user" for message in history))
