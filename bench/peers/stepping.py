"""A child: durable steps of one system, one at a time and many workflows at once, against serial raw commits.

python -m peers.stepping SYSTEM FOLDER
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from peers import fsyncs
from peers.children import Rows
from peers.systems import STEPPERS
from steps import WORKFLOWS, raw_rate

ROUNDS = 3
ENOUGH_S = 12  # no further round after that
RAW_STEPS = 300
SERIAL_STEPS = 100  # of each of the workflows that run one after the other
SERIAL = 3
STEPS_AT_ONCE = 20  # of each of the workflows that run at once


def measured(rows: Rows, label: str, folder: Path, steps: int, run: Callable[[], None]) -> None:
    """Time rounds of `run`, which takes `steps` steps. The ratio of a round is to the raw commits around it."""

    def raw() -> float:
        return raw_rate(folder / f"raw-{steps}-{len(raws)}.db", RAW_STEPS)

    rates, raws, ratios, syncs = [], [], [], []
    raws.append(raw())
    while len(rates) < ROUNDS and sum(steps / rate for rate in rates) < ENOUGH_S:
        synced, start = fsyncs.so_far(), time.perf_counter()
        run()
        rates.append(steps / (time.perf_counter() - start))
        if synced is not None:
            syncs.append(((fsyncs.so_far() or 0) - synced) / steps)
        raws.append(raw())
        ratios.append(rates[-1] / statistics.mean(raws[-2:]))
    rows.row(
        label,
        steps_a_second=statistics.median(rates),
        raw=statistics.median(raws),
        times_raw=statistics.median(ratios),
        fsyncs_a_step=statistics.median(syncs) if syncs else None,
    )


def both(rows: Rows, label: str, folder: Path, run: Callable[[int, int, bool], None]) -> None:
    """Measure the two shapes; `run` takes workflows, steps of each, and whether they go at once."""
    measured(
        rows,
        f"{label}: steps one at a time",
        folder,
        SERIAL * SERIAL_STEPS,
        lambda: run(SERIAL, SERIAL_STEPS, False),
    )
    measured(
        rows,
        f"{label}: steps of {WORKFLOWS} workflows at once",
        folder,
        WORKFLOWS * STEPS_AT_ONCE,
        lambda: run(WORKFLOWS, STEPS_AT_ONCE, True),
    )


def with_lash(rows: Rows, label: str, folder: Path, effect: str) -> None:
    from lash.backends import open_database
    from lash.contracts import RuntimeEffectLocalExecutor
    from lash.values import EffectScope
    from steps import body, envelope

    database = open_database(str(folder / "lash.db"))
    names = (f"w{number}" for number in range(10**9))
    executor = RuntimeEffectLocalExecutor.of(body)

    async def workflow(name: str, steps: int) -> None:
        controller = database.effect_host.scoped(EffectScope.runtime_operation(name)).controller
        for step in range(steps):
            await controller.execute_effect(envelope(name, step, effect), executor)

    async def workflows(count: int, steps: int, at_once: bool) -> None:
        if at_once:
            await asyncio.gather(*(workflow(next(names), steps) for _ in range(count)))
        else:
            for _ in range(count):
                await workflow(next(names), steps)

    with asyncio.Runner() as runner:
        runner.run(database.connect())
        both(rows, label, folder, lambda *shape: runner.run(workflows(*shape)))
        runner.run(database.close())


def with_dbos(rows: Rows, label: str, folder: Path, *, wal: bool) -> None:
    from peers.with_dbos import launched, run_workflows

    with launched(folder / "dbos.db", wal=wal), asyncio.Runner() as runner:
        both(rows, label, folder, lambda *shape: runner.run(run_workflows(*shape)))


def main() -> None:
    label, folder = sys.argv[1], Path(sys.argv[2])
    rows = Rows()
    system, setting = STEPPERS[label]
    if system == "lash":
        with_lash(rows, label, folder, setting)
    else:
        with_dbos(rows, label, folder, wal=setting == "wal")
    sys.stderr.flush()
    os._exit(0)  # what a peer left running in threads is no part of the measurement


if __name__ == "__main__":
    main()
