"""A report that is made in the background: it survives its worker, asks another agent, and wakes its session."""

import asyncio
import sys

import lash
from lash.testing import ScriptedModel, call
from lash.values import TurnFinished


async def read_sales(quarter: str) -> list[int]:
    return [40, 2]


writer = lash.Agent("writer", model=ScriptedModel(["Sales were 42."], by_request=True))


@lash.process
async def sales_report(ctx: lash.ProcessContext, quarter: str) -> str:
    sales = await ctx.step(read_sales, quarter, effect="read_only")
    await ctx.progress({"sales": sum(sales)})
    if not await ctx.wait("released", output=bool):  # a person says so, now or in a week, from anywhere
        return "withheld"
    return await ctx.run(writer, f"Sum up: sales of {quarter} were {sum(sales)}.")


@lash.tool(effect="idempotent")
async def start_report(quarter: str, ctx: lash.ToolContext) -> str:
    """Begin a sales report. You are told when it is ready.

    Args:
        quarter: Which quarter, such as Q3.
    """
    handle = await ctx.processes.start(sales_report, quarter, label=f"report of {quarter}")
    return f"started {handle.id}"


def answer(request):
    """Play the model: begin the report when asked, and pass on what comes back."""
    last = request.messages[-1]
    if last.role == "user" and "please" in last.text:
        return call("start_report", quarter="Q3")
    return f"Good news. {last.text.splitlines()[-1]}" if "has finished" in last.text else "It is on its way."


assistant = lash.Agent("assistant", model=ScriptedModel(answer), tools=[start_report])


async def main(path: str) -> None:
    async with lash.open(path, assistant, writer, sales_report) as runtime:
        session = await runtime.session("desk", assistant)
        print((await session.turn("The Q3 report, please.")).text)
        watch = session.watch()

        (report,) = await runtime.processes.list(session="desk")
        handle = runtime.processes.handle(report.id)
        await handle.resolve("released", True)
        print(await handle)

        async for event in watch:  # the report has woken the session: its agent has something to say
            if isinstance(event.activity, TurnFinished):
                print(event.activity.text)
                break
        watch.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "report.db"))
