"""The server's limit of connections, its end, and its return."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from lash.backends.sql.engine import Tx
from lash.errors import LashError

from .conftest import ADD_NOTE, COUNT_NOTES, Connect, Observer


def adding(number: int) -> Callable[[Tx], Any]:
    async def script(tx: Tx) -> int:
        await tx.write(ADD_NOTE, number, "")
        tx.notify("notes")
        return number

    return script


async def counting(tx: Tx) -> int | None:
    return await tx.fetch_one(int, COUNT_NOTES)


async def until_connected(server: Any, role: str, count: int) -> None:
    """Return once a role has so many connections."""
    async with asyncio.timeout(60):
        while True:
            rows = server.execute(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'")
            if rows == [(count,)]:
                return
            await asyncio.sleep(0.01)


@contextmanager
def limited_role(server: Any, url: str, name: str, limit: int) -> Iterator[str]:
    """A role that may hold so many connections, and the URL of a database for it."""
    server.execute(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {limit}")
    database = url.partition("?")[0].rpartition("/")[2]
    server.execute(f"GRANT ALL ON SCHEMA public TO {name}", database)
    try:
        yield url.replace("//lash@", f"//{name}@")
    finally:
        server.execute(f"DROP OWNED BY {name} CASCADE", database)
        server.execute(f"DROP ROLE {name}")


async def test_scripts_make_do_with_the_connections_that_the_server_gives(
    connect: Connect, url: str, postgres_server: Any
) -> None:
    with limited_role(postgres_server, url, "frugal", 4) as place:  # one listens, one notifies
        engine = await connect(place, connections=10)
        assert await asyncio.gather(*(engine.run(adding(n)) for n in range(40))) == list(range(40))
        assert await engine.read(counting) == 40
        await engine.close()


async def test_who_gets_no_connection_is_told_both_limits(
    connect: Connect, url: str, postgres_server: Any
) -> None:
    with limited_role(postgres_server, url, "crowded", 3) as place, ExitStack() as others:
        engine = await connect(place, connections=7, busy_timeout_ms=300)
        await until_connected(postgres_server, "crowded", 1)  # the listener; what opened it may linger
        for _ in range(2):
            others.enter_context(psycopg.connect(place))
        with pytest.raises(LashError) as refused:
            await engine.run(adding(1))
        assert (refused.value.code, refused.value.retryable) == ("store_busy", True)
        assert (refused.value.pool_size, refused.value.max_connections) == (7, 300)
        assert "300 connections" in str(refused.value)
        assert "0 of its 7" in str(refused.value)
        others.close()
        await until_connected(postgres_server, "crowded", 1)
        assert await engine.run(adding(2)) == 2
        await engine.close()


async def test_an_engine_that_cannot_be_opened_for_want_of_connections_says_so(
    connect: Connect, url: str, postgres_server: Any
) -> None:
    with (
        limited_role(postgres_server, url, "shut_out", 1) as place,
        psycopg.connect(place),
        pytest.raises(LashError) as refused,
    ):
        await connect(place)
    assert (refused.value.code, refused.value.retryable) == ("store_busy", True)


async def test_work_goes_on_when_the_server_is_back_and_nothing_said_meanwhile_is_missed(
    connect: Connect, postgres_server: Any, observer: Observer
) -> None:
    engine = await connect(poll_ms=600_000, patience_ms=60_000)
    other = await connect(poll_ms=600_000, patience_ms=60_000)
    await engine.run(adding(1))
    with engine.hub.subscribe("notes") as subscription:
        await asyncio.to_thread(postgres_server.pause)
        late = asyncio.create_task(other.run(adding(2)))
        await asyncio.to_thread(postgres_server.resume)
        assert await late == 2
        async with asyncio.timeout(60):
            while await engine.read(counting) != 2:
                await subscription.wait()
            await other.run(adding(3))
            while await engine.read(counting) != 3:
                await subscription.wait()


async def test_a_server_that_stays_away_is_a_retryable_error(connect: Connect, postgres_server: Any) -> None:
    engine = await connect(patience_ms=100, connect_timeout_ms=1_000)
    await asyncio.to_thread(postgres_server.pause)
    try:
        with pytest.raises(LashError) as refused:
            await engine.run(adding(1))
        assert (refused.value.code, refused.value.retryable) == ("store_unavailable", True)
    finally:
        await asyncio.to_thread(postgres_server.resume)
    patient = await connect(patience_ms=60_000)
    assert await patient.run(adding(2)) == 2
    assert await engine.read(counting) == 1
