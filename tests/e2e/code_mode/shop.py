"""One operating-system process of the test: a program that orders in a loop, large orders after approval.

python -m tests.e2e.code_mode.shop DATABASE BOOKS (die | finish)
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import lash
from lash.testing import ScriptedModel, reply

ORDERS = """```lashlang
got = []
for i in range(5) {
  print format("order {}", i)
  got = push(got, await tools.order({ amount: i })?)
}
submit got
```"""


def make_agent(books: Path) -> lash.Agent:
    @lash.tool(effect="at_most_once", approval=lambda args: args["amount"] >= 3)
    async def order(amount: int) -> str:
        """Order something."""
        with books.open("a") as out:
            out.write(f"{amount}\n")
            out.flush()
            os.fsync(out.fileno())
        return f"ordered {amount}"

    return lash.Agent(
        "buyer", model=ScriptedModel([reply(ORDERS)], by_request=True), tools=[order], protocol="code"
    )


async def main(database: str, books: Path, mode: str) -> None:
    async with lash.open(database, make_agent(books), frame_key=b"of this shop") as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("Order.", turn_id="t1"))
        if mode == "die":
            while not (await runtime.database.turn_ingress.find_turn("s", "t1")).parked_on:
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        for approval in await runtime.approvals.list():
            await runtime.approvals.approve(approval.id)
        if mode == "approve":
            while len(books.read_text().split()) < 4:
                await asyncio.sleep(0.01)
            while not (await runtime.approvals.list()):
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        result = await running
        replayed = [key for key in result.replayed_effects if ":p" in key]
        print(json.dumps({"output": result.output, "told": len(result.tool_calls), "replayed": replayed}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
