"""A server that crashes in the middle of everything: what was acknowledged is there, once, and work goes on."""

from __future__ import annotations

import asyncio
from typing import Any

from lash.backends.sql.engine import Tx

from .conftest import ADD_NOTE, COUNT_NOTES, Connect, Observer

WRITERS = 6
BEFORE, AFTER = 10, 10


async def test_nothing_acknowledged_is_lost_and_nothing_is_applied_twice(
    connect: Connect, url: str, postgres_server: Any
) -> None:
    engine = await connect(patience_ms=60_000, connect_timeout_ms=60_000)
    acknowledged: list[int] = []
    is_restarted = asyncio.Event()

    async def write(writer: int) -> None:
        number = writer * 1_000_000
        count = 0
        while count < AFTER:
            await engine.run(adding(number))
            acknowledged.append(number)
            number += 1
            count += is_restarted.is_set()

    writing = asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    while len(acknowledged) < WRITERS * BEFORE:
        await asyncio.sleep(0.001)
    await asyncio.to_thread(postgres_server.crash_and_restart)
    is_restarted.set()
    await writing
    observer = Observer(url)
    stored = [row[0] for row in observer.rows("SELECT id FROM note ORDER BY id")]
    observer.close()
    assert stored == sorted(acknowledged)


async def test_who_waits_is_woken_after_a_crash_as_before(connect: Connect, postgres_server: Any) -> None:
    engine, other = await connect(), await connect()
    with other.hub.subscribe("a") as there:
        await asyncio.to_thread(postgres_server.crash_and_restart)
        async with asyncio.timeout(90):
            await there.wait()  # the listener is back, and knows that it missed something
            await engine.run(adding(1))
            await there.wait()


def adding(number: int) -> Any:
    async def script(tx: Tx) -> None:
        await tx.fetch_one(int, COUNT_NOTES)
        await tx.write(ADD_NOTE, number, "")
        tx.notify("a")

    return script
