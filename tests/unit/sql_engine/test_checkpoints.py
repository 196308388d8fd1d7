"""The write-ahead log stays small under steady writing, and grows only while an old snapshot is held."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator

import apsw
import pytest

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.sqlite import SqliteSettings
from lash.backends.sql.engine.sqlite.checkpointer import Checkpointer
from lash.backends.sql.engine.sqlite.connections import open_checkpointer, open_writer, use_log
from lash.backends.sql.engine.sqlite.filelock import FileLock

FRAME_BYTES = 8192 + 24


def fill(note_id: int):
    async def script(tx: Tx) -> None:
        await tx.write("INSERT OR REPLACE INTO note(id, text) VALUES(?, ?)", note_id, "x" * 3_000)

    return script


async def test_log_stays_bounded_under_steady_writing(connect, path):
    engine = await connect(checkpoint_frames=50)
    for note_id in range(2_000):
        await engine.run(fill(note_id))

    # The net below the checkpointer catches at four times the trigger, plus the commit that reaches it.
    assert os.path.getsize(f"{path}-wal") <= (4 * 50 + 20) * FRAME_BYTES
    assert engine.statistics().checkpoints > 0


@pytest.fixture
async def writer(engine, path) -> AsyncIterator[tuple[apsw.Connection, list[int]]]:
    """Return a connection that writes by hand, and the list of the lengths that its log had."""
    await engine.close()
    lengths: list[int] = []
    connection = open_writer(str(path), SqliteSettings())
    use_log(connection)
    connection.set_wal_hook(lambda connection, name, frames: lengths.append(frames) or apsw.SQLITE_OK)
    yield connection, lengths
    connection.close()


@pytest.fixture
def checkpointer(writer, path) -> Checkpointer:
    connection = open_checkpointer(str(path), SqliteSettings())
    return Checkpointer(connection, FileLock(f"{path}-lash/lock"), trigger_frames=50)


def write_by_hand(connection: apsw.Connection, note_id: int) -> None:
    connection.execute("INSERT INTO note(id, text) VALUES(?, ?)", (note_id, "x" * 3_000))


async def test_log_starts_over_once_the_checkpointer_was_asked(writer, checkpointer):
    connection, lengths = writer
    for note_id in range(100):
        write_by_hand(connection, note_id)
    checkpointer.ask(49)
    checkpointer.ask(lengths[-1])
    checkpointer.stop()

    assert checkpointer.checkpoints == 1, "not for 49 frames, and once for more"
    write_by_hand(connection, 100)
    assert lengths[-1] < 10


async def test_writer_copies_the_log_itself_when_the_checkpointer_does_not_keep_up(writer, checkpointer):
    connection, lengths = writer
    for note_id in range(500):
        write_by_hand(connection, note_id)
        checkpointer.help(connection, lengths[-1])
    checkpointer.stop()

    assert len(lengths) == 500
    assert max(lengths) <= 4 * 50 + 20


async def test_log_shrinks_to_its_bound_again_after_an_old_snapshot_is_gone(connect, path):
    engine = await connect(checkpoint_frames=20)
    has_begun, may_end = threading.Event(), threading.Event()

    async def slow(tx: Tx) -> None:
        await tx.fetch_one(int, "SELECT count(*) FROM note")
        has_begun.set()
        assert may_end.wait(30)

    await engine.run(fill(0))
    reading = asyncio.create_task(engine.read(slow))
    await asyncio.to_thread(has_begun.wait, 30)
    for note_id in range(300):
        await engine.run(fill(note_id))
    assert engine.statistics().log_frames > 300, "the snapshot keeps every frame after it"

    may_end.set()
    await reading
    note_id = 0
    while engine.statistics().log_frames > 100:
        await engine.run(fill(note_id := note_id + 1))
