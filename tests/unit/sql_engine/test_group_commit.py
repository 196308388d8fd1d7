"""Callers share a commit, and nothing else: neither failures nor half of each other's work."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.engine.sqlite import SqliteEngine
from lash.backends.sql.engine.sqlite.filelock import FileLock
from lash.errors import LashBug, LashError

ADD = "INSERT INTO note(id, text) VALUES(?, ?)"


class Note(NamedTuple):
    id: int
    text: str


def add(note_id: int, text: str = "x"):
    async def script(tx: Tx) -> int:
        await tx.write(ADD, note_id, text)
        return note_id

    return script


def add_then_raise(note_id: int):
    async def script(tx: Tx) -> int:
        await tx.write(ADD, note_id, "must not stay")
        raise LashError("precondition", f"note {note_id}")

    return script


async def all_ids(engine: SqliteEngine) -> list[int]:
    async def script(tx: Tx) -> list[int]:
        return await tx.fetch_all(int, "SELECT id FROM note ORDER BY id")

    return await engine.read(script)


def held(path: Path) -> FileLock:
    """Hold the writers off, so that what is handed in meanwhile becomes one batch."""
    return FileLock(f"{path}-lash/lock")


async def test_callers_that_wait_together_share_one_commit(engine, path):
    with held(path):
        pending = [engine.submit(add(n)) for n in range(50)]

    assert list(range(50)) == await asyncio.gather(*pending)
    statistics = engine.statistics()
    assert (statistics.scripts, statistics.commits, statistics.durable_commits) == (50, 1, 1)
    assert list(range(50)) == await all_ids(engine)


async def test_shared_commit_waits_for_the_disk_once(disk, engine, path):
    before = disk.log_syncs
    with held(path):
        pending = [engine.submit(add(n)) for n in range(20)]
    await asyncio.gather(*pending)

    assert disk.log_syncs - before == 1


async def test_failing_script_undoes_only_itself(engine, path):
    scripts = [add_then_raise(n) if n % 3 == 0 else add(n) for n in range(10)]
    with held(path):
        pending = [engine.submit(script) for script in scripts]
    outcomes = await asyncio.gather(*pending, return_exceptions=True)

    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, LashError)] == [0, 3, 6, 9]
    assert await all_ids(engine) == [1, 2, 4, 5, 7, 8]
    assert engine.statistics().commits == 1


async def test_lone_failing_script_leaves_no_trace_and_waits_for_no_disk(disk, engine):
    before = disk.log_syncs
    with pytest.raises(LashError, match="note 7"):
        await engine.run(add_then_raise(7))

    assert await all_ids(engine) == []
    assert disk.log_syncs - before == 0
    assert engine.statistics().commits == 0


async def test_batch_is_limited_by_count(connect, path):
    engine = await connect(batch_scripts=4)
    with held(path):
        pending = [engine.submit(add(n)) for n in range(10)]
    await asyncio.gather(*pending)

    assert engine.statistics().commits == 3


async def test_batch_is_limited_by_time_and_keeps_its_order(connect, path, clock):
    engine = await connect(batch_ms=50)
    clock.step_ms = 30  # a script takes 30 ms; the fourth would begin 90 ms after the first

    async def append(tx: Tx) -> int:
        (ids,) = await tx.read(Query(int, "SELECT id FROM note"))
        await tx.write(ADD, len(ids), "x")
        return len(ids)

    with held(path):
        pending = [engine.submit(append) for _ in range(6)]
    assert list(range(6)) == await asyncio.gather(*pending)
    # Two scripts begin within 50 ms of the first reading of each transaction.
    assert engine.statistics().commits == 3


async def test_failed_commit_fails_every_caller_and_keeps_nothing(disk, engine, path):
    disk.sync_failure = apsw.IOError("the disk is broken")
    with held(path):
        pending = [engine.submit(add(n)) for n in range(3)]
    outcomes = await asyncio.gather(*pending, return_exceptions=True)

    assert [outcome.code for outcome in outcomes] == ["store_io"] * 3
    assert str(path) in str(outcomes[0])
    disk.sync_failure = None
    assert await all_ids(engine) == []
    assert await engine.run(add(9)) == 9
    assert await all_ids(engine) == [9]


async def test_deferred_constraint_fails_only_the_script_that_broke_it(engine, path):
    async def reply_to_nothing(tx: Tx) -> None:
        await tx.write("INSERT INTO reply(note) VALUES(404)")

    with held(path):
        pending = [engine.submit(script) for script in (add(1), reply_to_nothing, add(2))]
    first, broken, last = await asyncio.gather(*pending, return_exceptions=True)

    assert (first, last) == (1, 2)
    assert broken.code == "store_backend"
    assert await all_ids(engine) == [1, 2]


async def limit_pages(tx: Tx) -> None:
    pages = await tx.fetch_one(int, "PRAGMA page_count")
    await tx.fetch_one(int, f"PRAGMA max_page_count={(pages or 0) + 20}")


async def add_too_much(tx: Tx) -> None:
    await tx.write("INSERT INTO note(id, text) VALUES(99, hex(zeroblob(1000000)))")


async def test_full_disk_fails_its_script_and_runs_the_innocent_again(engine, path):
    runs: list[int] = []

    def counted(note_id: int):
        async def script(tx: Tx) -> int:
            runs.append(note_id)
            await tx.write(ADD, note_id, "small")
            return note_id

        return script

    await engine.run(limit_pages)
    with held(path):
        pending = [engine.submit(script) for script in (counted(1), add_too_much, counted(2))]
    first, full, last = await asyncio.gather(*pending, return_exceptions=True)

    assert (first, last) == (1, 2)
    assert (full.code, full.retryable) == ("store_full", True)
    assert str(path) in str(full)
    assert runs == [1, 1, 2], "SQLite undid the whole transaction, so the first script had to run again"
    assert await all_ids(engine) == [1, 2]


async def test_nothing_is_written_outside_a_transaction_after_the_disk_was_full(engine):
    async def goes_on(tx: Tx) -> None:
        with suppress(apsw.FullError):
            await add_too_much(tx)
        await tx.write(ADD, 1, "would be committed on its own")

    await engine.run(limit_pages)
    with pytest.raises(LashError) as full:
        await engine.run(goes_on)

    assert full.value.code == "store_full"
    assert await all_ids(engine) == []


async def test_script_that_hides_the_error_of_a_write_has_failed_all_the_same(engine):
    async def hides(tx: Tx) -> str:
        await tx.write(ADD, 1, "first")
        with suppress(apsw.ConstraintError):
            await tx.write(ADD, 1, "twice")
        return "fine"

    with pytest.raises(LashError) as failure:
        await engine.run(hides)

    assert failure.value.code == "store_backend"
    assert await all_ids(engine) == []


async def test_script_that_awaits_something_else_is_a_bug_and_leaves_no_trace(engine):
    async def suspends(tx: Tx) -> None:
        await tx.write(ADD, 1, "x")
        await asyncio.sleep(0)

    with pytest.raises(LashBug, match="suspends"):
        await engine.run(suspends)
    assert await all_ids(engine) == []


async def test_cancelled_caller_finds_its_script_done(engine, path):
    with held(path):
        caller = asyncio.create_task(engine.run(add(1)))
        await asyncio.sleep(0)  # lets the caller hand its script in
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    assert await engine.run(add(2)) == 2
    assert await all_ids(engine) == [1, 2]


async def test_scripts_run_in_the_order_in_which_they_were_handed_in(engine):
    async def append(tx: Tx) -> int:
        (ids,) = await tx.read(Query(int, "SELECT id FROM note"))
        await tx.write(ADD, len(ids), "x")
        return len(ids)

    behind = [engine.submit(append) for _ in range(300)]
    assert await engine.run(append) == 300
    assert list(range(300)) == [future.result() for future in behind]


async def test_clock_is_read_once_for_each_script(engine, clock, path):
    clock.step_ms = 1
    clock.readings = 0

    async def twice(tx: Tx) -> tuple[int, int]:
        return tx.now_ms, tx.now_ms

    assert await engine.run(twice) == (1_001, 1_001)
    with held(path):
        pending = [engine.submit(twice) for _ in range(3)]
    assert await asyncio.gather(*pending) == [(1_002, 1_002), (1_003, 1_003), (1_004, 1_004)]
    assert clock.readings == 4


async def test_rows_are_made_of_columns_by_position(engine):
    async def script(tx: Tx) -> tuple[Note | None, Note | None, list[Note], list[int]]:
        await tx.write_many(ADD, [(2, "b"), (1, "a")])
        await tx.write_many(ADD, [])
        notes, counts = await tx.read(
            Query(Note, "SELECT id, text FROM note ORDER BY id"), Query(int, "SELECT count(*) FROM note")
        )
        one = await tx.fetch_one(Note, "SELECT id, text FROM note WHERE id=?", 2)
        none = await tx.fetch_one(Note, "SELECT id, text FROM note WHERE id=?", 3)
        return one, none, notes, counts

    assert (Note(2, "b"), None, [Note(1, "a"), Note(2, "b")], [2]) == await engine.run(script)


async def test_write_counted_tells_how_many_rows_changed(engine):
    async def script(tx: Tx) -> tuple[int, int]:
        await tx.write_many(ADD, [(1, "a"), (2, "b"), (3, "c")])
        some = await tx.write_counted("DELETE FROM note WHERE id > ?", 1)
        none = await tx.write_counted("DELETE FROM note WHERE id > ?", 1)
        return some, none

    assert await engine.run(script) == (2, 0)


async def test_writer_gives_up_on_a_process_that_never_lets_go(connect, path):
    engine = await connect(busy_timeout_ms=60, poll_ms=20)
    with held(path):
        first, second = engine.submit(add(1)), engine.submit(add(2))
        outcomes = await asyncio.gather(first, second, return_exceptions=True)

    assert [(outcome.code, outcome.retryable) for outcome in outcomes] == [("store_busy", True)] * 2
    assert await engine.run(add(3)) == 3
    assert await all_ids(engine) == [3], "what was reported as not written must not appear later"
