"""Finds processes that want to be run, and runs them, a bounded number at a time.

A process that waits is no work: it was let go of, and comes back to the list when it may go on. So what waits for
its children keeps nobody from running them. The loop sleeps until the database rings; polling is the safety net.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lash.agents import PROCESS_WAKE
from lash.contracts import Subscription
from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.processes.engine import ProcessEngine, ProcessEngines, process_event
from lash.runtime.processes.supervision import RunningProcess, Supervisor
from lash.runtime.services import RuntimeServices
from lash.values import ProcessLease, ProcessRecord

_log = logging.getLogger("lash.runtime")

_LOOK_AROUND_MS = 1_000
_PAGE = 200

# What says that a process must not be started here any more: it is given up, with the evidence.
_NOT_TO_BE_RUN = frozenset({"process_owner_bound", "process_attempts_exhausted"})


class ProcessWorker:
    """Runs the processes of the profiles that it was given.

    Args:
        services: What all drivers share.
        agents: By name, for the engines.
        engines: What runs which input.
        host_profiles: Whose processes are run; those of others are left alone.
        max_concurrent: How many run at the same time.
        grace_s: How long a run may wait in memory before it is let go of.
    """

    def __init__(
        self,
        services: RuntimeServices,
        agents: Mapping[str, BoundAgent],
        engines: ProcessEngines,
        host_profiles: Sequence[str],
        *,
        max_concurrent: int = 256,
        grace_s: float = 1.0,
    ) -> None:
        self._services = services
        self._agents = agents
        self._engines = engines
        self._host_profiles = tuple(host_profiles)
        self._max_concurrent = max_concurrent
        self._grace_s = grace_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._expected: dict[str, set[asyncio.Future[LashError]]] = {}
        self._passed_over: dict[str, float] = {}  # process -> when to look at it again, by the loop's clock
        self._loop_task: asyncio.Task[None] | None = None
        self._freed = asyncio.Event()

    @property
    def running_ids(self) -> tuple[str, ...]:
        """The processes that run here now."""
        return tuple(self._tasks)

    def expect_stall(self, process_id: str) -> asyncio.Future[LashError]:
        """Return what will keep a process from going on here, should something that does not mend itself.

        Cancel it when nobody waits any more.
        """
        expected: asyncio.Future[LashError] = asyncio.get_running_loop().create_future()
        self._expected.setdefault(process_id, set()).add(expected)
        expected.add_done_callback(lambda done: self._forget(process_id, done))
        return expected

    def _forget(self, process_id: str, expected: asyncio.Future[LashError]) -> None:
        waiting = self._expected.get(process_id, set())
        waiting.discard(expected)
        if not waiting:
            self._expected.pop(process_id, None)

    def start(self) -> None:
        """Begin to look for processes. Recovery is the first look."""
        self._loop_task = asyncio.create_task(self._look_for_work(), name="lash-processes")

    async def drain(self, seconds: float) -> int:
        """Take up nothing more, and let what runs end or park; return how many still run after a while."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        running = set(self._tasks.values())
        if not running:
            return 0
        _, left = await asyncio.wait(running, timeout=seconds)
        return len(left)

    async def stop(self) -> None:
        """Stop looking, and give back what runs; that uses up no attempt."""
        await self.drain(0)
        tasks = set(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_for_work(self) -> None:
        subscription = self._services.database.subscribe(["processes"])
        try:
            while True:
                try:
                    await self._look_once()
                except LashError as problem:
                    if not problem.retryable:
                        _log.error("looking for processes failed: %s", problem)
                await self._rest(subscription)
        finally:
            subscription.close()

    async def _rest(self, subscription: Subscription) -> None:
        """Return when something has changed, a place was freed, or it is time to look around."""
        rung = asyncio.ensure_future(subscription.wait(timeout_ms=_LOOK_AROUND_MS))
        freed = asyncio.ensure_future(self._freed.wait())
        try:
            waited: list[asyncio.Future[Any]] = [rung, freed]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._freed.clear()
            for one in (rung, freed):
                one.cancel()
            await asyncio.gather(rung, freed, return_exceptions=True)

    async def _look_once(self) -> None:
        """Begin to run what is ready, page by page, as far as there are places."""
        registry, after = self._services.database.process_registry, None
        while len(self._tasks) < self._max_concurrent:
            page = await registry.list_ready_processes(
                host_profiles=self._host_profiles, after=after, limit=_PAGE
            )
            for record in page:
                if len(self._tasks) >= self._max_concurrent:
                    return
                engine = self._engines.find(record)
                if (
                    engine is not None
                    and record.id not in self._tasks
                    and not self._is_passed_over(record.id)
                ):
                    self._spawn(record, engine)
            if len(page) < _PAGE:
                return
            after = page[-1].id

    def _spawn(self, record: ProcessRecord, engine: ProcessEngine) -> None:
        task = asyncio.create_task(self._supervise(record, engine), name=f"lash-{record.id}")
        self._tasks[record.id] = task
        task.add_done_callback(lambda done: self._ended(record.id, done))

    def _ended(self, process_id: str, task: asyncio.Task[None]) -> None:
        del self._tasks[process_id]
        self._freed.set()
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._pass_over(process_id)
            _log.error("looking after process %r failed", process_id, exc_info=problem)

    async def _supervise(self, record: ProcessRecord, engine: ProcessEngine) -> None:
        process_id = record.id
        registry = self._services.database.process_registry
        try:
            lease = await registry.claim_process_lease(
                process_id, self._services.database.owner_id, self._services.lease_ttl_ms
            )
        except LashError as problem:
            if (
                problem.code not in ("process_lease_held", "process_no_longer_retained")
                and not problem.retryable
            ):
                raise
            self._pass_over(process_id)
            return
        try:
            started = await self._start(record, lease)
        except LashError as problem:
            _log.warning("process %r could not be started: %s", process_id, problem)
            self._pass_over(process_id)
            await registry.complete_process_lease(lease.completion())
            return
        if started is None:
            return
        running = RunningProcess(self._services, self._agents, started, lease, grace_s=self._grace_s)
        supervisor = Supervisor(running, engine, failures=self._failures.get(process_id, 0))
        failure = await supervisor.finish()
        if failure is None:
            self._failures.pop(process_id, None)
            return
        self._failures[process_id] = self._failures.get(process_id, 0) + 1
        if not failure.retryable and failure.code not in ("process_lease_lost", "process_already_terminal"):
            for expected in list(self._expected.get(process_id, ())):
                expected.set_result(failure)

    async def _start(self, record: ProcessRecord, lease: ProcessLease) -> ProcessRecord | None:
        """Note that the process is run; None when it is not to be run, and was given up or is over."""
        registry = self._services.database.process_registry
        if record.abandon_requested:
            await self._abandon(lease, record, "process_abandon_requested")
            return None
        try:
            return await registry.start_process_attempt(lease)
        except LashError as problem:
            if problem.code == "process_already_terminal":
                await registry.complete_process_lease(lease.completion())
                return None
            if problem.code not in _NOT_TO_BE_RUN:
                raise
            await self._abandon(lease, record, problem.code)
            return None

    async def _abandon(self, lease: ProcessLease, record: ProcessRecord, reason: str) -> None:
        """Write that a process is given up, and why: its last run did not end, and nobody knows what it did."""
        registry = self._services.database.process_registry
        await registry.complete_process_lease(lease.completion())
        evidence = {
            "reason": reason,
            "attempts": record.attempts,
            "recovery": record.recovery.value,
            "fencing_token": lease.fencing_token,
            "found_by": lease.owner_id,
        }
        try:
            await registry.abandon_process(record.id, written_by=lease.owner_id, evidence=evidence)
        except LashError as problem:
            if problem.code not in ("process_already_terminal", "process_lease_held"):
                raise
        else:
            await self._tell_abandoned(record, reason)

    async def _tell_abandoned(self, record: ProcessRecord, reason: str) -> None:
        """Wake the session that waits for a process which was given up: no end of its own will."""
        if record.wake_target is None or all(one.name != PROCESS_WAKE for one in record.event_types):
            return
        text = f"{record.id} was given up and did not finish ({reason})"
        wake = process_event(record.id, "abandoned", PROCESS_WAKE, {"text": text})
        await self._services.database.process_registry.append_event(record.id, wake)

    def _pass_over(self, process_id: str) -> None:
        """Do not look at a process again at once: it could not be claimed, or not be started."""
        self._passed_over[process_id] = asyncio.get_running_loop().time() + _LOOK_AROUND_MS / 1000

    def _is_passed_over(self, process_id: str) -> bool:
        until = self._passed_over.get(process_id)
        if until is None:
            return False
        if asyncio.get_running_loop().time() < until:
            return True
        del self._passed_over[process_id]
        return False
