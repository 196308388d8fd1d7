"""Input for a busy session: one message is injected into the running turn, another waits for its end."""

import asyncio
import sys

import lash
from lash.testing import ScriptedModel, call
from lash.values import ModelRequest

working = asyncio.Event()
go_on = asyncio.Event()


@lash.tool(effect="read_only")
async def dig() -> str:
    """Dig for a while."""
    working.set()
    await go_on.wait()
    return "found something"


def answer(request: ModelRequest) -> object:
    heard = [message.text for message in request.messages if message.role == "user"]
    if len(heard) == 1 and request.messages[-1].role == "user":
        return call("dig")
    return f"I have heard: {', '.join(heard)}"


digger = lash.Agent("digger", model=ScriptedModel(answer), tools=[dig])


async def main(url: str) -> None:
    async with lash.open(url, digger) as runtime:
        session = await runtime.session("site-1")
        first = asyncio.ensure_future(session.turn("dig here"))
        await working.wait()
        await session.send("a little to the left", on_busy="inject")
        waiting = asyncio.ensure_future(session.turn("thank you"))
        while len(await session.queue()) < 3:
            await asyncio.sleep(0.01)
        go_on.set()
        print((await first).text)
        print((await waiting).text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "steer.db"))
