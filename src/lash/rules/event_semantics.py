"""What an event means, made out of its payload before it is stored (contract 2.C.8 step 6, 2.C.15).

A terminal event and the output that it selects must tell the same story (R-25); a wake gets its text and the
text that its identity is made of.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from lash.errors import LashError
from lash.rules.selectors import is_truthy, render, select
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    DedupeConst,
    DedupeSelector,
    EventIdentity,
    Json,
    MaterialisedTerminal,
    MaterialisedWake,
    ProcessAwaitOutput,
    ProcessEventSemantics,
    ProcessEventType,
    ProcessTerminalSpec,
    ProcessTerminalState,
    ProcessWakeSpec,
    terminal_state_of,
)


def materialised(
    event_type: ProcessEventType, payload: Json, *, process_id: str, sequence: int
) -> ProcessEventSemantics:
    """Return what an event with this payload means.

    Raises:
        LashError: `process_event_selector_unmatched`; `process_event_payload_invalid` when the selected output
            ends in another state than the type declares.
    """
    terminal, wake = event_type.semantics.terminal, event_type.semantics.wake
    return ProcessEventSemantics(
        terminal=None if terminal is None else _terminal(event_type.name, terminal, payload),
        wake=None if wake is None else _wake(wake, payload, f"{process_id}:{sequence}"),
    )


def _terminal(name: str, spec: ProcessTerminalSpec, payload: Json) -> MaterialisedTerminal:
    value = payload if spec.await_output is None else select(spec.await_output, payload)
    output = None if spec.await_output is None else _decoded(value)
    if output is None:
        output = _wrapped(spec.state, value)
    elif terminal_state_of(output) is not spec.state:
        raise LashError(
            "process_event_payload_invalid",
            f"event type {name!r} ends a process as {spec.state}, its payload holds an output of a "
            f"{terminal_state_of(output)} one",
            event_type=name,
            state=spec.state.value,
        )
    return MaterialisedTerminal(state=spec.state, await_output=output)


def _decoded(value: Json) -> ProcessAwaitOutput | None:
    """Return the output that a value has the shape of, or None."""
    if not isinstance(value, dict):
        return None
    try:
        # For a union mypy infers Any.
        return msgspec.convert(value, ProcessAwaitOutput)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return None


def _wrapped(state: ProcessTerminalState, value: Json) -> ProcessAwaitOutput:
    """Return a plain value as the output of a process that ended in `state`."""
    match state:
        case ProcessTerminalState.COMPLETED:
            return AwaitSuccess(value=value)
        case ProcessTerminalState.FAILED:
            return AwaitFailure(
                failure_class="execution", code="process_failed", message=render(value), raw=value
            )
        case ProcessTerminalState.CANCELLED:
            return AwaitCancelled(message=render(value), raw=value)
        case ProcessTerminalState.ABANDONED:
            return AwaitFailure(
                failure_class="internal", code="process_abandoned", message=render(value), raw=value
            )
        case _:
            assert_never(state)


def _wake(spec: ProcessWakeSpec, payload: Json, event_identity: str) -> MaterialisedWake | None:
    if spec.when is not None and not is_truthy(select(spec.when, payload)):
        return None
    match spec.dedupe_key:
        case EventIdentity():
            dedupe_key = event_identity
        case DedupeSelector(selector=selector):
            dedupe_key = render(select(selector, payload))
        case DedupeConst(value=value):
            dedupe_key = value
        case _:
            assert_never(spec.dedupe_key)
    return MaterialisedWake(input=render(select(spec.input, payload)), dedupe_key=dedupe_key)
