"""Processes: registrations, event types, appends."""

from __future__ import annotations

from lash.contracts import ProcessRegistry
from lash.testing.conformance.expectations import expect_present
from lash.values import (
    AwaitSuccess,
    ExternalInput,
    Json,
    ProcessEventAppendRequest,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessHandleDescriptor,
    ProcessRecord,
    ProcessRegistration,
    ProcessScope,
    ProcessWakeDelivery,
    ProcessWakeSpec,
    SelectPointer,
    SelectPresent,
)

DESCRIPTOR = ProcessHandleDescriptor(kind="tool", label="demo")
MINUTE_MS = 60_000

WAKE_BY_FIELD = ProcessWakeSpec(
    when=SelectPresent(pointer="/wake_input"), input=SelectPointer(pointer="/wake_input")
)


def registration(process_id: str, *types: ProcessEventType) -> ProcessRegistration:
    """Return the registration of an external process that declares more types."""
    plain = ProcessRegistration(id=process_id, input=ExternalInput(metadata=None))
    return plain.with_extra_event_types(types) if types else plain


def plain_type(name: str, schema: dict[str, Json] | None = None) -> ProcessEventType:
    """Return a type that means nothing to the registry."""
    return ProcessEventType(name=name, payload_schema=schema or {})


def wake_type(name: str, wake: ProcessWakeSpec = WAKE_BY_FIELD) -> ProcessEventType:
    """Return a type whose events wake somebody."""
    return ProcessEventType(name=name, payload_schema={}, semantics=ProcessEventSemanticsSpec(wake=wake))


def appends(
    event_type: str, payload: Json = None, *, key: str | None = None, wakes: ProcessScope | None = None
) -> ProcessEventAppendRequest:
    """Return an append."""
    return ProcessEventAppendRequest(
        event_type=event_type, payload=payload, replay_key=key, wake_target_scope=wakes
    )


async def woken(
    registry: ProcessRegistry, process_id: str, request: ProcessEventAppendRequest
) -> ProcessWakeDelivery:
    """Append an event and return the delivery of its wake, failing when it wakes nobody."""
    result = await registry.append_event(process_id, request)
    return expect_present(result.wake_delivery, f"{request.event_type} wakes its target")


async def process(registry: ProcessRegistry, process_id: str) -> ProcessRecord:
    """Return a process, failing when it is not there."""
    return expect_present(await registry.get_process(process_id), f"process {process_id!r} is there")


async def grants(registry: ProcessRegistry, scope: ProcessScope) -> list[str]:
    """Return the processes that a scope may see, as the registry orders them."""
    return [grant.process_id for grant, _ in await registry.list_handle_grants(scope)]


async def sequences(registry: ProcessRegistry, process_id: str, after: int = 0) -> list[int]:
    """Return the sequences of a process's events."""
    return [event.sequence for event in await registry.events_after(process_id, after)]


def success(value: Json = None) -> AwaitSuccess:
    """Return a good end."""
    return AwaitSuccess(value=value)
