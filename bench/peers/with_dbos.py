"""The work with DBOS: workflows of steps on its SQLite system database.

Settings: DBOS leaves the journal mode to the file. It is measured as it comes (a rollback journal) and, because WAL
is what its user would switch on, also on a file that was put into WAL mode before; `synchronous` is SQLite's own
default, FULL, in both. Coroutines are used because they are the faster of its two ways. Its documentation advises
PostgreSQL for production. Unfinished workflows are recovered by `DBOS.launch`. Its steps are documented to run at
least once; a step can see its workflow's id and its own number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dbos import DBOS, SetWorkflowID

from peers.workload import PROMPT, Recovered, Scene


@contextmanager
def launched(path: Path, *, wal: bool) -> Iterator[None]:
    """Launch DBOS on the file, and end it."""
    if wal:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # the file remembers it
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{path}", "log_level": "ERROR"})
    DBOS.launch()
    yield
    DBOS.destroy()


@DBOS.step()
async def number(n: int) -> int:
    return n


@DBOS.workflow()
async def count(steps: int) -> int:
    return sum([await number(n) for n in range(steps)])


async def run_workflows(workflows: int, steps: int, at_once: bool) -> None:
    """Run the workflows one after the other, or start them all and wait for all."""
    if at_once:
        handles = [await DBOS.start_workflow_async(count, steps) for _ in range(workflows)]
        sums = [await handle.get_result() for handle in handles]
    else:
        sums = [await count(steps) for _ in range(workflows)]
    assert sums == [steps * (steps - 1) // 2] * workflows


def toy(scene: Scene) -> Any:
    """Return the toy agent as a workflow: the model and the tool are its steps."""

    @DBOS.step(name="model")
    async def model(messages: list[str]) -> str:
        scene.asked()
        return "charge" if messages[-1] == PROMPT else "charged"

    @DBOS.step(name="charge")
    async def charge() -> str:
        return scene.charge(f"{DBOS.workflow_id}:{DBOS.step_id}")

    @DBOS.workflow(name="toy")
    async def agent(prompt: str) -> str:
        messages = [prompt]
        while (said := await model(messages)) == "charge":
            messages += [said, await charge()]
        return said

    return agent


async def charge_once(scene: Scene, _: str) -> Recovered:
    """Run the toy agent; a second process recovers it at launch, and its id makes asking again safe."""
    agent = toy(scene)
    with launched(scene.database, wal=True):
        with SetWorkflowID("t1"):
            handle = await DBOS.start_workflow_async(agent, PROMPT)
        return Recovered(await handle.get_result())
