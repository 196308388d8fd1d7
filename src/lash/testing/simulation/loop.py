"""An event loop in which time passes only when nothing else can happen.

`time()` is virtual: while callbacks are ready it stands still, and when none is it jumps to the next timer. There
are no threads and no sockets; what asks for a thread runs at once, in the loop. So what happens is a function of
the program and of the seed alone. Two things must hold for that:

- Nothing in asyncio may go by an object's address: tasks and futures are numbered, and their hash is their number.
- Timers fire late by a seeded moment, which asyncio allows, so that those of one instant come in any order.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import base_events
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from lash.testing.simulation.chance import Chance

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_LATE_S = 0.001  # timers come up to this much late
_STEPS_PER_INSTANT = 20_000


class SimulationStuck(Exception):
    """Nothing is ready, no timer is set, and the simulation is not over; or time does not pass any more."""


class _NumberedFuture(asyncio.Future[Any]):
    """A future whose place in a set does not depend on where it lies in memory."""

    _number = 0

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _NumberedTask(asyncio.Task[Any]):
    """A task of that kind."""

    _number = 0

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _NoSelector:
    """Stands where a loop waits for sockets: time passes here."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.let_time_pass(timeout)
        return []

    def close(self) -> None:
        """Nothing to give back."""


class SimulatedLoop(base_events.BaseEventLoop):
    """See the module.

    Args:
        chance: How late timers are.
        on_task: Told of every task with the context that it runs in.
    """

    def __init__(
        self,
        chance: Chance,
        on_task: Callable[[asyncio.Task[Any], contextvars.Context], None] | None = None,
    ) -> None:
        super().__init__()
        self._now = 0.0
        self._chance = chance
        self._on_task = on_task
        self._last_number = 0
        self._steps_here = 0
        self._selector = _NoSelector(self)
        self._clock_resolution = 1e-6
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def let_time_pass(self, timeout: float | None) -> None:
        """Move the time to the next timer; called by the loop when it would wait.

        Raises:
            SimulationStuck: when there is no timer, or callbacks go on for ever in one instant.
        """
        if timeout is None:
            raise SimulationStuck("nothing is ready and no timer is set")
        if timeout > 0:
            self._now += timeout
            self._steps_here = 0
            return
        self._steps_here += 1
        if self._steps_here > _STEPS_PER_INSTANT:
            self._steps_here = 0
            raise SimulationStuck(f"callbacks go on for ever at {self._now:.3f} s")

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer, which fires a moment late."""
        late = self._chance.number() * _LATE_S
        return super().call_at(when + late, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        """Return a numbered future."""
        future = _NumberedFuture(loop=self)
        future._number = self._next_number()
        return future

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a function now, in the loop: there are no threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as problem:  # noqa: BLE001  # whoever awaits it gets it
            future.set_exception(problem)
        return future

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        # The number must be there before the task is made, which puts itself into a set.
        context = contextvars.copy_context() if context is None else context
        task = _NumberedTask.__new__(_NumberedTask)
        task._number = self._next_number()
        task.__init__(coro, loop=loop, context=context, **options)  # type: ignore[misc]  # made in two steps
        if self._on_task is not None:
            self._on_task(task, context)
        return task

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    # ---- what a loop does with sockets and signals of its own: nothing

    def _process_events(self, event_list: Any) -> None:
        """There are no events of sockets."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector that would have to be woken."""
