"""Small processes and event types, and the wake that an event type declares."""

from __future__ import annotations

from typing import Any

from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    ExternalInput,
    ProcessEventAppendRequest,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessRegistration,
    ProcessScope,
    ProcessTerminalSpec,
    ProcessTerminalState,
    ProcessValueSelector,
    ProcessWakeSpec,
    SelectPointer,
    SelectPresent,
)

ROOT = ProcessScope(session_id="root")
WAKE_INPUT = ProcessWakeSpec(when=SelectPresent("/wake_input"), input=SelectPointer("/wake_input"))


def registration(process_id: str = "p1", *extra: ProcessEventType, **fields: Any) -> ProcessRegistration:
    return ProcessRegistration(id=process_id, input=ExternalInput(), **fields).with_extra_event_types(extra)


def plain_type(name: str = "line", schema: dict[str, Any] | None = None) -> ProcessEventType:
    return ProcessEventType(name=name, payload_schema=schema or {})


def wake_type(name: str = "wake", wake: ProcessWakeSpec = WAKE_INPUT) -> ProcessEventType:
    return ProcessEventType(name=name, payload_schema={}, semantics=ProcessEventSemanticsSpec(wake=wake))


def terminal_type(
    name: str, state: ProcessTerminalState, output: ProcessValueSelector | None = None
) -> ProcessEventType:
    terminal = ProcessTerminalSpec(state=state, await_output=output)
    return ProcessEventType(
        name=name, payload_schema={}, semantics=ProcessEventSemanticsSpec(terminal=terminal)
    )


def event(
    event_type: str = "line",
    payload: Any = None,
    key: str | None = None,
    target: ProcessScope | None = None,
) -> ProcessEventAppendRequest:
    return ProcessEventAppendRequest(
        event_type=event_type, payload=payload, replay_key=key, wake_target_scope=target
    )


def success(value: Any = "done") -> AwaitSuccess:
    return AwaitSuccess(value=value)


def failure(message: str = "broken") -> AwaitFailure:
    return AwaitFailure(failure_class="execution", code="broken", message=message)


def cancelled(message: str = "stopped") -> AwaitCancelled:
    return AwaitCancelled(message=message)
