"""What a process is registered with: core event types, recovery, validity and identity (contract 1.8, 2.C.1).

The hash is the identity that a repeated registration must share. It is taken over the completed form, so that
saying a default aloud and leaving it out are the same registration.
"""

from __future__ import annotations

from collections.abc import Iterable

from lash.errors import LashError
from lash.rules.event_schemas import check_schema
from lash.rules.process_projection import RESERVED_EVENT_TYPES
from lash.rules.storable import check_storable
from lash.values import (
    CORE_EVENT_TYPES,
    ExternalInput,
    FunctionInput,
    Json,
    LashlangProcessInput,
    ProcessEventType,
    ProcessInput,
    ProcessRecord,
    ProcessRegistration,
    ProcessTerminalState,
    RecoveryDisposition,
    SessionTurnInput,
    ToolCallInput,
    plain,
    stable_hash,
)

_CORE = {core.name: core for core in CORE_EVENT_TYPES}


def registered_record(registration: ProcessRegistration, now_ms: int) -> ProcessRecord:
    """Return the record of a process that is registered now.

    Raises:
        LashError: `process_registration_invalid`; `json_not_representable`.
    """
    what = f"registration of process {registration.id!a}"
    check_storable(registration, what=what)
    completed = registration.replace(
        event_types=completed_event_types(registration),
        recovery=registration.recovery or default_recovery(registration.input),
    )
    _check(completed)
    return ProcessRecord(
        id=completed.id,
        input=completed.input,
        event_types=completed.event_types,
        provenance=completed.provenance,
        registration_hash=registration_hash(completed),
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        recovery=completed.recovery or RecoveryDisposition.RERUNNABLE,
        max_attempts=completed.max_attempts,
        wake_target=completed.wake_target,
        environment_ref=completed.environment_ref,
    )


def check_same_registration(record: ProcessRecord, registered: ProcessRecord) -> None:
    """Refuse another registration under an id that is taken.

    Raises:
        LashError: `process_registration_conflict`, with both hashes.
    """
    if record.registration_hash != registered.registration_hash:
        raise LashError(
            "process_registration_conflict",
            f"process {record.id!r} is registered with hash {record.registration_hash}, not with "
            f"{registered.registration_hash}; take another id or send the same registration",
            process_id=record.id,
            stored_hash=record.registration_hash,
            hash=registered.registration_hash,
        )


def completed_event_types(registration: ProcessRegistration) -> tuple[ProcessEventType, ...]:
    """Return the declared types and the missing core types (ruling 36).

    A type with a core name takes the place of the core one; any other repeat is refused.

    Raises:
        LashError: `process_registration_invalid`.
    """
    declared: dict[str, list[ProcessEventType]] = {}
    for event_type in registration.event_types:
        declared.setdefault(event_type.name, []).append(event_type)
    completed = []
    for name, entries in declared.items():
        if len(entries) > 1 and entries[0] == _CORE.get(name):
            entries = entries[1:]
        if len(entries) > 1:
            raise _invalid(registration.id, f"event type {name!r} is declared twice")
        completed.append(entries[0])
    return (*completed, *(core for core in CORE_EVENT_TYPES if core.name not in declared))


def default_recovery(work: ProcessInput) -> RecoveryDisposition:
    """Return what follows from the input when nobody said what a recovery may do (ruling 14)."""
    match work:
        case ExternalInput():
            return RecoveryDisposition.EXTERNALLY_OWNED
        case ToolCallInput(call=call):
            is_once = call.effect == "at_most_once"
            return RecoveryDisposition.OWNER_BOUND if is_once else RecoveryDisposition.RERUNNABLE
        case LashlangProcessInput() | SessionTurnInput() | FunctionInput():
            return RecoveryDisposition.RERUNNABLE


def registration_hash(completed: ProcessRegistration) -> str:
    """Return the identity of a completed registration; the order of its event types is none (R-11)."""
    content: dict[str, Json] = {
        "id": completed.id,
        "input": completed.input,
        "event_types": sorted((plain(one) for one in completed.event_types), key=_name_of),
        "provenance": completed.provenance,
        "recovery": completed.recovery,
    }
    for name in ("max_attempts", "wake_target", "environment_ref"):
        value = getattr(completed, name)
        if value is not None:
            content[name] = value
    return stable_hash(content)


def _name_of(event_type: dict[str, Json]) -> str:
    return str(event_type["name"])


def _check(completed: ProcessRegistration) -> None:
    for problem in _problems(completed):
        raise _invalid(completed.id, problem)
    for event_type in completed.event_types:
        check_schema(event_type)


def _problems(completed: ProcessRegistration) -> Iterable[str]:
    provenance, target = completed.provenance, completed.wake_target
    if not completed.id.strip():
        yield "its id is blank"
    if "\0" in completed.id:
        yield "its id holds a NUL"
    if not provenance.owner_scope.session_id.strip():
        yield "its owner scope names no session"
    if not provenance.host_profile_id.strip():
        yield "its host profile is blank"
    if target is not None and not target.session_id.strip():
        yield "its wake target names no session"
    if completed.max_attempts is not None and completed.max_attempts < 1:
        yield f"max_attempts is {completed.max_attempts}; it must be at least 1"
    for event_type in completed.event_types:
        yield from _type_problems(event_type)


def _type_problems(event_type: ProcessEventType) -> Iterable[str]:
    terminal = event_type.semantics.terminal
    if not event_type.name.strip():
        yield "an event type has a blank name"
    if event_type.name in RESERVED_EVENT_TYPES:
        yield f"event type {event_type.name!r} is reserved: only the registry appends it"
    if terminal is None:
        return
    if terminal.state is ProcessTerminalState.ABANDONED:
        yield f"event type {event_type.name!r} may not abandon: only a recovery does"
    elif terminal.state is not ProcessTerminalState.COMPLETED and terminal.await_output is None:
        yield f"event type {event_type.name!r} ends the process as {terminal.state} and needs an await_output"


def _invalid(process_id: str, why: str) -> LashError:
    return LashError(
        "process_registration_invalid",
        f"process {process_id!r} cannot be registered: {why}",
        process_id=process_id,
        why=why,
    )
