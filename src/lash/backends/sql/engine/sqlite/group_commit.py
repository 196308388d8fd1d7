"""Runs a batch of scripts in one transaction, so that they share one wait for the disk.

Three rules hold whatever fails. A script that raises undoes only itself. A commit that fails, fails every
script that was in it. And nobody's outcome is known before the commit has returned: the caller of `run`
answers after it.

A lone script needs no savepoint; in a batch each has one, kept in memory (`temp_store`), because SQLite
copies every page that a savepoint touches. When SQLite itself undid the whole transaction, which it does when
the disk is full or broken, the scripts that were not to blame are run again, each in a transaction of its
own.
"""

from collections.abc import Callable, Sequence

import apsw

from lash.backends.sql.engine.sqlite.drive import drive
from lash.backends.sql.engine.sqlite.job import Job
from lash.backends.sql.engine.sqlite.transaction import SqliteTx
from lash.errors import LashError
from lash.values.environment import Clock


class GroupCommit:
    """The write transactions of one connection; belongs to the thread that writes."""

    def __init__(
        self,
        connection: apsw.Connection,
        clock: Clock,
        translate: Callable[[apsw.Error, apsw.Connection], LashError],
        *,
        batch_ms: int,
    ) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._clock = clock
        self._translate = translate
        self._batch_ms = batch_ms
        self._waits_for_disk = True
        self._has_unsynced_commits = False
        self.scripts = 0
        self.commits = 0
        self.durable_commits = 0
        self.log_frames = 0
        connection.set_wal_hook(self._committed_to_log)

    def run(self, jobs: Sequence[Job]) -> int:
        """Run the scripts in their order, and commit.

        Returns:
            How many of the jobs, from the front, have an outcome now. The others were not touched: they would
            have made the transaction too long.
        """
        durable = any(job.durable for job in jobs)
        try:
            self._begin(durable=durable)
            changes = self._connection.total_changes()
            ran = self._run_alone(jobs[0]) if len(jobs) == 1 else self._run_together(jobs)
            if self._connection.in_transaction:
                self._commit(jobs[:ran], durable=durable, changed=self._connection.total_changes() != changes)
        except apsw.Error as error:
            self._fail(jobs, error)
            return len(jobs)
        return ran

    def _begin(self, *, durable: bool) -> None:
        if durable != self._waits_for_disk:
            # Not allowed inside a transaction. NORMAL writes the log and leaves it to the operating system.
            self._execute("PRAGMA synchronous=FULL" if durable else "PRAGMA synchronous=NORMAL")
            self._waits_for_disk = durable
        self._execute("BEGIN IMMEDIATE")

    def _run_alone(self, job: Job) -> int:
        self._play(job, self._clock.now_ms())
        return 1

    def _run_together(self, jobs: Sequence[Job]) -> int:
        start_ms = self._clock.now_ms()
        now_ms = start_ms
        for index, job in enumerate(jobs):
            if index:
                now_ms = self._clock.now_ms()
                if now_ms - start_ms > self._batch_ms:
                    return index
            self._execute("SAVEPOINT script")
            self._play(job, now_ms)
            if not self._connection.in_transaction:
                self._run_each(jobs, culprit=job)
                return len(jobs)
            if job.error is not None:
                self._execute("ROLLBACK TO script")
            self._execute("RELEASE script")
        return len(jobs)

    def _run_each(self, jobs: Sequence[Job], culprit: Job | None = None) -> None:
        """Give the jobs of a lost transaction one each. Those that failed by themselves keep their error."""
        for job in jobs:
            if job is not culprit and job.error is None:
                self.run((job,))

    def _play(self, job: Job, now_ms: int) -> None:
        tx = SqliteTx(self._connection, now_ms)
        try:
            job.result = drive(job.script, tx)
        except apsw.Error as error:
            job.error = self._translate(error, self._connection)
        except BaseException as error:  # noqa: BLE001  # all kinds go to the caller
            job.error = error
        else:
            if tx.failure is not None:
                job.error = self._translate(tx.failure, self._connection)
        job.topics = tx.topics if job.error is None else ()

    def _commit(self, jobs: Sequence[Job], *, durable: bool, changed: bool) -> None:
        committed = [job for job in jobs if job.error is None]
        if not committed:
            self._execute("ROLLBACK")
            return
        if durable and not changed and self._has_unsynced_commits:
            self._write_something()
        try:
            self._execute("COMMIT")
        except apsw.ConstraintError as error:
            # A deferred constraint is checked only now, and one script broke it: find out which.
            self._undo()
            if len(committed) == 1:
                self._fail(committed, error)
            else:
                self._run_each(committed)
            return
        self.scripts += len(committed)
        self.commits += 1
        self.durable_commits += durable
        self._has_unsynced_commits = not durable and (changed or self._has_unsynced_commits)

    def _write_something(self) -> None:
        """Make this commit reach the disk although its scripts changed nothing.

        They may have seen, and will report as safe, what an earlier commit left to the operating system.
        """
        version = self._connection.pragma("user_version")
        self._execute(f"PRAGMA user_version={version}")

    def _fail(self, jobs: Sequence[Job], error: apsw.Error) -> None:
        failures = [(job, self._translate(error, self._connection)) for job in jobs if job.error is None]
        self._undo()
        for job, failure in failures:
            job.error = failure
            job.topics = ()

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def _committed_to_log(self, connection: apsw.Connection, database: str, frames: int) -> int:
        self.log_frames = frames
        return apsw.SQLITE_OK
