"""A connection that is lost costs nothing: what was not committed is run again, what was is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.postgres import PostgresEngine
from lash.errors import LashError

from .conftest import ADD_NOTE, COUNT_NOTES, Connect, Observer
from .wire import Wire

CUT_SESSIONS = """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE application_name = 'lash worker' AND datname = current_database()"""


@pytest.fixture
async def wire(url: str) -> AsyncIterator[Wire]:
    with TemporaryDirectory(prefix="lash-wire-") as folder:  # the path of a socket must be short
        wire = Wire(url, Path(folder))
        await wire.lay()
        yield wire
        await wire.take_up()


@pytest.fixture
async def wired(connect: Connect, wire: Wire, url: str) -> PostgresEngine:
    """An engine whose scripts go over the wire; its listener does not."""
    return await connect(wire.url, direct_url=url)


def adding(number: int) -> Any:
    async def script(tx: Tx) -> str:
        await tx.fetch_one(int, COUNT_NOTES)
        await tx.write(ADD_NOTE, number, "")
        tx.notify("notes")
        return f"added {number}"

    return script


async def test_sessions_that_were_lost_while_idle_are_replaced(
    engine: PostgresEngine, observer: Observer
) -> None:
    await asyncio.gather(*(engine.run(adding(number)) for number in range(4)))
    observer.rows(CUT_SESSIONS)
    assert await engine.run(adding(10)) == "added 10"
    assert observer.value(COUNT_NOTES) == 5


async def test_a_script_whose_session_is_lost_before_its_commit_is_run_again(
    engine: PostgresEngine, observer: Observer
) -> None:
    tries = 0

    async def script(tx: Tx) -> None:
        nonlocal tries
        tries += 1
        await tx.fetch_one(int, COUNT_NOTES)
        if tries == 1:
            observer.rows(CUT_SESSIONS)
        await tx.write(ADD_NOTE, tries, "")

    await engine.run(script)
    assert observer.rows("SELECT id FROM note") == [(2,)]


async def test_a_reader_whose_session_is_lost_is_run_again(
    engine: PostgresEngine, observer: Observer
) -> None:
    tries = 0

    async def script(tx: Tx) -> int | None:
        nonlocal tries
        tries += 1
        await tx.fetch_one(int, COUNT_NOTES)
        if tries == 1:
            observer.rows(CUT_SESSIONS)
        return await tx.fetch_one(int, COUNT_NOTES)

    assert await engine.read(script) == 0
    assert tries == 2


async def test_a_commit_that_got_through_but_was_not_answered_is_known_to_have_happened(
    wired: PostgresEngine, wire: Wire, observer: Observer
) -> None:
    wire.cut_once_at("COMMIT", before=False)
    with wired.hub.subscribe("notes") as subscription:
        assert await wired.run(adding(1)) == "added 1"
        assert subscription.is_woken
    assert wire.cuts == 1
    assert observer.rows("SELECT id FROM note") == [(1,)]


async def test_a_commit_that_did_not_get_through_is_run_again(
    wired: PostgresEngine, wire: Wire, observer: Observer
) -> None:
    wire.cut_once_at("COMMIT", before=True)
    assert await wired.run(adding(1)) == "added 1"
    assert wire.cuts == 1
    assert observer.rows("SELECT id FROM note") == [(1,)]


async def test_a_commit_is_of_unknown_outcome_only_when_nobody_can_be_asked(
    connect: Connect, wire: Wire, url: str, observer: Observer
) -> None:
    engine = await connect(wire.url, direct_url=url, connect_timeout_ms=100, patience_ms=0)
    may_commit = asyncio.Event()
    has_written = asyncio.Event()

    async def script(tx: Tx) -> None:
        await tx.fetch_one(int, COUNT_NOTES)
        await tx.write(ADD_NOTE, 1, "")
        has_written.set()
        await may_commit.wait()

    run = asyncio.create_task(engine.run(script))
    await has_written.wait()
    await wire.take_up()
    may_commit.set()
    with pytest.raises(LashError) as lost:
        await run
    assert (lost.value.code, lost.value.retryable) == ("store_unavailable", True)
    assert lost.value.facts["outcome"] == "unknown"
    assert observer.value(COUNT_NOTES) == 0


async def test_a_server_that_is_away_is_waited_for(
    wired: PostgresEngine, wire: Wire, observer: Observer
) -> None:
    await wired.run(adding(1))
    await wire.take_up()
    run = asyncio.create_task(wired.run(adding(2)))
    await asyncio.sleep(0)
    await wire.lay()
    assert await run == "added 2"
    assert observer.value(COUNT_NOTES) == 2


async def test_a_server_that_stays_away_is_unavailable_and_back_when_it_is(
    connect: Connect, wire: Wire, url: str
) -> None:
    engine = await connect(wire.url, direct_url=url, patience_ms=50)
    await engine.run(adding(1))
    await wire.take_up()
    with pytest.raises(LashError) as lost:
        await engine.run(adding(2))
    assert (lost.value.code, lost.value.retryable) == ("store_unavailable", True)
    with pytest.raises(LashError) as lost:
        await engine.read(adding(2))
    assert lost.value.code == "store_unavailable"
    await wire.lay()
    assert await engine.run(adding(2)) == "added 2"


async def test_marks_are_removed_when_their_owner_asks_no_more(connect: Connect, observer: Observer) -> None:
    engine = await connect()
    await asyncio.gather(*(engine.run(adding(number)) for number in range(4)))
    assert observer.value("SELECT count(*) FROM lash_mark") > 0
    observer.rows("INSERT INTO lash_mark VALUES ('long gone', 1, 1, 0), ('just gone', 1, 1, lash_now())")
    await engine.close()
    assert observer.rows("SELECT owner FROM lash_mark") == [("just gone",)]
