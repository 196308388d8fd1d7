"""One database, several workers that live and die on it, and clients that want something of them.

A simulation has two phases. In the first, everything that the faults allow goes wrong. In the second nothing does,
and all that was accepted must come to its end within bounded virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from lash.backends.memory import MemoryDatabase
from lash.errors import LashError
from lash.facade.runtime import Runtime
from lash.testing.simulation.books import Books
from lash.testing.simulation.cast import Outside, agents_of
from lash.testing.simulation.chance import Chance, SeededIds, SimulatedClock
from lash.testing.simulation.faults import Faults
from lash.testing.simulation.handles import MortalDatabase
from lash.testing.simulation.hub import UnreliableHub
from lash.testing.simulation.incarnation import Incarnation, WorkerGone
from lash.testing.simulation.trace import Trace
from lash.values import EffectScope, EffectState, ModelRequest

T = TypeVar("T")

LEASE_TTL_MS: Final = 5_000
_LIFE_POINTS: Final = (8, 40, 150, 500)
_ASK_AGAIN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Post:
    """A worker that can be asked."""

    life: Incarnation
    runtime: Runtime


class World:
    """See the module.

    Args:
        seed: What everything follows from.
        prepare: Is given the database before anybody uses it: where a bug is planted.
    """

    def __init__(self, seed: int, prepare: Callable[[MemoryDatabase], None] | None = None) -> None:
        self.chance = Chance(seed)
        self.faults = Faults.drawn(self.chance.of("faults"))
        self.trace = Trace()
        self.books = Books()
        self.clock = SimulatedClock()
        self.database = MemoryDatabase(clock=self.clock, ids=SeededIds("db"))
        self.hub = UnreliableHub(self.faults, self.chance.of("hub"))
        self.database.tables.hub = self.hub
        self.is_calm = False
        self.wanted: dict[tuple[str, str], None] = {}  # waits of processes that somebody is to resolve
        self.signals_wanted: dict[str, None] = {}
        self._prepare = prepare
        self._posts: dict[str, Post] = {}
        self._closing = asyncio.Event()
        self._slots: list[asyncio.Task[None]] = []
        self._clients: dict[asyncio.Task[None], None] = {}
        if prepare is not None:
            prepare(self.database)

    # ---- workers

    def open(self) -> None:
        """Bring the workers to life."""
        for number in range(self.faults.workers):
            name = f"w{number + 1}"
            self._slots.append(asyncio.create_task(self._live(name), name=name))

    async def close(self) -> None:
        """End the workers in peace."""
        self._closing.set()
        await asyncio.gather(*self._slots)

    def calm(self) -> None:
        """Begin the quiet phase."""
        self.trace.note("world", "QUIET")
        self.is_calm = self.hub.reliable = True
        for post in self._posts.values():
            post.life.calm()

    async def _live(self, name: str) -> None:
        chance = self.chance.of(name)
        number = 0
        while not self._closing.is_set():
            number += 1
            life = Incarnation(
                f"{name}.{number}", self.faults, chance.of(f"ops{number}"), self.trace, self._span(chance)
            )
            if self.is_calm:
                life.calm()
            await self._live_once(name, life, chance)
            if not self._closing.is_set():
                await asyncio.sleep(0.1 + chance.number() * chance.one_of((0.5, 3.0, 10.0)))

    def _span(self, chance: Chance) -> int | None:
        if self.is_calm or not chance.happens(self.faults.crashes):
            return None
        return chance.between(1, chance.one_of(_LIFE_POINTS))

    async def _live_once(self, name: str, life: Incarnation, chance: Chance) -> None:
        handle = self.database.handle()
        if self._prepare is not None:
            self._prepare(handle)
        runtime = self._runtime(life, handle, chance)
        self.trace.note(life.name, "born")
        try:
            await life.call(runtime.start)
        except (WorkerGone, LashError):
            await self._end(life, handle, chance)
            return
        self._posts[name] = Post(life, runtime)
        rest_s = None if self.is_calm or chance.happens(0.7) else chance.number() * 20
        await self._first(life.died, self._closing, rest_s)
        self._posts.pop(name, None)
        if life.alive:
            await self._part(life, runtime, chance)
        await self._end(life, handle, chance)

    async def _first(self, *events_and_time: Any) -> None:
        *events, seconds = events_and_time
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _part(self, life: Incarnation, runtime: Runtime, chance: Chance) -> None:
        """Let a worker end in peace, if it comes to that."""
        drains = chance.happens(0.5)
        self.trace.note(life.name, "drains" if drains else "closes")
        try:
            if drains:
                await life.call(lambda: runtime.drain(timeout=3))
            await life.call(runtime.close)
        except (WorkerGone, LashError) as problem:
            self.trace.note(life.name, f"did not close: {type(problem).__name__}")

    async def _end(self, life: Incarnation, handle: MemoryDatabase, chance: Chance) -> None:
        life.kill()
        if chance.happens(self.faults.known_dead):
            await handle.close()
        for task in await life.bury():
            self.books.surprises.append(f"task {task} of {life.name} does not end when it is cancelled")
        self.trace.note(life.name, "buried")

    def _runtime(self, life: Incarnation, handle: MemoryDatabase, chance: Chance) -> Runtime:
        return Runtime(
            database=MortalDatabase(handle, life),
            agents=agents_of(self, chance.of(f"model {life.name}")),
            resources=[Outside(self, chance.of(f"outside {life.name}"))],
            clock=self.clock,
            ids=SeededIds(life.name),
            lease_ttl_ms=LEASE_TTL_MS,
            process_grace_ms=chance.one_of((0, 100, 1_000)),
        )

    # ---- clients

    def client(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Have a client begin."""
        self._clients[asyncio.create_task(work, name=name)] = None

    def busy_clients(self) -> list[str]:
        """Return the clients that have not got what they want."""
        return [task.get_name() for task in self._clients if not task.done()]

    async def end_clients(self) -> None:
        """Stop clients, and note those that failed."""
        for task in self._clients:
            task.cancel()
        for task, end in zip(
            self._clients, await asyncio.gather(*self._clients, return_exceptions=True), strict=True
        ):
            if isinstance(end, Exception):
                self.books.surprises.append(f"client {task.get_name()} failed: {end!r}")

    async def ask(self, work: Callable[[Runtime], Awaitable[T]], chance: Chance) -> T:
        """Ask a worker for something, and another one when it does not answer.

        Raises:
            LashError: what the worker answers, unless it is worth another try.
        """
        while True:
            posts = list(self._posts.values())
            if posts:
                post = chance.one_of(posts)
                try:
                    return await post.life.call(lambda runtime=post.runtime: work(runtime))  # type: ignore[misc]  # bound now
                except WorkerGone:
                    pass
                except LashError as problem:
                    if not problem.retryable and problem.code not in ("runtime_closed", "session_lease_lost"):
                        raise
            await asyncio.sleep(_ASK_AGAIN_S)

    # ---- what the cast needs to know

    def session_of(self, request: ModelRequest) -> str:
        """Return the session that a request belongs to."""
        return request.call_key.partition(":")[0]

    def check_not_recorded(self, name: str, key: str) -> None:
        """Note when a step runs whose outcome the journal had before."""
        process_id, slash, place = key.rpartition("/")
        if not slash or process_id not in self.database.tables.processes.processes:
            return
        for line in self.database.tables.effects.of_scope(EffectScope.process(process_id).key):
            if line.row.state is EffectState.DONE and f'-{place}","at_most_once"'.encode() in line.identity:
                self.books.surprises.append(f"step {name} {key} ran again although its outcome was recorded")
