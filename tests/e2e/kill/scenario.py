"""The turn of the kill matrix: three tools of the three kinds, a script that is a function of the conversation.

What really happened is noted in files of its own, fsynced, outside lash.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import lash
from lash.backends import open_database
from lash.facade import Runtime
from lash.testing import ScriptedModel, call, reply
from lash.values import EffectFilter, ModelRequest, TokenUsage, ToolResultPart

from .switch import KillSwitch, WatchedDatabase, WatchedDisk

SESSION, TURN, PROMPT = "account-7", "turn-1", "Take 5 from my card and put it on my account."
COST = TokenUsage(input_tokens=100, output_tokens=10, cached_input_tokens=3, reasoning_tokens=2)
ANSWERS = {"looked": "answer 1", "charged": "answer 2", "settled": "answer 3"}
DONE, UNKNOWN = "Charged and deposited.", "I do not know whether the card was charged."


class Books:
    """What happened outside lash, one JSON line an event."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "books.jsonl"

    def note(self, what: str, key: str) -> None:
        with self.path.open("a") as out:
            out.write(json.dumps([what, key]) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def read(self) -> list[tuple[str, str]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [tuple(json.loads(line)) for line in lines]  # type: ignore[misc]


def make_agent(books: Books, switch: KillSwitch) -> lash.Agent:
    @lash.tool(effect="read_only")
    async def balance(ctx: lash.ToolContext) -> int:
        """Return the balance."""
        switch.reach("balance:before")
        books.note("balance", ctx.idempotency_key)
        switch.reach("balance:after")
        return 10

    @lash.tool(effect="idempotent")
    async def deposit(amount: int, ctx: lash.ToolContext) -> str:
        """Put money on the account."""
        switch.reach("deposit:before")
        books.note("deposit", ctx.idempotency_key)
        switch.reach("deposit:after")
        return f"deposited {amount}"

    @lash.tool(effect="at_most_once")
    async def charge(amount: int, ctx: lash.ToolContext) -> str:
        """Charge the card."""
        switch.reach("charge:before")
        books.note("charge", ctx.idempotency_key)
        switch.reach("charge:after")
        return f"charged {amount}"

    def answer(number: int, *items: Any) -> Any:
        def step(request: ModelRequest) -> Any:
            switch.reach("model:before")
            books.note("model", f"answer {number}")
            said = items[0](request) if callable(items[0]) else items
            switch.reach("model:after")
            return reply(*said, usage=COST)

        return step

    def conclude(request: ModelRequest) -> tuple[str]:
        told = [
            str(part.content)
            for message in request.messages
            for part in message.parts
            if isinstance(part, ToolResultPart) and part.name == "charge"
        ]
        return (DONE,) if told == ["charged 5"] else (UNKNOWN,)

    script = [
        answer(1, "I look first.", call("balance"), call("deposit", amount=5)),
        answer(2, call("charge", amount=5)),
        answer(3, conclude),
    ]
    return lash.Agent(
        "teller", model=ScriptedModel(script, by_request=True), tools=[balance, deposit, charge]
    )


async def run_turn(folder: Path, target: str | None, log: Path | None) -> dict[str, Any]:
    """One operating-system process of the matrix: open, run or finish the turn, look at what is left."""
    switch = KillSwitch(target, log)
    disk = WatchedDisk(switch)
    database = WatchedDatabase(open_database(str(folder / "agent.db")), switch)
    async with Runtime(database=database, agents=[make_agent(Books(folder), switch)]) as runtime:  # type: ignore[arg-type]
        session = await runtime.session(SESSION)
        result = await session.turn(PROMPT, turn_id=TURN)
        effects, _ = await runtime.effects.list(session_id=SESSION)
        report = {
            "text": result.text,
            "stop": result.stop,
            "revision": result.head_revision,
            "usage": [entry.usage.total for entry in await session.usage()],
            "messages": [message.role for message in await session.history()],
            "queued": len(await session.queue()),
            "leased": await database.session_leases.find_session_lease(SESSION) is not None,
            "states": sorted(effect.state.value for effect in effects),
            "unsettled": sum(not effect.settled for effect in effects),
        }
    del disk
    return report


async def recorded_answers(folder: Path) -> int:
    """Return how many model answers the journal holds, without driving anything."""
    database = open_database(str(folder / "agent.db"))
    await database.connect()
    lines, _ = await database.effect_journal.list_effects(EffectFilter(session_id=SESSION))
    await database.close()
    return sum(line.identity.kind.value == "llm_call" and line.result is not None for line in lines)


def serve() -> None:
    """Fork a child for each line of standard input: `{"folder", "target", "log", "out"}`; report its end."""
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            log = Path(order["log"]) if order["log"] else None
            report = asyncio.run(run_turn(Path(order["folder"]), order["target"], log))
            Path(order["out"]).write_text(json.dumps(report))
            os._exit(0)
        if order.get("wait", True):
            _, status = os.waitpid(pid, 0)
            print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)
        else:
            print(json.dumps({"pid": pid}), flush=True)


if __name__ == "__main__":
    serve()
