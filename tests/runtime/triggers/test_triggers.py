"""Events and what they start, on every backend (contract 5, B-20; rules R-47, R-51)."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import lash
from lash.errors import LashError
from lash.testing import call, reply
from lash.values import (
    AwaitSuccess,
    CausedByHostEvent,
    HostEventOccurrenceRequest,
    ProcessScope,
    TriggerDeliveryState,
    TriggerTarget,
    TurnState,
)

from .conftest import OpenAt, eventually, scripted_agent

STARTED, RESERVED = TriggerDeliveryState.STARTED, TriggerDeliveryState.RESERVED
FAILED, DISCARDED = TriggerDeliveryState.FAILED, TriggerDeliveryState.DISCARDED


@dataclasses.dataclass
class Order:
    number: int
    paid: bool = False


ORDERS = lash.EventSource(type="shop.order", payload=Order)


@lash.process
async def handle_order(ctx: lash.ProcessContext, order: dict[str, Any], greeting: str = "hello") -> str:
    """Note an order."""
    return f"{greeting} {order['number']}"


async def outputs(runtime: lash.Runtime, emitted: lash.runtime.triggers.Emitted) -> list[Any]:
    return [await runtime.processes.wait(one.process_id, timeout=60) for one in emitted.deliveries]


async def test_event_starts_what_is_subscribed_to_it(open_at: OpenAt) -> None:
    async with open_at(handle_order) as runtime:
        await runtime.triggers.subscribe("desk", ORDERS, handle_order)
        emitted = await runtime.emit(ORDERS, Order(7), idempotency_key="order-7")
        assert [one.state for one in emitted.deliveries] == [STARTED]
        assert not emitted.replayed
        assert await outputs(runtime, emitted) == ["hello 7"]
        record = await runtime.processes.get(emitted.deliveries[0].process_id)
        assert record.provenance.owner_scope == ProcessScope("desk")
        assert record.wake_target == ProcessScope("desk")
        cause = record.provenance.caused_by
        assert isinstance(cause, CausedByHostEvent)
        assert cause.occurrence_id == emitted.occurrence_id
        seen = await runtime.processes.list(session="desk", include_finished=True)
        assert [one.id for one in seen] == [record.id]


async def test_same_event_again_starts_nothing_anew(open_at: OpenAt) -> None:
    async with open_at(handle_order) as runtime:
        await runtime.triggers.subscribe("desk", ORDERS, handle_order)
        first = await runtime.emit(ORDERS, Order(7), idempotency_key="order-7")
        again = await runtime.emit(ORDERS, Order(7), idempotency_key="order-7")
        assert again.replayed
        assert again.deliveries == first.deliveries
        assert len(await runtime.processes.list(include_finished=True)) == 1
        with pytest.raises(LashError) as caught:
            await runtime.emit(ORDERS, Order(8), idempotency_key="order-7")
        assert caught.value.code == "host_event_idempotency_conflict"


async def test_event_without_subscriptions_is_recorded_and_starts_nothing_later(open_at: OpenAt) -> None:
    async with open_at(handle_order) as runtime:
        emitted = await runtime.emit(ORDERS, Order(1), idempotency_key="order-1")
        assert emitted.deliveries == ()
        await runtime.triggers.subscribe("desk", ORDERS, handle_order)
        again = await runtime.emit(ORDERS, Order(1), idempotency_key="order-1")
        assert again.deliveries == ()  # it was not there when it happened


async def test_subscriptions_get_the_events_of_their_own_source(open_at: OpenAt) -> None:
    here, there = (lash.EventSource(type="shop.order", value={"shop": n}) for n in (1, 2))
    async with open_at(handle_order) as runtime:
        await runtime.triggers.subscribe("desk", here, handle_order)
        assert (await runtime.emit(there, {"number": 1}, idempotency_key="a")).deliveries == ()
        assert len((await runtime.emit(here, {"number": 1}, idempotency_key="b")).deliveries) == 1
        by_key = await runtime.emit(
            "shop.order", {"number": 2}, idempotency_key="c", source_key=here.source.key
        )
        assert await outputs(runtime, by_key) == ["hello 2"]


async def test_inputs_are_the_event_or_fixed(open_at: OpenAt) -> None:
    async with open_at(handle_order) as runtime:
        await runtime.triggers.subscribe(
            "desk", ORDERS, handle_order, inputs={"order": lash.EVENT, "greeting": "hi"}
        )
        emitted = await runtime.emit(ORDERS, Order(3), idempotency_key="order-3")
        assert await outputs(runtime, emitted) == ["hi 3"]


@pytest.mark.parametrize("inputs", [{}, {"order": lash.EVENT, "other": 1}, {"greeting": "x"}])
async def test_inputs_that_do_not_fit_are_refused_at_once(open_at: OpenAt, inputs: dict[str, Any]) -> None:
    async with open_at(handle_order) as runtime:
        with pytest.raises(LashError) as caught:
            await runtime.triggers.subscribe("desk", ORDERS, handle_order, inputs=inputs)
        assert caught.value.code == "trigger_inputs_invalid"
        assert await runtime.triggers.list() == []


async def test_payload_that_is_not_what_was_declared_is_refused_and_not_recorded(open_at: OpenAt) -> None:
    async with open_at(handle_order, events=[ORDERS]) as runtime:
        await runtime.triggers.subscribe("desk", "shop.order", handle_order)
        for source in (ORDERS, "shop.order"):
            with pytest.raises(LashError) as caught:
                await runtime.emit(source, {"number": "seven"}, idempotency_key="k")
            assert caught.value.code == "trigger_payload_invalid"
        emitted = await runtime.emit("shop.order", {"number": 7}, idempotency_key="k")
        assert not emitted.replayed
        assert len(emitted.deliveries) == 1


async def test_failed_start_fails_nothing_else_and_may_be_tried_again(open_at: OpenAt) -> None:
    async with open_at(handle_order) as runtime:
        # It was declared by nobody, so what the subscriber expects is only found wrong at the start.
        await runtime.triggers.subscribe("strict", ORDERS, handle_order)
        await runtime.triggers.subscribe("loose", "shop.order", handle_order)
        emitted = await runtime.emit("shop.order", {"number": "x"}, idempotency_key="k")
        strict, loose = emitted.deliveries
        assert (strict.state, loose.state) == (FAILED, STARTED)
        assert strict.reason is not None
        assert strict.reason.startswith("trigger_payload_invalid")
        (delivery,) = await runtime.triggers.deliveries(state=FAILED)
        assert (await runtime.triggers.retry(delivery)).state is FAILED


async def test_event_becomes_a_turn_of_a_session(open_at: OpenAt) -> None:
    agent = scripted_agent(["Noted."])
    async with open_at(agent) as runtime:
        session = await runtime.session("desk")
        await runtime.triggers.subscribe(session, ORDERS, "Handle this order.")
        emitted = await runtime.emit(ORDERS, Order(7), idempotency_key="order-7")
        (delivery,) = emitted.deliveries
        assert delivery.state is STARTED

        async def committed() -> bool:
            status = await runtime.database.turn_ingress.find_turn("desk", delivery.process_id)
            return status.state is TurnState.COMMITTED

        await eventually(committed)
        user, assistant = [str(message) for message in await session.history()]
        assert "Handle this order." in user
        assert emitted.occurrence_id in user
        assert '"number": 7' in user
        assert "Noted." in assistant
        assert len(agent.model.requests) == 1  # type: ignore[union-attr]  # a scripted model


async def test_turn_for_a_session_that_is_gone_is_discarded(open_at: OpenAt) -> None:
    agent = scripted_agent(["Noted."])
    async with open_at(agent, work=False) as runtime:
        await runtime.session("desk", "agent")
        await runtime.session("other", "agent")
        await runtime.triggers.subscribe("desk", ORDERS)
        ingest = await runtime.database.host_event_store.record_and_reserve(
            HostEventOccurrenceRequest(
                source_type="shop.order",
                source_key=ORDERS.source.key,
                idempotency_key="order-7",
                payload={"number": 7, "paid": False},
            )
        )
        await runtime.delete_session("desk")
        (before,) = ingest.deliveries
        after = await runtime.triggers.retry(before)
        assert after.state is DISCARDED
        assert (await runtime.emit(ORDERS, Order(8), idempotency_key="order-8")).deliveries == ()


async def test_turn_of_a_session_that_is_not_there_is_refused_when_subscribed(open_at: OpenAt) -> None:
    async with open_at(scripted_agent(["Noted."])) as runtime:
        with pytest.raises(LashError) as caught:
            await runtime.triggers.subscribe("nobody", ORDERS)
        assert caught.value.code == "session_unknown"


async def test_named_subscription_is_made_once(open_at: OpenAt) -> None:
    async with open_at(handle_order) as runtime:
        first = await runtime.triggers.subscribe("desk", ORDERS, handle_order, name="orders")
        assert await runtime.triggers.subscribe("desk", ORDERS, handle_order, name="orders") == first
        with pytest.raises(LashError) as caught:
            await runtime.triggers.subscribe("desk", "other", handle_order, name="orders")
        assert caught.value.code == "trigger_conflict"
        changed = await runtime.triggers.subscribe("desk", "other", handle_order, name="orders", replace=True)
        assert [one.handle for one in await runtime.triggers.list()] == [changed.handle]
        every = await runtime.triggers.list(session="desk", enabled=None)
        assert [(one.handle, one.enabled) for one in every] == [(first.handle, False), (changed.handle, True)]


async def test_cancelled_subscription_starts_nothing(open_at: OpenAt) -> None:
    async with open_at(handle_order) as runtime:
        subscription = await runtime.triggers.subscribe("desk", ORDERS, handle_order)
        assert await runtime.triggers.cancel(subscription.handle)
        assert not await runtime.triggers.cancel(subscription)
        assert (await runtime.emit(ORDERS, Order(1), idempotency_key="k")).deliveries == ()
        with pytest.raises(LashError) as caught:
            await runtime.triggers.cancel("trigger:99")
        assert caught.value.code == "trigger_unknown"


async def test_program_is_started_with_its_agents_profile(open_at: OpenAt) -> None:
    target = TriggerTarget(
        module_ref="module:x", required_surface_ref="surface:y", process_ref={"component": "c", "pos": 0},
        process_name="watch",
    )  # fmt: skip
    async with open_at(scripted_agent(["x"]), work=False) as runtime:
        await runtime.session("desk", "agent")
        await runtime.triggers.subscribe("desk", ORDERS, target, inputs={"order": lash.EVENT, "n": 3})
        emitted = await runtime.emit(ORDERS, Order(1), idempotency_key="k")
        record = await runtime.processes.get(emitted.deliveries[0].process_id)
        assert record.provenance.host_profile_id == "agent:agent"
        assert record.input.args == {"order": {"number": 1, "paid": False}, "n": 3}  # type: ignore[union-attr]
        assert record.input.process_name == "watch"  # type: ignore[union-attr]


async def test_what_was_reserved_and_not_started_is_started_by_the_next_runtime(open_at: OpenAt) -> None:
    async with open_at(work=False) as emitter:  # without the definition, nobody here can start it
        await emitter.triggers.subscribe("desk", ORDERS, handle_order)
        emitted = await emitter.emit(ORDERS, Order(7), idempotency_key="order-7")
        (delivery,) = emitted.deliveries
        assert delivery.state is RESERVED
        assert delivery.reason is not None
        assert delivery.reason.startswith("trigger_target_not_served")
        # As a crash between recording and starting leaves it.
        ingest = await emitter.database.host_event_store.record_and_reserve(
            HostEventOccurrenceRequest(
                source_type="shop.order",
                source_key=ORDERS.source.key,
                idempotency_key="order-8",
                payload={"number": 8},
            )
        )
    async with open_at(handle_order) as runtime:
        ids = [delivery.process_id, ingest.reservations[0].process_id]
        assert [
            await runtime.processes.wait(one, timeout=60) for one in ids if await known(runtime, one)
        ] == [
            "hello 7",
            "hello 8",
        ]
        await eventually(lambda: no_reserved(runtime))


async def known(runtime: lash.Runtime, process_id: str) -> bool:
    return bool(await eventually(lambda: runtime.database.process_registry.get_process(process_id)))


async def no_reserved(runtime: lash.Runtime) -> bool:
    return not await runtime.triggers.deliveries(state=RESERVED)


async def test_start_that_was_not_marked_is_the_same_process(open_at: OpenAt) -> None:
    async with open_at(handle_order) as runtime:
        await runtime.triggers.subscribe("desk", ORDERS, handle_order)
        store = runtime.database.host_event_store
        ingest = await store.record_and_reserve(
            HostEventOccurrenceRequest(
                source_type="shop.order",
                source_key=ORDERS.source.key,
                idempotency_key="order-7",
                payload={"number": 7, "paid": False},
            )
        )
        (delivery,) = ingest.deliveries
        for _ in range(2):
            assert (await runtime.triggers.retry(delivery)).state is STARTED
        assert await runtime.processes.wait(delivery.process_id, timeout=60) == "hello 7"
        record = await runtime.processes.get(delivery.process_id)
        assert record.attempts == 1
        assert record.await_output == AwaitSuccess(value="hello 7")


@lash.tool(name="order", effect="idempotent")
async def order_async(ctx: lash.ToolContext, number: int) -> str:
    """Order something."""
    first = await ctx.emit("shop.order", {"number": number})
    assert await ctx.emit("shop.order", {"number": number}) == first
    return first


@lash.tool(name="order", effect="idempotent")
def order_in_a_thread(ctx: lash.ToolContext, number: int) -> str:
    """Order something."""
    first = ctx.emit_sync(ORDERS, Order(number))
    assert ctx.emit_sync(ORDERS, Order(number)) == first
    return first


@pytest.mark.parametrize("order", [order_async, order_in_a_thread])
async def test_tool_emits_an_event_once_however_often_it_is_run(open_at: OpenAt, order: Any) -> None:

    agent = scripted_agent([call("order", number=5), reply("Ordered.")], tools=[order])
    async with open_at(agent, handle_order) as runtime:
        await runtime.triggers.subscribe("desk", "shop.order", handle_order)
        session = await runtime.session("chat", agent)
        assert (await session.turn("order five")).text == "Ordered."

        async def started() -> list[Any]:
            return await runtime.triggers.deliveries(state=STARTED)

        (delivery,) = await eventually(started)
        assert await runtime.processes.wait(delivery.process_id, timeout=60) == "hello 5"


KILLED = """
import asyncio, os, signal, sys
import lash
from lash.values import HostEventOccurrenceRequest

@lash.process
async def handle_order(ctx: lash.ProcessContext, order: dict) -> str:
    return "never here"

async def main() -> None:
    async with lash.open(sys.argv[1], work=False) as runtime:
        await runtime.triggers.subscribe("desk", "shop.order", handle_order)
        store = runtime.database.host_event_store
        started = runtime.database.process_registry.register_process

        async def cut_off(*args, **options):
            if sys.argv[2] == "after":
                await started(*args, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        runtime.database.process_registry.register_process = cut_off
        runtime.process_host.definitions["handle_order"] = handle_order
        await runtime.emit("shop.order", {"number": 7}, idempotency_key="order-7")

asyncio.run(main())
"""


@pytest.mark.parametrize("where", ["before", "after"])
async def test_emitter_that_is_killed_around_a_start_has_it_done_once(tmp_path: Path, where: str) -> None:
    path = str(tmp_path / "killed.db")
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, path, where)
    assert await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL
    async with lash.open(path, handle_order) as runtime:

        async def started() -> list[Any]:
            return await runtime.triggers.deliveries(state=STARTED)

        (delivery,) = await eventually(started)
        assert await runtime.processes.wait(delivery.process_id, timeout=60) == "hello 7"
        assert len(await runtime.processes.list(include_finished=True)) == 1
        again = await runtime.emit("shop.order", {"number": 7}, idempotency_key="order-7")
        assert again.replayed
        assert [one.state for one in again.deliveries] == [STARTED]
