"""Reads run beside the writer, each on one snapshot, and cannot write."""

import asyncio
import threading

import pytest

from lash.backends.sql.engine import Query, Tx
from lash.errors import LashBug, LashError


def add(note_id: int):
    async def script(tx: Tx) -> None:
        await tx.write("INSERT INTO note(id, text) VALUES(?, 'x')", note_id)

    return script


async def count(tx: Tx) -> int:
    return await tx.fetch_one(int, "SELECT count(*) FROM note") or 0


async def test_read_sees_what_was_answered(engine):
    for note_id in range(20):
        await engine.run(add(note_id))
        assert note_id + 1 == await engine.read(count)


async def test_read_keeps_its_snapshot_while_others_write(engine):
    has_begun, may_go_on = threading.Event(), threading.Event()

    async def slow(tx: Tx) -> tuple[int, int]:
        before = await tx.fetch_one(int, "SELECT count(*) FROM note")
        has_begun.set()
        assert may_go_on.wait(30)
        (after,) = await tx.read(Query(int, "SELECT count(*) FROM note"))
        return before or 0, after[0]

    reading = asyncio.create_task(engine.read(slow))
    await asyncio.to_thread(has_begun.wait, 30)
    await engine.run(add(1))
    assert await engine.read(count) == 1, "another reader is not held up, and sees the new row"
    may_go_on.set()

    assert await reading == (0, 0)


async def test_more_reads_than_readers_are_all_answered(connect):
    engine = await connect(readers=2)
    await engine.run(add(1))

    assert await asyncio.gather(*(engine.read(count) for _ in range(200))) == [1] * 200


async def test_read_has_the_time_of_the_clock(engine, clock):
    async def when(tx: Tx) -> int:
        return tx.now_ms

    clock.at_ms = 77
    assert await engine.read(when) == 77


async def write(tx: Tx) -> None:
    await tx.write("DELETE FROM note")


async def write_many(tx: Tx) -> None:
    await tx.write_many("DELETE FROM note WHERE id=?", [(1,)])


async def write_counted(tx: Tx) -> None:
    await tx.write_counted("DELETE FROM note")


async def write_by_a_select(tx: Tx) -> None:
    await tx.fetch_all(int, "DELETE FROM note RETURNING id")


async def notify(tx: Tx) -> None:
    tx.notify("queue")


@pytest.mark.parametrize("script", [write, write_many, write_counted, write_by_a_select, notify])
async def test_read_script_that_writes_is_a_bug_and_writes_nothing(engine, script):
    await engine.run(add(1))
    with pytest.raises(LashBug, match="read script"):
        await engine.read(script)
    assert await engine.read(count) == 1


async def test_failing_read_says_so_and_the_next_one_works(engine):
    async def wrong(tx: Tx) -> None:
        await tx.fetch_one(int, "SELECT x FROM nowhere")

    with pytest.raises(LashError) as failure:
        await engine.read(wrong)
    assert (failure.value.code, failure.value.detail.split()[-1]) == ("store_backend", "nowhere")
    assert await engine.read(count) == 0
