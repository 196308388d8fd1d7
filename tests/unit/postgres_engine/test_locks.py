"""Scripts that decide about the same thing take turns; the server's refusals are met by running again."""

from __future__ import annotations

import asyncio

import pytest

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.postgres import Lock, PostgresEngine, Statement
from lash.errors import LashError

from .conftest import ADD_NOTE, COUNT_NOTES, Connect, Observer

READ = "SELECT value FROM counter WHERE name = ?"
SET = "UPDATE counter SET value = ? WHERE name = ?"
ADD = "INSERT INTO counter (name, value) VALUES (?, ?)"


def locking(sql: str) -> Statement:
    """Lock counters by name before they are read; nothing else."""
    text = sql.replace("name = ?", "name = $2" if sql == SET else "name = $1").replace("?, ?", "$1, $2")
    text = text.replace("value = ?", "value = $1")
    if sql != READ:
        return Statement(text=text, writing_text=text)
    return Statement(text=text, writing_text=text, locks=lambda params: [Lock(f"counter {params[0]}")])


def adding_one(name: str) -> object:
    async def script(tx: Tx) -> int:
        value = await tx.fetch_one(int, READ, name)
        if value is None:
            await tx.write(ADD, name, 1)
        else:
            await tx.write(SET, value + 1, name)
        return (value or 0) + 1

    return script


async def test_no_update_is_lost_among_many_tasks_on_two_engines(
    connect: Connect, observer: Observer
) -> None:
    engines = [await connect(dialect=locking), await connect(dialect=locking)]
    values = await asyncio.gather(*(engines[i % 2].run(adding_one("a")) for i in range(40)))
    assert sorted(values) == list(range(1, 41))
    assert observer.value("SELECT value FROM counter") == 40


async def test_scripts_about_different_things_do_not_wait_for_each_other(connect: Connect) -> None:
    engine = await connect(dialect=locking, connections=2)
    is_other_done = asyncio.Event()

    async def holding(tx: Tx) -> None:
        await tx.fetch_one(int, READ, "a")
        await is_other_done.wait()

    held = asyncio.create_task(engine.run(holding))
    assert await engine.run(adding_one("b")) == 1
    is_other_done.set()
    await held


async def test_a_row_that_another_script_stored_first_is_seen_at_the_next_try(engine: PostgresEngine) -> None:
    """Two scripts that both found nothing: one stores it, the other runs again and finds it."""
    both_looked = asyncio.Barrier(2)
    tries = 0

    async def script(tx: Tx) -> str:
        nonlocal tries
        tries += 1
        found = await tx.fetch_one(int, "SELECT id FROM note WHERE id = ?", 1)
        if tries <= 2:
            await both_looked.wait()
        if found is not None:
            return "found"
        await tx.write(ADD_NOTE, 1, "")
        return "stored"

    answers = await asyncio.gather(engine.run(script), engine.run(script))
    assert sorted(answers) == ["found", "stored"]
    assert tries == 3


async def test_scripts_that_wait_for_each_other_are_run_again(engine: PostgresEngine) -> None:
    both_hold_one = asyncio.Barrier(2)
    tries = 0

    def crossing(first: int, second: int) -> object:
        async def script(tx: Tx) -> None:
            nonlocal tries
            tries += 1
            await tx.write_counted("UPDATE note SET text = 'x' WHERE id = ?", first)
            if tries <= 2:
                await both_hold_one.wait()
            await tx.write_counted("UPDATE note SET text = 'x' WHERE id = ?", second)

        return script

    async def filling(tx: Tx) -> None:
        await tx.write_many(ADD_NOTE, [(1, ""), (2, "")])

    await engine.run(filling)
    await asyncio.gather(engine.run(crossing(1, 2)), engine.run(crossing(2, 1)))
    assert tries == 3


async def test_a_lock_that_is_not_given_back_ends_in_store_busy(connect: Connect, observer: Observer) -> None:
    engine = await connect(busy_timeout_ms=50)
    observer.rows("BEGIN")
    observer.rows("LOCK TABLE note")
    with pytest.raises(LashError) as refused:
        await engine.run(_note)
    assert (refused.value.code, refused.value.retryable) == ("store_busy", True)
    observer.rows("ROLLBACK")
    assert await engine.run(_note) is None


async def test_a_connection_that_does_not_come_free_ends_in_store_busy(connect: Connect) -> None:
    engine = await connect(connections=1, busy_timeout_ms=50)
    may_end = asyncio.Event()
    has_begun = asyncio.Event()

    async def holding(tx: Tx) -> None:
        await tx.fetch_one(int, COUNT_NOTES)
        has_begun.set()
        await may_end.wait()

    held = asyncio.create_task(engine.run(holding))
    await has_begun.wait()
    with pytest.raises(LashError) as refused:
        await engine.run(_note)
    assert refused.value.code == "store_busy"
    may_end.set()
    await held
    assert await engine.run(_note) is None


async def test_a_transaction_whose_process_is_stopped_is_ended_by_the_server(connect: Connect) -> None:
    stopped = await connect(dialect=locking, abandoned_ms=30, patience_ms=0)
    other = await connect(dialect=locking)
    has_begun, is_over = asyncio.Event(), asyncio.Event()

    async def holding(tx: Tx) -> None:
        await tx.fetch_one(int, READ, "a")
        has_begun.set()
        await is_over.wait()
        await tx.write(ADD, "a", 99)

    held = asyncio.create_task(stopped.run(holding))
    await has_begun.wait()
    assert await other.run(adding_one("a")) == 1
    is_over.set()
    with pytest.raises(LashError) as refused:
        await held
    assert refused.value.code == "store_unavailable"
    assert await other.run(adding_one("a")) == 2


async def _note(tx: Tx) -> None:
    await tx.write(ADD_NOTE, 1, "")
