"""Closing finishes what was handed in, and leaves one file behind."""

import asyncio
import os

import apsw
import pytest

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.sqlite import SqliteEngine
from lash.backends.sql.engine.sqlite.filelock import FileLock
from lash.errors import LashBug, LashError


def add(note_id: int):
    async def script(tx: Tx) -> int:
        await tx.write("INSERT INTO note(id, text) VALUES(?, 'x')", note_id)
        return note_id

    return script


async def count(tx: Tx) -> int:
    return await tx.fetch_one(int, "SELECT count(*) FROM note") or 0


def rows_in(path) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute("SELECT count(*) FROM note").get
    connection.close()
    return rows


async def test_closing_answers_everything_that_was_handed_in(connect, path):
    engine = await connect()
    written = [engine.submit(add(n)) for n in range(500)]
    read = [asyncio.create_task(engine.read(count)) for _ in range(10)]
    await asyncio.sleep(0)  # lets the readers hand their scripts in
    await engine.close()

    assert list(range(500)) == [future.result() for future in written]
    assert len(await asyncio.gather(*read)) == 10
    assert rows_in(path) == 500


async def test_closing_leaves_no_log_and_no_bell(connect, path):
    engine = await connect()
    await engine.run(add(1))
    await engine.close()

    assert not os.path.exists(f"{path}-wal")
    assert os.listdir(f"{path}-lash") == ["lock"]


async def test_closing_one_of_two_leaves_the_other_working(connect):
    one, other = await connect(), await connect()
    await one.run(add(1))
    await one.close()
    await other.run(add(2))

    assert await other.read(count) == 2
    assert {one.owner_id} == other.dead_owners([one.owner_id, other.owner_id])


async def test_closed_engine_refuses_work_with_a_code(connect):
    engine = await connect()
    await engine.close()
    await engine.close()

    for use in (lambda: engine.run(add(1)), lambda: engine.read(count)):
        with pytest.raises(LashError, match="closed") as failure:
            await use()
        assert failure.value.code == "store_closed"
    with pytest.raises(LashError):
        engine.submit(add(1))


async def test_engine_that_was_not_connected_says_so(path, clock, ids):
    with pytest.raises(LashError, match="not connected") as failure:
        await SqliteEngine(path, clock=clock, ids=ids).run(add(1))
    assert failure.value.code == "store_closed"


async def test_closing_goes_on_when_its_caller_is_cancelled(connect, path):
    engine = await connect()
    written = [engine.submit(add(n)) for n in range(200)]
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)  # lets the closing begin
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await engine.close()

    assert all(future.done() for future in written)
    assert rows_in(path) == 200


async def test_closing_does_not_wait_for_ever_on_a_process_that_never_lets_go(connect, path):
    engine = await connect(busy_timeout_ms=60, poll_ms=20)
    with FileLock(f"{path}-lash/lock"):
        waiting = engine.submit(add(1))
        await engine.close()

    assert waiting.exception().code == "store_busy"
    assert rows_in(path) == 0


async def test_cancelled_connect_leaves_no_bell_and_may_be_tried_again(path, clock, ids, schema):
    engine = SqliteEngine(path, clock=clock, ids=ids)
    connecting = asyncio.create_task(engine.connect(schema))
    await asyncio.sleep(0)  # lets the connecting begin
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    other = SqliteEngine(path, clock=clock, ids=ids)
    await other.connect(schema)
    while not other.dead_owners([engine.owner_id]):  # a thread ends it, not this loop
        await asyncio.sleep(0)

    await engine.connect(schema)
    assert other.dead_owners([engine.owner_id]) == set()
    await engine.close()
    await other.close()


async def test_engine_is_connected_only_once(engine, schema):
    with pytest.raises(LashBug, match="connected before"):
        await engine.connect(schema)
