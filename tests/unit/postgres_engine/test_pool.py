"""Sessions are lent to whoever waits longest, and what is handed to somebody who has gone is passed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from lash.backends.sql.engine.postgres import PostgresSettings
from lash.backends.sql.engine.postgres.connections import Session
from lash.backends.sql.engine.postgres.pool import SessionPool
from lash.errors import LashError

MakePool = Callable[..., SessionPool]


@pytest.fixture
async def make_pool(url: str) -> AsyncIterator[MakePool]:
    made: list[SessionPool] = []

    def make(**settings: int) -> SessionPool:
        made.append(SessionPool(url, "shown", PostgresSettings(**settings)))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


async def until_they_wait(pool: SessionPool, count: int) -> None:
    async with asyncio.timeout(30):
        while len(pool._waiting) < count:
            await asyncio.sleep(0.001)


async def test_who_waits_longest_is_next(make_pool: MakePool) -> None:
    pool, order = make_pool(connections=1), []
    first = await pool.take()

    async def use(name: str) -> None:
        session = await pool.take()
        order.append(name)
        await pool.give_back(session)

    users = []
    for count, name in enumerate("abc", start=1):
        users.append(asyncio.create_task(use(name)))
        await until_they_wait(pool, count)
    await pool.give_back(first)
    await asyncio.gather(*users)
    assert order == ["a", "b", "c"]


async def test_a_session_for_somebody_who_has_gone_goes_to_the_next(make_pool: MakePool) -> None:
    pool = make_pool(connections=1)
    session = await pool.take()
    gone, patient = (asyncio.create_task(pool.take()) for _ in range(2))
    await until_they_wait(pool, 2)
    await pool.give_back(session)  # to the first one, which is cancelled before it can take it
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    async with asyncio.timeout(30):
        assert await patient is session
    await pool.give_back(session)


async def test_a_session_that_broke_makes_room_for_another_one(make_pool: MakePool) -> None:
    pool = make_pool(connections=1)
    broken = await pool.take()
    waiting: Awaitable[Session] = asyncio.create_task(pool.take())
    await until_they_wait(pool, 1)
    await broken.close()
    await pool.give_back(broken)
    async with asyncio.timeout(30):
        other = await waiting
    assert other is not broken
    assert other.is_usable
    await pool.give_back(other)


async def test_who_waits_in_vain_is_told_how_many_are_in_use(make_pool: MakePool) -> None:
    pool = make_pool(connections=2, busy_timeout_ms=50)
    lent = [await pool.take() for _ in range(2)]
    with pytest.raises(LashError) as refused:
        await pool.take()
    assert (refused.value.code, refused.value.retryable) == ("store_busy", True)
    assert "all 2 connections" in str(refused.value)
    for session in lent:
        await pool.give_back(session)
