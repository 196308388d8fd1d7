"""Durable waits (contract 5, B-23): once, by anybody, first writer wins."""

from __future__ import annotations

from lash.contracts import Database
from lash.values import EffectScope

from .conftest import Backend
from .samples import refused
from .settable import START_MS, SettableClock


async def test_first_writer_wins_and_later_ones_are_told_its_value(
    db: Database, clock: SettableClock
) -> None:
    waits = db.durable_waits
    assert await waits.find_wait("k") is None
    first = await waits.resolve_wait("k", {"answer": 1})
    assert (first.value, first.first, first.resolved_at_ms) == ({"answer": 1}, True, START_MS)
    clock.advance(5)
    second = await waits.resolve_wait("k", "other")
    assert (second.value, second.first, second.resolved_at_ms) == ({"answer": 1}, False, START_MS)
    found = await waits.find_wait("k")
    assert found is not None
    assert (found.key, found.value) == ("k", {"answer": 1})


async def test_null_is_a_value(db: Database) -> None:
    await db.durable_waits.resolve_wait("k", None)
    found = await db.durable_waits.find_wait("k")
    assert found is not None
    assert found.value is None
    assert not (await db.durable_waits.resolve_wait("k", 1)).first


async def test_dropping_a_scope_drops_its_waits_only(db: Database) -> None:
    waits = db.durable_waits
    mine, theirs = EffectScope.process("p1").key, EffectScope.process("p2").key
    for key, scope_key in [("a", mine), ("b", mine), ("c", theirs), ("d", "")]:
        await waits.resolve_wait(key, 1, scope_key=scope_key)
    assert await waits.drop_waits(mine) == 2
    assert await waits.drop_waits(mine) == 0
    assert await waits.find_wait("a") is None
    assert await waits.find_wait("c") is not None
    assert await waits.find_wait("d") is not None
    assert (await waits.resolve_wait("a", 2)).first


async def test_value_that_is_no_json_is_refused_and_resolves_nothing(db: Database) -> None:
    with refused("json_not_representable"):
        await db.durable_waits.resolve_wait("k", float("inf"))
    assert await db.durable_waits.find_wait("k") is None


async def test_resolution_is_seen_through_another_handle(backend: Backend) -> None:
    other = await backend.another_handle()
    await backend.db.durable_waits.resolve_wait("k", [1, 2.0])
    found = await other.durable_waits.find_wait("k")
    assert found is not None
    assert found.value == [1, 2.0]
