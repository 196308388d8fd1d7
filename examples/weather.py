"""An agent with one tool, on a scripted model: run it twice, and the second run goes on with the same session."""

import asyncio
import sys

import lash
from lash.testing import ScriptedModel, call


@lash.tool(effect="read_only")
def weather(city: str) -> str:
    """Return the weather.

    Args:
        city: Where.
    """
    return f"sunny in {city}"


model = ScriptedModel([call("weather", city="Trento"), "It is sunny in Trento."], by_request=True)
guide = lash.Agent("guide", model=model, tools=[weather], instructions="Answer in one sentence.")


async def main(url: str) -> None:
    async with lash.open(url, guide) as runtime:
        session = await runtime.session("chat-1")
        async for event in session.turn("How is the weather in Trento?").events():
            print(type(event.activity).__name__)
        for message in await session.history():
            print(f"{message.role}: {message.text}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "weather.db"))
