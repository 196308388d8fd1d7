"""One seed from its beginning to its end."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from lash.backends.memory import MemoryDatabase
from lash.errors import LashError
from lash.testing.simulation.bugs import Bug
from lash.testing.simulation.chance import Chance
from lash.testing.simulation.checks import unsettled, violations
from lash.testing.simulation.incarnation import Crashed, Incarnation
from lash.testing.simulation.loop import SimulatedLoop, SimulationStuck
from lash.testing.simulation.workloads import WORKLOADS, answer_people, answer_processes
from lash.testing.simulation.world import World

_STORM_S: Final = 30.0  # how long things go wrong
_QUIET_S: Final = 400.0  # within which everything must converge: beyond every back-off
_SETTLED_S: Final = 3.0  # how long nothing may change after that


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationResult:
    """What became of a seed.

    Attributes:
        seed: Which one.
        problems: The promises that were broken; empty if all held.
        trace: What happened, line by line.
        crashes: How many lives of workers ended in a crash.
        virtual_s: How much virtual time it took.
    """

    seed: int
    problems: tuple[str, ...]
    trace: str
    crashes: int
    virtual_s: float


def simulate(
    seed: int,
    *,
    workloads: Sequence[str] = (),
    bug: Bug | None = None,
) -> SimulationResult:
    """Run a seed.

    Args:
        seed: What everything follows from.
        workloads: Names of workloads; a mix drawn from the seed by default.
        bug: A bug to plant.

    Raises:
        LashError: `invalid_argument` for a workload that does not exist.
    """
    unknown = sorted(set(workloads) - WORKLOADS.keys())
    if unknown:
        raise LashError(
            "invalid_argument", f"there are no workloads {unknown}; there are {sorted(WORKLOADS)}"
        )
    loop = SimulatedLoop(Chance(seed, "loop"), Incarnation.note_task)
    run = _Run(seed, workloads or (bug.workloads if bug else ()), bug.plant if bug else None)
    loop.set_exception_handler(run.note_loop_error)
    with _quiet_collector(), _listening(run):
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(run.main())
        except SimulationStuck as stuck:
            run.problems.append(str(stuck))
            _end_all(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
    assert run.world is not None, "made first"
    trace = run.world.trace
    return SimulationResult(
        seed=seed,
        problems=tuple(dict.fromkeys(run.problems)),
        trace=trace.text(),
        crashes=sum("CRASH" in line for line in trace.lines),
        virtual_s=loop.time(),
    )


def _end_all(loop: SimulatedLoop) -> None:
    """End the tasks of a loop that is stuck, as far as they let themselves be ended."""
    tasks = sorted(asyncio.all_tasks(loop), key=hash)
    for task in tasks:
        task.cancel()
    with suppress(SimulationStuck):
        loop.run_until_complete(asyncio.wait(tasks, timeout=5))


class _Run:
    def __init__(
        self, seed: int, workloads: Sequence[str], prepare: Callable[[MemoryDatabase], None] | None
    ) -> None:
        self._seed = seed
        self._workloads = workloads
        self._prepare = prepare
        self.world: World | None = None
        self.problems: list[str] = []

    async def main(self) -> None:
        world = self.world = World(self._seed, self._prepare)
        chance = world.chance.of("workloads")
        names = self._workloads or _mix(chance)
        world.trace.note("world", f"seed {self._seed}: {', '.join(names)}; {world.faults}")
        world.open()
        for name in names:
            WORKLOADS[name](world, chance.of(name))
        answering = [
            asyncio.create_task(answer_people(world, chance.of("people"))),
            asyncio.create_task(answer_processes(world, chance.of("answers"))),
        ]
        jumping = asyncio.create_task(_jump(world, chance.of("jumps")))
        await asyncio.sleep(_STORM_S)
        jumping.cancel()
        world.calm()
        await self._converge(world)
        for task in answering:
            task.cancel()
        for end in await asyncio.gather(*answering, return_exceptions=True):
            if isinstance(end, Exception):
                self.problems.append(f"those who answer failed: {end!r}")
        await world.end_clients()
        await world.close()
        self.problems += violations(world)

    async def _converge(self, world: World) -> None:
        """Wait until nothing is open, and stays so."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _QUIET_S
        quiet_since: float | None = None
        while loop.time() < until:
            if world.busy_clients() or unsettled(world):
                quiet_since = None
            elif quiet_since is None:
                quiet_since = loop.time()
            elif loop.time() - quiet_since >= _SETTLED_S:
                return
            await asyncio.sleep(0.5)
        self.problems += [f"did not converge: {line}" for line in unsettled(world)]
        self.problems += [f"did not converge: client {name} still waits" for name in world.busy_clients()]

    def note_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note callbacks that failed. Errors that nobody asked for are noticed when memory is freed: not here."""
        problem = context.get("exception")
        if "handle" in context and not isinstance(problem, Crashed):
            self.problems.append(f"a callback failed: {context.get('message')} {problem!r}")


def _mix(chance: Chance) -> list[str]:
    names = [name for name in WORKLOADS if chance.happens(0.4)]
    return names or [chance.one_of(list(WORKLOADS))]


async def _jump(world: World, chance: Chance) -> None:
    for _ in range(world.faults.jumps):
        await asyncio.sleep(chance.number() * _STORM_S / world.faults.jumps)
        ms = chance.one_of((700, 4_000, 60_000, 3_600_000))
        world.clock.jump(ms)
        world.trace.note("world", f"the clock jumps by {ms} ms")


class _Listener(logging.Handler):
    """Hears of bugs that the runtime only logs."""

    def __init__(self, run: _Run) -> None:
        super().__init__(logging.ERROR)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        problem = record.exc_info[1] if record.exc_info else None
        if problem is not None and not isinstance(problem, LashError | Crashed):
            self._run.problems.append(f"logged: {record.getMessage()}: {problem!r}")


@contextmanager
def _listening(run: _Run) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("lash", "lash.runtime", "lash.tools")]
    listener = _Listener(run)
    states = [(logger, logger.propagate, logger.level) for logger in loggers]
    loggers[0].addHandler(listener)
    loggers[0].propagate = False
    try:
        yield
    finally:
        loggers[0].removeHandler(listener)
        for logger, propagate, level in states:
            logger.propagate, logger.level = propagate, level


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Keep the garbage collector from running finalizers at a time of its own choice."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
