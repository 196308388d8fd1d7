"""A process record is a fold of its events (contract 5, B-7).

No field changes except by an event that is in the log. What the registry itself has to note is an event too,
of a reserved type that nobody may declare or append.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

import msgspec

from lash.errors import LashError
from lash.values import (
    MaterialisedTerminal,
    ProcessAbandoned,
    ProcessCancelled,
    ProcessCompleted,
    ProcessEvent,
    ProcessExternalRef,
    ProcessFailed,
    ProcessRecord,
    ProcessStatus,
    ProcessTerminalState,
)

EXTERNAL_REF_SET: Final = "process.external_ref_set"
ATTEMPT_STARTED: Final = "process.attempt_started"
ABANDON_REQUESTED: Final = "process.abandon_requested"
ABANDONED: Final = "process.abandoned"

RESERVED_EVENT_TYPES = frozenset({EXTERNAL_REF_SET, ATTEMPT_STARTED, ABANDON_REQUESTED, ABANDONED})


def projected(record: ProcessRecord, event: ProcessEvent) -> ProcessRecord:
    """Return the record after its next event.

    Raises:
        LashError: `stored_data_corrupt` for an event that does not follow the record, or a reserved one whose
            payload is not what the registry writes.
    """
    if (event.process_id, event.sequence) != (record.id, record.last_sequence + 1):
        raise LashError(
            "stored_data_corrupt",
            f"event {event.sequence} of process {event.process_id!r} does not follow "
            f"event {record.last_sequence} of {record.id!r}",
            process_id=record.id,
            sequence=event.sequence,
        )
    record = record.replace(last_sequence=event.sequence, updated_at_ms=event.occurred_at_ms)
    terminal = event.semantics.terminal
    if terminal is not None:
        record = record.replace(status=status_of(terminal))
    match event.event_type:
        case "process.external_ref_set":
            return record.replace(external_ref=_external_ref(event))
        case "process.attempt_started":
            return record.replace(attempts=record.attempts + 1)
        case "process.abandon_requested":
            return record.replace(abandon_requested=True)
        case "process.cancel_requested":
            return record.replace(cancel_requested=True)
        case _:
            return record


def folded(registered: ProcessRecord, events: Iterable[ProcessEvent]) -> ProcessRecord:
    """Return the record that a log leads to, from the record as it was registered."""
    record = registered
    for event in events:
        record = projected(record, event)
    return record


def status_of(terminal: MaterialisedTerminal) -> ProcessStatus:
    """Return the status that a terminal event leaves."""
    match terminal.state:
        case ProcessTerminalState.COMPLETED:
            return ProcessCompleted(await_output=terminal.await_output)
        case ProcessTerminalState.FAILED:
            return ProcessFailed(await_output=terminal.await_output)
        case ProcessTerminalState.CANCELLED:
            return ProcessCancelled(await_output=terminal.await_output)
        case ProcessTerminalState.ABANDONED:
            return ProcessAbandoned(await_output=terminal.await_output)
        case _:
            assert_never(terminal.state)


def _external_ref(event: ProcessEvent) -> ProcessExternalRef:
    try:
        return msgspec.convert(event.payload, ProcessExternalRef)
    except msgspec.ValidationError as problem:
        raise LashError(
            "stored_data_corrupt",
            f"event {event.sequence} of process {event.process_id!r} holds no external ref: {problem}",
            process_id=event.process_id,
            sequence=event.sequence,
        ) from problem
