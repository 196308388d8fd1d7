"""Threads for synchronous tools: bounded, reused, and never waited for when the process ends.

A thread cannot be stopped. When nobody waits for its job any longer (a timeout, a cancelled turn), its
place is given to the next job and it is counted as abandoned until it comes back by itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lash.errors import LashError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """How a job ended: exactly one of the two counts."""

    value: T | None = None
    error: BaseException | None = None


class ToolThreads:
    """Runs functions in threads.

    Args:
        limit: Jobs at a time.
        abandoned_limit: Threads that nobody waits for any longer; beyond it no new job is taken.
    """

    def __init__(self, limit: int = 32, abandoned_limit: int = 64) -> None:
        self._limit = limit
        self._abandoned_limit = abandoned_limit
        self._abandoned = 0
        self._places: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None
        self._idle = _IdleWorkers(limit)
        weakref.finalize(self, self._idle.close)

    @property
    def abandoned(self) -> int:
        """How many threads still run what nobody waits for."""
        return self._abandoned

    async def run(
        self,
        function: Callable[[], T],
        *,
        on_start: Callable[[], None],
        on_abandon: Callable[[asyncio.Future[Ended[T]]], None],
    ) -> T:
        """Return what `function` returns, or raise what it raises. Context variables are those of the caller.

        Args:
            function: The job.
            on_start: Called when a thread takes it, after any wait for a free place.
            on_abandon: Called when this call is cancelled while the job runs; the future ends with the job.

        Raises:
            LashError: `tool_threads_exhausted` when too many abandoned jobs still run.
        """
        async with self._free_places():
            if self._abandoned >= self._abandoned_limit:
                raise LashError(
                    "tool_threads_exhausted",
                    f"{self._abandoned} tool calls that were given up still run in threads: "
                    "let long tools look at ctx.cancelled",
                    retryable=True,
                )
            on_start()
            ended = self._submit(function)
            try:
                outcome = await asyncio.shield(ended)
            except asyncio.CancelledError:
                if not ended.done():
                    self._abandoned += 1
                    ended.add_done_callback(self._came_back)
                    on_abandon(ended)
                raise
        if outcome.error is not None:
            raise outcome.error
        return outcome.value  # type: ignore[return-value]  # without an error there is a value

    def _submit(self, function: Callable[[], T]) -> asyncio.Future[Ended[T]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ended[T]] = loop.create_future()
        context = contextvars.copy_context()

        def job() -> None:
            try:
                ended = Ended(value=context.run(function))
            except BaseException as error:  # noqa: BLE001  # carried to the caller, who decides
                ended = Ended(error=error)
            try:
                loop.call_soon_threadsafe(future.set_result, ended)
            except RuntimeError:  # the loop is closed: whoever wanted the result is gone with it
                if not loop.is_closed():
                    raise

        self._idle.take().jobs.put(job)
        return future

    def _free_places(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if self._places is None or self._places[0] is not loop:
            self._places = (loop, asyncio.Semaphore(self._limit))
        return self._places[1]

    def _came_back(self, ended: asyncio.Future[Ended[T]]) -> None:
        self._abandoned -= 1


class _IdleWorkers:
    """The threads that wait for a job. Threads hold this and not their pool, which may so be collected."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._closed = False

    def take(self) -> _Worker:
        """Return an idle worker, or a new one."""
        with self._lock:
            return self._workers.pop() if self._workers else _Worker(self)

    def give_back(self, worker: _Worker) -> bool:
        """Return whether the worker may wait for another job; else its thread ends."""
        with self._lock:
            if self._closed or len(self._workers) >= self._limit:
                return False
            self._workers.append(worker)
            return True

    def close(self) -> None:
        """End the idle threads now, and the busy ones after their job."""
        with self._lock:
            self._closed = True
            while self._workers:
                self._workers.pop().jobs.put(None)


class _Worker:
    """A daemon thread that runs one job after another."""

    def __init__(self, idle: _IdleWorkers) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = idle
        threading.Thread(target=self._serve, name="lash-tool", daemon=True).start()

    def _serve(self) -> None:
        while (job := self.jobs.get()) is not None:
            job()
            del job  # or the last job's arguments would live as long as the thread is idle
            if not self._idle.give_back(self):
                return
