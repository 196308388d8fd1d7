"""A button and the clock: two sources of events, one that people press and one that ticks.

The button begins a turn of a session. The interval starts a durable function, once for each due time, however many
workers look at this database; a cron expression is subscribed to the same way.
"""

import asyncio
import sys

import lash
from lash.testing import ScriptedModel

BUTTON = lash.EventSource(type="desk.button", value={"colour": "red"})

ticked = asyncio.Event()


@lash.process
async def tidy_up(ctx: lash.ProcessContext, tick: dict) -> str:
    """Run at every tick."""
    ticked.set()
    return f"tidied up at {tick['due_at']}"


async def main(database: str) -> None:
    # A model of your own instead: lash.Agent("clerk", model="anthropic:claude-sonnet-4-5")
    clerk = lash.Agent("clerk", model=ScriptedModel(["I have called the fire brigade."], by_request=True))
    async with lash.open(database, clerk, tidy_up) as runtime:
        desk = await runtime.session("desk")
        await runtime.triggers.subscribe(
            desk, BUTTON, "Somebody has pressed the red button. Act.", name="red"
        )
        await runtime.triggers.subscribe("desk", lash.interval(1), tidy_up, name="tidy")
        nightly = lash.cron("30 3 * * *", tz="Europe/Rome", misfire="skip")
        await runtime.triggers.subscribe("desk", nightly, tidy_up, name="nightly")

        pressed = await runtime.emit(BUTTON, {"by": "ann"}, idempotency_key="press-1")
        print(f"the button: {pressed.deliveries[0].state}")
        while not any(message.role == "assistant" for message in await desk.history()):
            await asyncio.sleep(0.05)
        print((await desk.history())[-1].parts[0].text)

        await ticked.wait()
        names = [one.name for one in await runtime.triggers.list(session="desk")]
        print(f"subscribed: {', '.join(names)}")
        for subscription in await runtime.triggers.list(source_type="interval.tick"):
            await runtime.triggers.cancel(subscription)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "button.db"))
