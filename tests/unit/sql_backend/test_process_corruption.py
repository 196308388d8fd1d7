"""Rows of processes and host events that lash did not write like that are reported and never healed (R-30)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from lash.backends.sql import SqliteDatabase
from lash.errors import LashError
from lash.values import (
    AwaitSuccess,
    ExternalInput,
    HostEventOccurrenceRequest,
    ProcessEventAppendRequest,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessExternalRef,
    ProcessHandleDescriptor,
    ProcessRegistration,
    ProcessScope,
    ProcessWakeSpec,
    SelectPayload,
    TriggerDeliveryState,
    TriggerSubscriptionDraft,
)

Tamper = Callable[..., list[tuple[object, ...]]]
SCOPE = ProcessScope("s")
OCCURRENCE = HostEventOccurrenceRequest(source_type="t", source_key="k", payload=1, idempotency_key="i")


async def corrupt(operation: Awaitable[object], table: str) -> None:
    with pytest.raises(LashError) as problem:
        await operation
    assert problem.value.code == "stored_data_corrupt"
    assert table in problem.value.message


@pytest.fixture
async def filled(database: SqliteDatabase) -> SqliteDatabase:
    wake = ProcessEventSemanticsSpec(wake=ProcessWakeSpec(input=SelectPayload()))
    registry = database.process_registry
    await registry.register_process(
        ProcessRegistration(id="p", input=ExternalInput()).with_extra_event_types(
            [ProcessEventType(name="wake", semantics=wake)]
        )
    )
    await registry.append_event("p", wake_request())
    await registry.set_external_ref("p", ProcessExternalRef(backend="b", id="1"))
    await registry.grant_handle(SCOPE, "p", ProcessHandleDescriptor())
    await registry.complete_process("p", AwaitSuccess(value=1))
    await database.host_event_store.register_subscription(
        TriggerSubscriptionDraft(
            session_id="s",
            source_type="t",
            source_key="k",
            source=None,
            event_ty=None,
            module_ref="m",
            required_surface_ref="r",
            process_ref=None,
            process_name="n",
        )
    )
    await database.host_event_store.record_and_reserve(OCCURRENCE)
    return database


def wake_request() -> ProcessEventAppendRequest:
    return ProcessEventAppendRequest(event_type="wake", payload="x", replay_key="k", wake_target_scope=SCOPE)


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"id":"p","unknown":1}'])
async def test_registration_that_does_not_decode(filled: SqliteDatabase, tamper: Tamper, body: bytes) -> None:
    tamper("UPDATE process_registered SET body = ?", body)
    registry = filled.process_registry
    for read in (
        registry.get_process("p"),
        registry.list_handle_grants(SCOPE),
        registry.append_event("p", ProcessEventAppendRequest(event_type="wake", payload="y")),
    ):
        await corrupt(read, "process_registered")


async def test_registration_that_is_missing_or_of_another_process(
    filled: SqliteDatabase, tamper: Tamper
) -> None:
    tamper("UPDATE process SET process_id = 'q'")
    await corrupt(filled.process_registry.get_process("q"), "process_registered")
    tamper("DELETE FROM process_registered")
    await corrupt(filled.process_registry.get_process("q"), "process_registered")


async def test_terminal_event_that_is_missing_or_not_terminal(filled: SqliteDatabase, tamper: Tamper) -> None:
    tamper("UPDATE process SET terminal_sequence = 1")
    await corrupt(filled.process_registry.get_process("p"), "process_event")
    tamper("UPDATE process SET terminal_sequence = 77")
    await corrupt(filled.process_registry.await_process("p"), "process_event")


async def test_event_and_wake_that_do_not_decode(filled: SqliteDatabase, tamper: Tamper) -> None:
    registry = filled.process_registry
    tamper("UPDATE process_wake SET delivery = ?", b"[]")
    await corrupt(registry.list_wake_deliveries("p"), "process_wake")
    await corrupt(registry.append_event("p", wake_request()), "process_wake")
    tamper("UPDATE process_event SET body = ?", b"[]")
    await corrupt(registry.events_after("p", 0), "process_event")
    await corrupt(registry.wake_events_after("p", 0), "process_event")


async def test_unknown_states(filled: SqliteDatabase, tamper: Tamper) -> None:
    tamper("UPDATE process_wake SET state = 'lost'")
    await corrupt(filled.process_registry.list_wake_deliveries("p"), "process_wake")
    tamper("UPDATE trigger_delivery SET state = 'lost'")
    store = filled.host_event_store
    await corrupt(store.list_deliveries(), "trigger_delivery")
    (delivery,) = tamper("SELECT occurrence_id FROM host_event")
    mark = store.mark_delivery(str(delivery[0]), "subscription:1", TriggerDeliveryState.STARTED)
    await corrupt(mark, "trigger_delivery")


async def test_external_ref_grant_subscription_and_occurrence(filled: SqliteDatabase, tamper: Tamper) -> None:
    registry, store = filled.process_registry, filled.host_event_store
    tamper("UPDATE process SET external_ref = ?", b"1")
    await corrupt(registry.get_process("p"), "table process")
    tamper("UPDATE process_grant SET descriptor = ?", b"1")
    await corrupt(registry.handle_grants_for_process("p"), "process_grant")
    tamper("UPDATE trigger_subscription SET draft = ?", b"1")
    await corrupt(store.list_subscriptions(), "trigger_subscription")
    tamper("UPDATE host_event SET body = ?", b"1")
    await corrupt(store.record_occurrence(OCCURRENCE), "host_event")
