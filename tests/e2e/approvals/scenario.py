"""A turn whose payment waits for a person and passes a plugin, for killing at each boundary.

What really happened is noted in a file of its own, fsynced, outside lash.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
from tests.e2e.kill.scenario import Books
from tests.e2e.kill.switch import KillSwitch, WatchedDatabase

import lash
import lash.values
from lash.backends import open_database
from lash.facade import Runtime
from lash.plugins import HookedCall, ReplaceArgs, TurnContext
from lash.testing import ScriptedModel, call, reply
from lash.values import ModelRequest, TokenUsage

SESSION, TURN = "account-7", "turn-1"
COST = TokenUsage(input_tokens=100, output_tokens=10)


class Tally(msgspec.Struct):
    calls: int = 0


def make_agent(books: Books, switch: KillSwitch) -> lash.Agent:
    class Rounds(lash.Plugin):
        """Rounds what is paid, and counts."""

        state_type = Tally

        async def before_tool(self, turn: TurnContext, call: HookedCall) -> ReplaceArgs | None:
            switch.reach("before_tool:before")
            self.state.calls += 1
            if call.tool != "pay":
                return None
            return ReplaceArgs({"amount": round(call.args["amount"], -1)})

        def instructions(self) -> str:
            return f"calls so far: {self.state.calls}"

    @lash.tool(effect="read_only")
    async def balance() -> int:
        """Return the balance."""
        switch.reach("balance:before")
        return 100

    @lash.tool(approval=True)
    async def pay(amount: int) -> str:
        """Pay."""
        switch.reach("pay:before")
        books.note("pay", str(amount))
        switch.reach("pay:after")
        return f"paid {amount}"

    def conclude(request: ModelRequest) -> Any:
        told = [str(part.content) for m in request.messages for part in m.parts if hasattr(part, "content")]
        return reply(" | ".join(told), usage=COST)

    script = [reply(call("balance"), call("pay", amount=12), usage=COST), conclude]
    model = ScriptedModel(script, by_request=True)
    return lash.Agent("teller", model=model, tools=[balance, pay], plugins=[Rounds()])


async def run_turn(folder: Path, target: str | None, log: Path | None) -> dict[str, Any]:
    """One operating-system process: run or go on with the turn, and answer what waits for a person."""
    switch = KillSwitch(target, log)
    database: Any = WatchedDatabase(open_database(str(folder / "agent.db")), switch)
    async with Runtime(database=database, agents=[make_agent(Books(folder), switch)]) as runtime:
        session = await runtime.session(SESSION)
        running = asyncio.ensure_future(session.turn("Pay the bill.", turn_id=TURN))
        changed = runtime.database.subscribe([f"session:{SESSION}"])
        while not running.done():
            for approval in await runtime.approvals.list():
                await runtime.approvals.approve(approval.id, by="eve")
            rung = asyncio.ensure_future(changed.wait(timeout_ms=200))
            await asyncio.wait({running, rung}, return_when=asyncio.FIRST_COMPLETED)
            rung.cancel()
            await asyncio.gather(rung, return_exceptions=True)
        changed.close()
        result = await running
        effects, _ = await runtime.effects.list(session_id=SESSION)
        approvals = await runtime.approvals.list(pending_only=False)
        read = await runtime.database.runtime_persistence(SESSION).load_session(lash.values.ActivePath())
        assert read is not None
        assert read.checkpoint is not None
        assert read.checkpoint.plugin_snapshot is not None
        return {
            "text": result.text,
            "stop": result.stop,
            "revision": result.head_revision,
            "usage": [entry.usage.total for entry in await session.usage()],
            "states": sorted(effect.state.value for effect in effects),
            "approvals": [[one.state, one.answer and one.answer.by] for one in approvals],
            "plugins": read.checkpoint.plugin_snapshot.plugins,
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
