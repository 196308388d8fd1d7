"""The process side: loads somebody's agent, runs or finishes its turn, and says what is left.

Run as a module it is a server: it imports everything once, and forks a process for each order on its standard
input. A process that is killed takes nothing with it but itself.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

from lash.agents import Agent
from lash.backends import open_database
from lash.errors import LashError
from lash.facade import Runtime
from lash.providers import resolve_model
from lash.system import RandomIds, SystemClock
from lash.testing.crash_matrix.boundaries import KillSwitch, WatchedDatabase, watched_agent
from lash.values import EffectFilter, EffectState, plain

SESSION, TURN = "crash-matrix", "turn-1"


def load_factory(module: str, file: str, name: str) -> Any:
    """Return the function that makes the agent, from the file that it stands in."""
    if module not in sys.modules:
        spec = importlib.util.spec_from_file_location(module, file)
        if spec is None or spec.loader is None:
            raise LashError("invalid_argument", f"cannot load {name} from {file}: it is no Python module")
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[module] = loaded
        spec.loader.exec_module(loaded)
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    return found


def made_agent(factory: Any, folder: Path) -> Agent:
    """Return the agent; a factory with a parameter gets the folder of this run."""
    agent = factory(folder) if inspect.signature(factory).parameters else factory()
    if not isinstance(agent, Agent):
        raise LashError("invalid_argument", f"{factory!r} returned {agent!r}; it must return a lash.Agent")
    return agent


async def run_turn(factory: Any, prompt: str, folder: Path, target: str | None) -> dict[str, Any]:
    """Open the database, run or finish the turn, and return what an operator would see."""
    passed = folder / "boundaries.txt" if target is None else None
    switch = KillSwitch(target, passed, folder / "books.jsonl")
    agent = made_agent(factory, folder)
    model = resolve_model(agent.model, clock=SystemClock(), ids=RandomIds())
    watched = watched_agent(agent, model, switch)
    database: Any = WatchedDatabase(open_database(str(folder / "agent.db")), switch)
    async with Runtime(database=database, agents=[watched]) as runtime:
        session = await runtime.session(SESSION)
        result = await session.turn(prompt, turn_id=TURN)
        effects, _ = await database.effect_journal.list_effects(EffectFilter(session_id=SESSION))
        return {
            "text": result.text,
            "stop": result.stop,
            "output": plain(result.output),
            "committed_turns": len(await database.turn_ingress.list_receipts(SESSION, after_revision=0)),
            "roles": [message.role for message in await session.history()],
            "queued": len(await session.queue()),
            "leased": await database.session_leases.find_session_lease(SESSION) is not None,
            "unknown": sorted(line.identity.label for line in effects if line.state is EffectState.UNKNOWN),
            "counted_tokens": sum(entry.usage.total for entry in await session.usage()),
            "replayed": len(result.replayed_effects),
        }


def serve(module: str, file: str, name: str, prompt: str) -> None:
    """Answer each order `{"folder", "target"}` with the exit status of the process that was forked for it."""
    factory = load_factory(module, file, name)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            folder = Path(order["folder"])
            try:
                report = asyncio.run(run_turn(factory, prompt, folder, order["target"]))
            except LashError as problem:
                report = {"error": str(problem)}
            (folder / "report.json").write_text(json.dumps(report))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:5])
