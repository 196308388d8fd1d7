"""One life of a worker: its tasks, its handle on the database, and the moment at which it dies.

Death is complete: from the crash on, every operation of the handle raises and writes nothing, the books take no
more of its deeds, and its tasks are cancelled. Tasks are known to belong to it by the context they run in.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lash.errors import LashError
from lash.testing.simulation.chance import Chance
from lash.testing.simulation.faults import Faults

if TYPE_CHECKING:
    from lash.testing.simulation.trace import Trace

T = TypeVar("T")

_POLLS: Final = ("list_", "find_", "get_", "next_", "load_", "read_", "release_dead", "resolve_due", "prune_")
_STUBBORN_ROUNDS: Final = 50


class Crashed(asyncio.CancelledError):
    """Raised wherever a worker that is dead goes on."""


class WorkerGone(Exception):
    """The worker that was asked has died before it answered."""


class Incarnation:
    """See the module.

    Args:
        name: Of the worker, with the number of this life.
        faults: What may happen to its operations.
        chance: Which of it does.
        trace: Is told of every operation that may write.
        crash_after: The number of points of its life after which it dies; None for never.
    """

    current: Final[contextvars.ContextVar[Incarnation | None]] = contextvars.ContextVar(
        "lash_incarnation", default=None
    )

    def __init__(
        self, name: str, faults: Faults, chance: Chance, trace: Trace, crash_after: int | None
    ) -> None:
        self.name = name
        self.alive = True
        self.died = asyncio.Event()
        self.tasks: set[asyncio.Task[Any]] = set()
        self._faults = faults
        self._chance = chance
        self._trace = trace
        self._left = crash_after
        self._order = asyncio.Lock()
        self._context = contextvars.copy_context()
        self._context.run(self.current.set, self)

    @classmethod
    def note_task(cls, task: asyncio.Task[Any], context: contextvars.Context) -> None:
        """Take a new task into the incarnation that it runs in."""
        owner = context.get(cls.current)
        if owner is not None:
            owner.tasks.add(task)
            task.add_done_callback(owner.tasks.discard)

    def calm(self) -> None:
        """Nothing goes wrong in this life any more."""
        self._left = None
        self._faults = _NOTHING

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something inside of this life, for somebody outside of it.

        Raises:
            WorkerGone: when the worker dies first; the work may have been done.
        """
        if not self.alive:
            raise WorkerGone(self.name)

        async def inside() -> T:
            return await work()

        task = asyncio.get_running_loop().create_task(inside(), context=self._context.copy())
        death = asyncio.ensure_future(self.died.wait())
        try:
            await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            death.cancel()
        if self.died.is_set() or task.cancelled():
            raise WorkerGone(self.name)
        return task.result()

    async def reach(self, point: str) -> None:
        """Pass a point at which this worker may die. What is under way in a dead one is never heard of again."""
        if self.alive and self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._trace.note(self.name, f"CRASH at {point}")
                self.kill()
        await self._stand_still_if_dead()

    def kill(self) -> None:
        """Die now."""
        self.alive = False
        self.died.set()

    async def operate(self, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        """Run an operation of the store, with what may happen before and after it.

        Raises:
            Crashed: when the worker dies, or is dead.
            LashError: `store_busy`, retryable, when the store refuses.
        """
        await self._stand_still_if_dead()
        if name.startswith(_POLLS):
            return await self._run(name, operation)
        async with self._order:  # what is handed in first is written first: a store has one queue for writes
            await self.reach(f"{name}:before")
            result = await self._run(name, operation)
            self._trace.note(self.name, name)
            await self.reach(f"{name}:after")
        await self._be_slow()
        await self._stand_still_if_dead()
        return result

    async def _run(self, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        await self._be_slow()
        await self._stand_still_if_dead()
        if self._chance.happens(self._faults.busy_before):
            self._trace.note(self.name, f"{name} busy")
            raise LashError("store_busy", f"{name}: the simulated store is busy", retryable=True)
        try:
            return await operation()
        except LashError as problem:
            self._trace.note(self.name, f"{name} {problem.code}")
            raise

    async def bury(self) -> list[str]:
        """Cancel what is left of this life; return the names of tasks that do not end."""
        for _ in range(_STUBBORN_ROUNDS):
            left = sorted(self.tasks, key=hash)
            if not left:
                return []
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.1)
        return [task.get_name() for task in sorted(self.tasks, key=hash)]

    async def _stand_still_if_dead(self) -> None:
        """Go no further in a dead worker: wait to be cancelled, and raise where that has happened.

        Raises:
            Crashed: in a task that is cancelled already, and goes on to clean up.
        """
        if self.alive:
            return
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            await asyncio.get_running_loop().create_future()
        raise Crashed(self.name)

    async def _be_slow(self) -> None:
        faults = self._faults
        if faults.very_slow and self._chance.happens(faults.very_slow):
            await asyncio.sleep(3 + self._chance.number() * 9)
        elif faults.slow and self._chance.happens(faults.slow):
            await asyncio.sleep(self._chance.number() / 5)


_NOTHING: Final = Faults(
    workers=1, crashes=0, known_dead=1, slow=0, very_slow=0, busy_before=0, lost=0, late=0, jumps=0
)
