"""Waiting for events and outcomes (contract 2.C.13, 2.C.14; R-24)."""

from __future__ import annotations

import asyncio

import pytest

from lash.contracts import Database, ProcessRegistry

from .conftest import Backend
from .process_samples import event, failure, plain_type, registration, success
from .samples import refused

LONG_S = 20  # how long a test waits before it calls a wake-up lost


@pytest.fixture
def registry(db: Database) -> ProcessRegistry:
    return db.process_registry


async def _types(registry: ProcessRegistry, *names: str) -> None:
    await registry.register_process(registration("p1", *(plain_type(name) for name in names)))


async def test_event_that_is_there_is_returned_at_once(registry: ProcessRegistry) -> None:
    await _types(registry, "line", "note")
    for name in ("line", "note", "line", "line"):
        await registry.append_event("p1", event(name))
    assert (await registry.wait_event_after("p1", "line", 0)).sequence == 1
    assert (await registry.wait_event_after("p1", "line", 1)).sequence == 3
    assert (await registry.wait_event_after("p1", "note", -5)).sequence == 2


async def test_waiter_looks_at_type_and_cursor(registry: ProcessRegistry) -> None:
    await _types(registry, "line", "future")
    await registry.append_event("p1", event("future", "old"))
    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(registry.wait_event_after("p1", "future", 1))
        for _ in range(3):
            await registry.append_event("p1", event("line"))
            await asyncio.sleep(0)
        assert not waiter.done()
        await registry.append_event("p1", event("future", "new"))
    assert (waiter.result().sequence, waiter.result().payload) == (5, "new")


async def test_waiters_of_one_event_all_wake_up(registry: ProcessRegistry) -> None:
    await _types(registry, "line")
    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as tasks:
        waiters = [tasks.create_task(registry.wait_event_after("p1", "line", 0)) for _ in range(5)]
        await registry.append_event("p1", event("line"))
    assert {waiter.result().sequence for waiter in waiters} == {1}


async def test_no_wake_up_is_lost_between_look_and_wait(registry: ProcessRegistry) -> None:
    """Every append races with the start of a wait for it."""
    await _types(registry, "line")
    async with asyncio.timeout(LONG_S):
        for number in range(60):
            waiting = asyncio.create_task(registry.wait_event_after("p1", "line", number))
            for _ in range(number % 6):
                await asyncio.sleep(0)
            await registry.append_event("p1", event("line", number))
            assert (await waiting).sequence == number + 1


async def test_outcome_is_awaited(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1"))
    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(registry.await_process("p1"))
        await asyncio.sleep(0)
        assert not waiter.done()
        await registry.complete_process("p1", failure("why"))
    assert waiter.result() == failure("why")
    assert await registry.await_process("p1") == failure("why")


async def test_unknown_process_is_not_waited_for(registry: ProcessRegistry) -> None:
    with refused("process_unknown"):
        await registry.wait_event_after("p1", "line", 0)
    with refused("process_unknown"):
        await registry.await_process("p1")


async def test_undeclared_type_simply_waits_and_can_be_cancelled(registry: ProcessRegistry) -> None:
    await _types(registry, "line")
    waiter = asyncio.create_task(registry.wait_event_after("p1", "never", 0))
    for _ in range(3):
        await registry.append_event("p1", event("line"))
    assert not waiter.done()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert (await registry.append_event("p1", event("line"))).event.sequence == 4


async def test_append_through_another_handle_ends_a_wait(backend: Backend) -> None:
    here, other = backend.db.process_registry, (await backend.another_handle()).process_registry
    await _types(here, "line")
    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as tasks:
        line = tasks.create_task(here.wait_event_after("p1", "line", 0))
        outcome = tasks.create_task(here.await_process("p1"))
        for _ in range(20):  # lets both begin to wait; whether they have does not change the outcome
            await asyncio.sleep(0)
        await other.append_event("p1", event("line", "from there"))
        await other.complete_process("p1", success(1))
    assert line.result().payload == "from there"
    assert outcome.result() == success(1)
