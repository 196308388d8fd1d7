"""Finds sessions with work, and drives their turns one after the other.

One task drives a session at a time; sessions run side by side. The loop sleeps until the database rings:
polling is only the safety net behind it. What a dead process held is taken over when this worker starts
and whenever it looks around; where death cannot be known the lease's time decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from lash.contracts import Subscription
from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.housekeeping import Housekeeping
from lash.runtime.resident import ResidentSessions
from lash.runtime.services import RuntimeServices
from lash.runtime.turn_driver import DrivenTurn, ParkedTurn, TurnDriver
from lash.runtime.turn_run import TurnRun, closed_error
from lash.values import ClaimedTurn, session_depth

_log = logging.getLogger("lash.runtime")

_LOOK_AROUND_MS = 1_000
_BACKOFF_FIRST_S = 0.5
_BACKOFF_CAP_S = 30.0


class Worker:
    """Drives the turns of the agents that it was given.

    Args:
        services: What all drivers share.
        agents: By name; work of others is left alone.
        max_concurrent_turns: How many turns run at the same time.
    """

    def __init__(
        self, services: RuntimeServices, agents: Mapping[str, BoundAgent], *, max_concurrent_turns: int = 256
    ) -> None:
        self._services = services
        self._agents = agents
        self._max_concurrent_turns = max_concurrent_turns
        self._slots = asyncio.Semaphore(max_concurrent_turns)
        self._residents = ResidentSessions()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._drivers: dict[str, TurnDriver] = {}
        self._recheck: set[str] = set()
        self._held_back: dict[str, float] = {}  # session -> when to try again, by the loop's clock
        self._failures: dict[str, int] = {}
        self._results: dict[tuple[str, str], asyncio.Future[DrivenTurn | ParkedTurn]] = {}
        self._loop_task: asyncio.Task[None] | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._closing = False
        self._look_for_dead_at = 0.0

    @property
    def owner_id(self) -> str:
        return self._services.database.owner_id

    def can_take_up(self, session_id: str) -> bool:
        """Whether a turn of this session that is claimed now would be driven at once."""
        idle = session_id not in self._tasks and not self._is_held_back(session_id)
        return idle and not self._closing and len(self._tasks) < self._max_concurrent_turns

    def start(self) -> None:
        """Begin to look for work, and to sweep what is over. Recovery is the first look."""
        self._loop_task = asyncio.create_task(self._look_for_work(), name="lash-worker")
        services = self._services
        if services.retention_ms is not None:
            keeper = Housekeeping(services.database, services.clock, retention_ms=services.retention_ms)
            self._sweeper = asyncio.create_task(keeper.run(), name="lash-housekeeping")
            self._sweeper.add_done_callback(_report_bug)

    async def drain(self, seconds: float) -> int:
        """Take up nothing more, and let what runs end; return how many turns still run after a while."""
        self._closing = True
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        running = set(self._tasks.values())
        if not running:
            return 0
        _, left = await asyncio.wait(running, timeout=seconds)
        return len(left)

    async def stop(self) -> None:
        """Stop driving. Turns that are not finished are given back and stay accepted."""
        self._closing = True
        tasks = [task for task in (self._loop_task, self._sweeper, *self._tasks.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for (session_id, turn_id), future in self._results.items():
            _fail(future, closed_error(session_id, turn_id))
        self._results.clear()

    def take_up(self, claimed: ClaimedTurn, changes: Subscription) -> None:
        """Drive a turn that was claimed when it was accepted.

        Args:
            claimed: The claim. Its acceptance saw that no other work of the session could be taken.
            changes: A subscription to the session that is older than the acceptance.
        """
        session_id = claimed.lease.session_id
        self._spawn(session_id, (claimed, changes), after=self._tasks.get(session_id))

    def note_waiting(self, session_id: str) -> None:
        """Look at a session again as soon as its running turn is over."""
        self._recheck.add(session_id)
        if session_id not in self._tasks:
            self._spawn(session_id)

    def find_driver(self, session_id: str, turn_id: str) -> TurnDriver | None:
        """Return the driver of a turn that runs here."""
        driver = self._drivers.get(session_id)
        return driver if driver is not None and driver.claimed.turn_id == turn_id else None

    def expect(self, session_id: str, turn_id: str) -> asyncio.Future[DrivenTurn | ParkedTurn]:
        """Return the result to come of a turn, should it be driven here. A parked one is to be expected anew."""
        key = (session_id, turn_id)
        future = self._results.get(key)
        if future is None:
            future = self._results[key] = asyncio.get_running_loop().create_future()
        return future

    def forget(self, session_id: str, turn_id: str) -> None:
        """Nobody expects that result any more."""
        if self.find_driver(session_id, turn_id) is None:
            self._results.pop((session_id, turn_id), None)

    async def _look_for_work(self) -> None:
        subscription = self._services.database.subscribe(["queue"])
        try:
            while True:
                try:
                    wait_ms = await self._look_once()
                except LashError as problem:
                    if not problem.retryable:
                        _log.error("looking for work failed: %s", problem)
                    wait_ms = _LOOK_AROUND_MS
                if await subscription.wait(timeout_ms=wait_ms):
                    self._recheck.update(self._tasks)
        finally:
            subscription.close()

    async def _look_once(self) -> int:
        """Spawn a task for each ready session; return how long nothing new can become ready by itself."""
        ingress = self._services.database.turn_ingress
        if not self._agents:
            return _LOOK_AROUND_MS
        loop = asyncio.get_running_loop()
        if loop.time() >= self._look_for_dead_at:
            self._look_for_dead_at = loop.time() + _LOOK_AROUND_MS / 1000
            await ingress.release_dead_owners()
        now_ms = self._services.clock.now_ms()
        wait_ms = _LOOK_AROUND_MS
        for ready in await ingress.list_ready_sessions(tuple(self._agents), limit=1000):
            if ready.ready_at_ms > now_ms:
                wait_ms = min(wait_ms, ready.ready_at_ms - now_ms)
            elif ready.session_id not in self._tasks and not self._is_held_back(ready.session_id):
                self._spawn(ready.session_id)
        return max(1, wait_ms)

    def _spawn(
        self,
        session_id: str,
        accepted: tuple[ClaimedTurn, Subscription] | None = None,
        after: asyncio.Task[None] | None = None,
    ) -> None:
        task = asyncio.create_task(
            self._drive_session(session_id, accepted, after), name=f"lash-{session_id}"
        )
        self._tasks[session_id] = task
        task.add_done_callback(lambda done: self._ended(session_id, done))

    def _ended(self, session_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(session_id) is task:
            del self._tasks[session_id]
        if not task.cancelled() and (problem := task.exception()) is not None:
            _log.error("looking after session %r failed", session_id, exc_info=problem)

    async def _drive_session(
        self,
        session_id: str,
        accepted: tuple[ClaimedTurn, Subscription] | None,
        after: asyncio.Task[None] | None,
    ) -> None:
        """Drive the turn that was claimed at its acceptance, if there is one, and then whatever waits."""
        if after is not None:
            await asyncio.wait({after})
        async with self._slots:
            if accepted is not None:
                self._recheck.discard(session_id)
                if not await self._drive(*accepted, nothing_waits=True):
                    return
                if session_id not in self._recheck:
                    return
            while not self._closing:
                self._recheck.discard(session_id)
                changes = self._services.database.subscribe([f"session:{session_id}"])
                claimed = await self._claim(session_id)
                if claimed is None:
                    changes.close()
                    if session_id in self._recheck:
                        continue
                    return
                if not await self._drive(claimed, changes):
                    return

    async def _claim(self, session_id: str) -> ClaimedTurn | None:
        answer = await self._services.database.turn_ingress.claim_turn(
            session_id,
            owner_id=self.owner_id,
            agents=tuple(self._agents),
            lease_ttl_ms=self._services.lease_ttl_ms,
        )
        return answer if isinstance(answer, ClaimedTurn) else None

    async def _drive(
        self, claimed: ClaimedTurn, changes: Subscription, *, nothing_waits: bool = False
    ) -> bool:
        """Drive one turn as far as it goes; return whether the session may go on to the next."""
        session_id = claimed.lease.session_id
        persistence = self._services.database.runtime_persistence(session_id)
        resident = self._residents.take(session_id)
        driver = TurnDriver(
            self._services,
            self._agents[claimed.agent].at_depth(session_depth(session_id)),
            claimed,
            resident,
            persistence,
            nothing_waits=nothing_waits,
        )
        self._drivers[session_id] = driver
        key = (session_id, claimed.turn_id)
        try:
            driven = await TurnRun(self._services, driver, changes).finish()
        except LashError as failure:
            self._hold_back(session_id, retryable=failure.retryable)
            _fail(self._results.pop(key, None), failure)
            return False
        except asyncio.CancelledError:
            _fail(self._results.pop(key, None), closed_error(session_id, claimed.turn_id))
            raise
        finally:
            self._drivers.pop(session_id, None)
        self._residents.keep(resident)
        self._failures.pop(session_id, None)
        future = self._results.pop(key, None)
        if future is not None and not future.done():
            future.set_result(driven)
        return True

    def _hold_back(self, session_id: str, *, retryable: bool) -> None:
        """Do not try a session again at once. What cannot mend itself waits longest."""
        failures = self._failures[session_id] = self._failures.get(session_id, 0) + 1
        delay_s = min(_BACKOFF_FIRST_S * 2 ** (failures - 1), _BACKOFF_CAP_S) if retryable else _BACKOFF_CAP_S
        self._held_back[session_id] = asyncio.get_running_loop().time() + delay_s

    def _is_held_back(self, session_id: str) -> bool:
        until = self._held_back.get(session_id)
        if until is None:
            return False
        if asyncio.get_running_loop().time() < until:
            return True
        del self._held_back[session_id]
        return False


def _fail(future: asyncio.Future[DrivenTurn | ParkedTurn] | None, failure: LashError) -> None:
    """Tell whoever waits; nobody need wait."""
    if future is not None and not future.done():
        future.set_exception(failure)
        future.exception()


def _report_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        _log.error(
            "housekeeping ended in a bug; settled evidence is kept until the next start", exc_info=problem
        )
