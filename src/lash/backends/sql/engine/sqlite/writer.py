"""The one thread that writes: takes what was handed in, commits it as a group, and answers.

It drains what is there and never waits for more: while one batch waits for the disk, the next one gathers.
The queue is drained only once the lock between processes is held, so that what came in meanwhile goes along.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeAlias

from lash.backends.sql.engine.hub import Hub
from lash.backends.sql.engine.sqlite.filelock import FileLock
from lash.backends.sql.engine.sqlite.group_commit import GroupCommit
from lash.backends.sql.engine.sqlite.job import Job, answer, post
from lash.errors import LashError

Errand: TypeAlias = Callable[[], None]
"""Something that the writer's thread does between two batches, without the lock; it must not raise."""

_STOP_LOOK_S = 0.05


class Writer:
    """Owns the writing connection while it runs; everything but `_work` and below is called from the loop."""

    def __init__(
        self,
        commits: GroupCommit,
        lock: FileLock,
        loop: asyncio.AbstractEventLoop,
        hub: Hub,
        *,
        batch_scripts: int,
        on_commit: Callable[[set[str]], None],
    ) -> None:
        """Start the thread.

        Args:
            commits: Runs the batches; used by this thread alone from now on.
            lock: Taken around each batch.
            loop: Where jobs are answered.
            hub: Where the topics of a commit are published, after its callers were answered.
            batch_scripts: The most scripts in one transaction.
            on_commit: Called in the thread after each batch, with its topics; it must not raise.
        """
        self._commits = commits
        self._lock = lock
        self._loop = loop
        self._hub = hub
        self._batch_scripts = batch_scripts
        self._on_commit = on_commit
        self._queue: SimpleQueue[Job | Errand | None] = SimpleQueue()
        self._backlog: deque[Job | Errand | None] = deque()
        # Guards which side takes the jobs that wait for the lock: the writer, or `give_up`.
        self._gate = threading.Lock()
        self._waiting: Job | None = None
        self._waits = 0
        self._given_up = -1
        self._thread = threading.Thread(target=self._work, name="lash-sqlite-writer", daemon=True)
        self._thread.start()

    def put(self, item: Job | Errand) -> None:
        """Hand in a script or an errand; they are done in this order."""
        self._queue.put(item)

    def stop(self) -> None:
        """Do everything that was handed in, and end the thread. Blocks until then.

        If it waits for another process and its jobs were given up, it is left behind: it ends, having nothing
        to do, once that process lets go.
        """
        self._queue.put(None)
        while self._thread.is_alive() and self._given_up != self._waits:
            self._thread.join(_STOP_LOOK_S)

    def waiting_for_lock(self) -> int:
        """Return 0, or a number that stays the same during one wait for another process."""
        return self._waits if self._waiting is not None else 0

    def give_up(self, failure: Callable[[], LashError]) -> None:
        """Fail every job that waits for another process to let go. None of them has begun."""
        with self._gate:
            first, self._waiting = self._waiting, None
            if first is None:
                return
            self._given_up = self._waits
            # The writer's thread is in the lock's queue now, so its backlog may be touched.
            rest = [*self._backlog, *self._drain_queue()]
            self._backlog.clear()
        jobs = [item for item in (first, *rest) if isinstance(item, Job)]
        for item in rest:
            if not isinstance(item, Job):
                self._queue.put(item)
        for job in jobs:
            job.error = failure()
        answer(jobs)

    def _drain_queue(self) -> list[Job | Errand | None]:
        items: list[Job | Errand | None] = []
        while True:
            try:
                items.append(self._queue.get_nowait())
            except Empty:
                return items

    def _work(self) -> None:
        while (item := self._backlog.popleft() if self._backlog else self._queue.get()) is not None:
            if not isinstance(item, Job):
                item()
                continue
            self._waits += 1
            self._waiting = item
            done = self._run_batch()
            if done:
                topics = {topic for job in done for topic in job.topics}
                post(self._loop, self._answer, done, topics)
                self._on_commit(topics)

    def _run_batch(self) -> list[Job]:
        batch: list[Job] = []
        try:
            with self._lock:
                batch = self._gather()
                done = batch[: self._commits.run(batch)] if batch else batch
        except BaseException as error:  # noqa: BLE001  # callers must hear of it: nobody else will
            done = batch or self._gather()
            for job in done:
                job.error = job.error or error
            return done
        self._backlog.extendleft(reversed(batch[len(done) :]))
        return done

    def _answer(self, done: list[Job], topics: set[str]) -> None:
        answer(done)
        if topics:
            self._hub.publish(topics)

    def _gather(self) -> list[Job]:
        """Take the job that waited for the lock and the jobs behind it, up to the next errand."""
        with self._gate:
            first, self._waiting = self._waiting, None
            if first is None:
                return []
            batch = [first]
            while len(batch) < self._batch_scripts:
                try:
                    item = self._backlog.popleft() if self._backlog else self._queue.get_nowait()
                except Empty:
                    break
                if not isinstance(item, Job):
                    self._backlog.appendleft(item)
                    break
                batch.append(item)
            return batch
