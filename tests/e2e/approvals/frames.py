"""A turn that is compacted by the model, goes on in a new frame, and pays there: for killing at each boundary."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.e2e.kill.scenario import Books
from tests.e2e.kill.switch import KillSwitch, WatchedDatabase

import lash
from lash.backends import open_database
from lash.facade import Runtime
from lash.plugins import TurnContext
from lash.testing import ScriptedModel, call, reply
from lash.values import ModelRequest, TokenUsage

SESSION, TURN = "account-7", "turn-2"
COST = TokenUsage(input_tokens=100, output_tokens=10)


class Compacts(lash.Compaction):
    """Compacts before the second turn, whatever the window."""

    id = "compacts"

    async def wants_compaction(self, turn: TurnContext) -> bool:
        return turn.state.turn_index == 1


def make_agent(books: Books, switch: KillSwitch) -> lash.Agent:
    @lash.tool
    async def pay(amount: int) -> str:
        """Pay."""
        switch.reach("pay:before")
        books.note("pay", str(amount))
        switch.reach("pay:after")
        return f"paid {amount}"

    def answer(request: ModelRequest) -> Any:
        switch.reach("model:before")
        last = request.messages[-1]
        texts = [message.text for message in request.messages if message.text]
        switch.reach("model:after")
        if "Write the notes." in last.text:
            return reply("the gist", usage=COST)
        match last.text:
            case "hello":
                return reply("welcome", usage=COST)
            case "pay the bill":
                return reply(call("continue_as", task="pay 10"), usage=COST)
            case "pay 10":
                return reply(call("pay", amount=10), usage=COST)
        told = [str(part.content) for part in last.parts if hasattr(part, "content")]
        return reply(" | ".join([*texts, *told]), usage=COST)

    model = ScriptedModel(answer)
    plugins = [Compacts(), lash.ContinueAs()]
    return lash.Agent("teller", model=model, tools=[pay], plugins=plugins)


async def run_turn(folder: Path, target: str | None, log: Path | None) -> dict[str, Any]:
    """One operating-system process: the first turn, then run or go on with the second."""
    switch = KillSwitch(target, log)
    database: Any = WatchedDatabase(open_database(str(folder / "agent.db")), switch)
    async with Runtime(database=database, agents=[make_agent(Books(folder), switch)]) as runtime:
        session = await runtime.session(SESSION)
        await session.turn("hello", turn_id="turn-1")
        result = await session.turn("pay the bill", turn_id=TURN)
        effects, _ = await runtime.effects.list(session_id=SESSION, turn_id=TURN)
        return {
            "text": result.text,
            "stop": result.stop,
            "revision": result.head_revision,
            "usage": {entry.source: entry.usage.total for entry in await session.usage()},
            "states": sorted(effect.state.value for effect in effects),
            "frames": [frame.reason for frame in await session.frames()],
            "messages": len(await session.history()),
        }


def serve() -> None:
    """Fork a child for each line of standard input; report its end."""
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            log = Path(order["log"]) if order["log"] else None
            report = asyncio.run(run_turn(Path(order["folder"]), order["target"], log))
            (Path(order["folder"]) / "report.json").write_text(json.dumps(report))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    serve()
