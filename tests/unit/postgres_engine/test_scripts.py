"""A script is applied as a whole or not at all, and answered after its commit."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.engine.postgres import PostgresEngine
from lash.errors import LashBug, LashError

from .conftest import ADD_NOTE, COUNT_NOTES, Connect, Observer


def adding(number: int, text: str = "") -> object:
    async def script(tx: Tx) -> int:
        await tx.write(ADD_NOTE, number, text)
        return number

    return script


async def counting(tx: Tx) -> int | None:
    return await tx.fetch_one(int, COUNT_NOTES)


async def test_an_answered_script_is_there_for_everybody(engine: PostgresEngine, observer: Observer) -> None:
    assert await engine.run(adding(1, "one")) == 1
    assert observer.rows("SELECT id, text FROM note") == [(1, "one")]


async def test_a_script_that_raises_leaves_no_trace(engine: PostgresEngine, observer: Observer) -> None:
    async def script(tx: Tx) -> None:
        await tx.write(ADD_NOTE, 1, "")
        assert await tx.fetch_one(int, COUNT_NOTES) == 1
        raise LashError("refused", "no")

    with pytest.raises(LashError, match="refused"):
        await engine.run(script)
    assert observer.value("SELECT count(*) FROM note") == 0
    assert await engine.run(adding(2)) == 2


async def test_a_script_whose_write_failed_counts_as_failed_even_if_it_caught_the_error(
    engine: PostgresEngine, observer: Observer
) -> None:
    async def script(tx: Tx) -> str:
        await tx.write(ADD_NOTE, 1, "")
        try:
            await tx.fetch_one(int, "SELECT no_such_column FROM note")
        except psycopg.Error:
            return "caught"
        return "unharmed"

    with pytest.raises(LashError) as refused:
        await engine.run(script)
    assert refused.value.code == "store_backend"
    assert observer.value("SELECT count(*) FROM note") == 0


async def test_a_cancelled_caller_does_not_stop_its_script(
    engine: PostgresEngine, observer: Observer
) -> None:
    has_read = asyncio.Event()

    async def script(tx: Tx) -> None:
        await tx.fetch_one(int, COUNT_NOTES)
        has_read.set()
        await tx.write(ADD_NOTE, 1, "")

    caller = asyncio.create_task(engine.run(script))
    await has_read.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await engine.close()
    assert observer.value("SELECT count(*) FROM note") == 1


async def test_submitted_scripts_run_in_order_and_before_what_is_handed_in_later(
    engine: PostgresEngine, observer: Observer
) -> None:
    seen: list[int] = []

    def noting(number: int) -> object:
        async def script(tx: Tx) -> None:
            seen.append(await tx.fetch_one(int, COUNT_NOTES) or 0)
            await tx.write(ADD_NOTE, number, "")

        return script

    answers = [engine.submit(noting(number)) for number in range(5)]
    await engine.run(noting(5))
    assert all(answer.done() for answer in answers)
    assert seen == [0, 1, 2, 3, 4, 5]


async def test_a_failed_script_does_not_hold_up_the_ones_that_were_submitted_after_it(
    engine: PostgresEngine,
) -> None:
    async def refusing(tx: Tx) -> None:
        raise LashError("refused", "no")

    first, second = engine.submit(refusing), engine.submit(adding(1))
    assert await second == 1
    with pytest.raises(LashError, match="refused"):
        await first


async def test_a_reader_sees_one_moment(connect: Connect) -> None:
    engine, other = await connect(), await connect()

    async def twice(tx: Tx) -> tuple[int | None, int | None]:
        before = await counting(tx)
        await other.run(adding(1))
        return before, await counting(tx)

    assert await engine.read(twice) == (0, 0)
    assert await engine.read(counting) == 1


async def test_a_reader_that_writes_is_a_bug(engine: PostgresEngine, observer: Observer) -> None:
    with pytest.raises(LashBug):
        await engine.read(adding(1))
    assert observer.value("SELECT count(*) FROM note") == 0


async def test_only_a_script_that_asks_for_it_waits_for_the_disk(engine: PostgresEngine) -> None:
    async def setting(tx: Tx) -> str | None:
        return await tx.fetch_one(str, "SELECT current_setting('synchronous_commit')")

    assert await engine.run(setting, durable=False) == "off"
    assert await engine.run(setting) == "on"
    assert (engine.statistics().commits, engine.statistics().durable_commits) == (2, 1)


async def test_reading_deciding_and_writing_takes_two_round_trips(engine: PostgresEngine) -> None:
    async def script(tx: Tx) -> None:
        counts, more = await tx.read(Query(int, COUNT_NOTES), Query(int, COUNT_NOTES))
        await tx.write_many(ADD_NOTE, [(number, "") for number in range(20)])
        await tx.write("DELETE FROM note WHERE id = ?", len(counts) + len(more))

    before = engine.traffic
    await engine.run(script)
    after = engine.traffic
    assert after.round_trips - before.round_trips == 2
    # BEGIN, the time, two reads, 21 writes, the mark of the commit, COMMIT
    assert after.statements - before.statements == 27


async def test_a_parameter_of_many_mebibytes_is_stored_and_read(engine: PostgresEngine) -> None:
    text = "x" * (8 * 2**20)
    await engine.run(adding(1, text))

    async def script(tx: Tx) -> tuple[int, str | None]:
        await tx.write_many(ADD_NOTE, [(number, text) for number in (2, 3)])
        return await tx.fetch_one(int, COUNT_NOTES) or 0, await tx.fetch_one(str, "SELECT text FROM note")

    assert await engine.run(script) == (3, text)


async def test_booleans_are_stored_as_numbers(engine: PostgresEngine, observer: Observer) -> None:
    async def script(tx: Tx) -> int:
        await tx.write_many(ADD_NOTE, [(True, "yes"), (False, "no")])
        return await tx.write_counted("DELETE FROM note WHERE id = ?", False)

    assert await engine.run(script) == 1
    assert observer.rows("SELECT id, text FROM note") == [(1, "yes")]


async def test_closing_answers_what_was_handed_in_and_refuses_what_comes_after(
    connect: Connect, observer: Observer
) -> None:
    engine = await connect(connections=2)
    answers = [engine.submit(adding(number)) for number in range(3)]
    runs = [asyncio.create_task(engine.run(adding(number))) for number in range(10, 20)]
    await asyncio.sleep(0)
    await engine.close()
    await engine.close()
    assert await asyncio.gather(*answers, *runs) == [0, 1, 2, *range(10, 20)]
    assert observer.value("SELECT count(*) FROM note") == 13
    with pytest.raises(LashError) as refused:
        await engine.run(adding(99))
    assert refused.value.code == "store_closed"


async def test_without_prepared_statements_nothing_outlives_a_transaction(
    connect: Connect, url: str, observer: Observer
) -> None:
    """What a pooler in transaction mode needs: the next transaction may be on another session."""
    engine = await connect(f"{url}&prepare_threshold=none&pool_size=1")
    for number in range(8):
        await engine.run(adding(number))

    async def left(tx: Tx) -> list[str]:
        return await tx.fetch_all(
            str,
            "SELECT name FROM pg_prepared_statements UNION ALL SELECT name FROM pg_settings"
            " WHERE source = 'session' AND name NOT LIKE 'transaction_%'"
            " AND name NOT IN ('lock_timeout', 'idle_in_transaction_session_timeout')",
        )

    assert await engine.read(left) == []
    assert observer.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 1  # the owner's
