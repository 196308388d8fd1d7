"""Commits that need not wait for the disk: seen by all at once, made safe by the next one that does."""

import asyncio

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.sqlite.filelock import FileLock


def add(note_id: int):
    async def script(tx: Tx) -> None:
        await tx.write("INSERT INTO note(id, text) VALUES(?, 'x')", note_id)

    return script


async def count(tx: Tx) -> int:
    return await tx.fetch_one(int, "SELECT count(*) FROM note") or 0


async def test_visible_commit_does_not_wait_for_the_disk_and_is_seen_by_others_at_once(disk, connect):
    one, other = await connect(), await connect()
    await one.run(add(0))  # starts the log, whose header is always synced
    before = disk.log_syncs

    for note_id in range(1, 6):
        await one.run(add(note_id), durable=False)

    assert disk.log_syncs - before == 0
    assert await other.read(count) == 6
    assert await other.run(count, durable=False) == 6
    assert (one.statistics().commits, one.statistics().durable_commits) == (6, 1)


async def test_one_durable_script_makes_the_whole_batch_wait(disk, engine, path):
    await engine.run(add(0))
    before = disk.log_syncs
    with FileLock(f"{path}-lash/lock"):
        pending = [engine.submit(add(n), durable=n == 2) for n in range(1, 4)]
    await asyncio.gather(*pending)

    assert disk.log_syncs - before == 1


async def test_durable_answer_about_a_visible_commit_waits_for_the_disk(disk, engine):
    await engine.run(add(0))
    await engine.run(add(1), durable=False)
    before = disk.log_syncs

    assert await engine.run(count) == 2, "a caller may now tell the world that there are two"
    assert disk.log_syncs - before == 1
    assert await engine.run(count) == 2
    assert disk.log_syncs - before == 1, "it is on the disk already"
