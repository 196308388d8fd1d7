"""An owner lives as long as its session to the server does."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.postgres import PostgresEngine

from .conftest import Connect, Observer

PEER = """
import asyncio, sys
from lash.backends import open_database

async def main():
    database = open_database(sys.argv[1])
    await database.connect()
    print(database.owner_id, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def lives(engine: PostgresEngine, owner_id: str) -> bool:
    async def script(tx: Tx) -> bool:
        return bool(await tx.fetch_one(int, "SELECT lash_owner_lives(?)::int", owner_id))

    return await engine.read(script)


async def test_a_connected_engine_lives_and_a_closed_one_does_not(connect: Connect) -> None:
    engine, other = await connect(), await connect()
    assert await lives(engine, other.owner_id)
    assert await lives(engine, engine.owner_id)
    await other.close()
    assert not await lives(engine, other.owner_id)
    assert not await lives(engine, "never there")


async def test_an_engine_that_lost_its_session_lives_again_once_it_is_back(
    connect: Connect, observer: Observer
) -> None:
    engine, other = await connect(), await connect(poll_ms=20)
    observer.rows(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s",
        f"lash owner {other.owner_id}",
    )
    async with asyncio.timeout(90):
        while not await lives(engine, other.owner_id):
            await asyncio.sleep(0.01)


async def test_a_killed_process_is_dead_and_what_it_held_is_free(connect: Connect, url: str) -> None:
    from lash.backends import open_database

    database = open_database(url)
    await database.connect()
    with subprocess.Popen([sys.executable, "-c", PEER, url], stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdout is not None
        owner_id = peer.stdout.readline().strip()
        await database.session_leases.claim_session_lease("s", owner_id=owner_id, ttl_ms=3_600_000)
        assert await database.turn_ingress.release_dead_owners() == 0
        peer.kill()
        peer.wait()
    async with asyncio.timeout(90):
        while await database.session_leases.find_session_lease("s") is not None:
            await asyncio.sleep(0.01)
    assert await database.turn_ingress.release_dead_owners() == 1
    await database.close()


async def test_for_a_while_after_a_start_of_the_server_nobody_is_dead(connect: Connect, url: str) -> None:
    engine = await connect(f"{url}&options=-clash.restart_grace_ms%3D3600000")
    assert await lives(engine, "cut off by the restart")
