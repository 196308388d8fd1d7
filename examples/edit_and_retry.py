"""Fork a session at a message: change what was said, and keep what was first said as well."""

import asyncio
import sys

import lash
from lash.testing import ScriptedModel
from lash.values import ModelRequest


def echo(request: ModelRequest) -> str:
    said = [message.text for message in request.messages if message.role == "user"]
    return f"You want {' and '.join(said)}."


waiter = lash.Agent("waiter", model=ScriptedModel(echo))


async def main(url: str) -> None:
    async with lash.open(url, waiter) as runtime:
        table = await runtime.session("table-1")
        await table.turn("soup")
        await table.turn("fish")
        history = await table.history()
        retry = await table.fork(history[1].id)  # everything up to the first answer
        await retry.turn("cheese")
        for session in (table, retry):
            print((await session.history())[-1].text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "edit_and_retry.db"))
