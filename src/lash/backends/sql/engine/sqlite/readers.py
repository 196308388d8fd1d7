"""Threads that read beside the writer, each on a connection and a snapshot of its own.

A snapshot begins with the first select of a script, after the script was handed in, and ends with the script:
an old snapshot keeps the write-ahead log from starting over. Threads are made when all others are busy.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

import apsw

from lash.backends.sql.engine.sqlite.drive import drive
from lash.backends.sql.engine.sqlite.job import Job, answer, post
from lash.backends.sql.engine.sqlite.transaction import ReadOnlyTx
from lash.errors import LashBug, LashError
from lash.values.environment import Clock


class ReaderPool:
    """Runs read scripts; handed in and answered on the event loop."""

    def __init__(
        self,
        open_connection: Callable[[], apsw.Connection],
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        translate: Callable[[apsw.Error, apsw.Connection | None], LashError],
        *,
        limit: int,
    ) -> None:
        self._open_connection = open_connection
        self._clock = clock
        self._loop = loop
        self._translate = translate
        self._limit = limit
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unanswered = 0

    def put(self, job: Job) -> None:
        """Hand in a script that reads."""
        self._unanswered += 1
        if self._unanswered > len(self._threads) < self._limit:
            name = f"lash-sqlite-reader-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queue.put(job)

    def stop(self) -> None:
        """Run everything that was handed in, and end the threads. Blocks until then."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        connection: apsw.Connection | None = None
        while (job := self._queue.get()) is not None:
            try:
                connection = connection or self._open_connection()
                self._play(job, connection)
            except apsw.Error as error:
                job.error = self._translate(error, connection)
            except BaseException as error:  # noqa: BLE001  # all kinds go to the caller
                job.error = error
            post(self._loop, self._answer, job)
        if connection is not None:
            connection.close()

    def _play(self, job: Job, connection: apsw.Connection) -> None:
        connection.execute("BEGIN")
        try:
            job.result = drive(job.script, ReadOnlyTx(connection, self._clock.now_ms()))
        except apsw.ReadOnlyError as error:
            raise LashBug("a read script ran a statement that writes; it belongs to Engine.run") from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _answer(self, job: Job) -> None:
        self._unanswered -= 1
        answer((job,))
