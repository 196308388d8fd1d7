"""Appending to a process's log: one decision over its record and what is stored under the replay key.

The order of the checks is normative (contract 2.C.8, ruling 23): the replay key answers first, so that a
repeat succeeds whatever has become of the process since. Nothing here stores anything, so a refused append
uses no sequence number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import msgspec

from lash.errors import LashError
from lash.rules.event_schemas import check_payload
from lash.rules.event_semantics import materialised
from lash.rules.process_projection import EXTERNAL_REF_SET, projected
from lash.values import (
    CANCEL_REQUESTED,
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    CausedByProcess,
    Json,
    MaterialisedWake,
    ProcessAwaitOutput,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventAppendResult,
    ProcessEventSemantics,
    ProcessEventSubject,
    ProcessEventType,
    ProcessExternalRef,
    ProcessRecord,
    ProcessScope,
    ProcessWakeDelivery,
    RuntimeInvocation,
    RuntimeScope,
    WakeDeliveryRecord,
    WakeDeliveryState,
    canonical_json,
    event_payload_hash,
    plain,
    wake_id,
)


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """What an append comes to.

    Attributes:
        result: What the caller is told.
        record: The process afterwards; of a replay, as it is.
        is_new: Whether there is anything to store.
    """

    result: ProcessEventAppendResult
    record: ProcessRecord
    is_new: bool


def check_request(process_id: str, request: ProcessEventAppendRequest) -> None:
    """Refuse, before anything is read, a payload that JSON cannot say exactly (R-1).

    Raises:
        LashError: `json_not_representable`.
    """
    try:
        canonical_json([request.event_type, request.payload, request.replay_key])
        canonical_json(plain(request.wake_target_scope))
    except LashError as refused:
        what = f"event {request.event_type!a} for process {process_id!a}"
        raise LashError(refused.code, f"{what}: {refused.message}", **refused.facts) from refused


def replay_key_of(request: ProcessEventAppendRequest) -> str | None:
    """Return the key under which an append is done once; a blank one is none."""
    return request.replay_key if request.replay_key and request.replay_key.strip() else None


def decide_append(
    record: ProcessRecord,
    request: ProcessEventAppendRequest,
    recorded: ProcessEventAppendResult | None,
    now_ms: int,
) -> Append:
    """Return what a request comes to, in the order of contract 2.C.8.

    Args:
        record: The process as it is.
        request: What is to be appended; `check_request` let it pass.
        recorded: What the append under the same replay key returned, if there was one.
        now_ms: When.

    Raises:
        LashError: see `ProcessRegistry.append_event`.
    """
    if recorded is not None:
        check_same_event(recorded.event, request)
        return Append(result=recorded, record=record, is_new=False)
    event_type = _declared(record, request.event_type)
    terminal = event_type.semantics.terminal
    if (terminal is not None or event_type.name == CANCEL_REQUESTED) and replay_key_of(request) is None:
        raise LashError(
            "process_event_replay_required",
            f"event {event_type.name!r} of process {record.id!r} needs a replay key, so that it happens once",
            process_id=record.id,
            event_type=event_type.name,
        )
    check_payload(event_type, request.payload)
    sequence = record.last_sequence + 1
    semantics = materialised(event_type, request.payload, process_id=record.id, sequence=sequence)
    if semantics.terminal is not None and record.is_terminal:
        raise already_terminal(record, event_type.name)
    target = _wake_target(record, request)
    if semantics.wake is not None and target is None:
        raise LashError(
            "process_wake_target_missing",
            f"event {event_type.name!r} of process {record.id!r} wakes a session and was appended "
            "without a wake target scope; name one in the request or at registration",
            process_id=record.id,
            event_type=event_type.name,
        )
    return appended(record, request, semantics, now_ms, target)


def appended(
    record: ProcessRecord,
    request: ProcessEventAppendRequest,
    semantics: ProcessEventSemantics,
    now_ms: int,
    target: ProcessScope | None = None,
) -> Append:
    """Return the next event of a process, with its wake if it has one; nothing is checked."""
    event = _event(record, request, semantics, now_ms)
    delivery = None
    if semantics.wake is not None and target is not None:
        delivery = _delivery(record, event, semantics.wake, target)
    return Append(
        result=ProcessEventAppendResult(event=event, wake_delivery=delivery),
        record=projected(record, event),
        is_new=True,
    )


def external_ref_append(record: ProcessRecord, ref: ProcessExternalRef, now_ms: int) -> Append:
    """Return the event that says where a process lives elsewhere; the last one counts (ruling 13)."""
    request = ProcessEventAppendRequest(event_type=EXTERNAL_REF_SET, payload=plain(ref))
    return appended(record, request, ProcessEventSemantics(), now_ms)


def completion_request(process_id: str, output: ProcessAwaitOutput) -> ProcessEventAppendRequest:
    """Return the append that ends a process with an output (contract 2.C.15)."""
    match output:
        case AwaitSuccess():
            event_type = "process.completed"
        case AwaitFailure():
            event_type = "process.failed"
        case AwaitCancelled():
            event_type = "process.cancelled"
        case _:
            assert_never(output)
    payload: Mapping[str, Json] = {"await_output": plain(output)}
    return ProcessEventAppendRequest(
        event_type=event_type, payload=payload, replay_key=f"process:{process_id}:terminal:{event_type}"
    )


def check_same_event(event: ProcessEvent, request: ProcessEventAppendRequest) -> None:
    """Refuse a replay key under which another event is stored.

    Raises:
        LashError: `process_event_replay_conflict`.
    """
    stored = event_payload_hash(event.event_type, event.payload)
    asked = event_payload_hash(request.event_type, request.payload)
    if stored != asked:
        raise LashError(
            "process_event_replay_conflict",
            f"process {event.process_id!r} has event {event.sequence} ({event.event_type!r}) under replay key "
            f"{request.replay_key!r} with another type or payload; take a new key for a new event",
            process_id=event.process_id,
            sequence=event.sequence,
            replay_key=request.replay_key,
            stored_hash=stored,
            hash=asked,
        )


def already_terminal(record: ProcessRecord, event_type: str) -> LashError:
    """Return the error for ending what is over: the first terminal event wins."""
    return LashError(
        "process_already_terminal",
        f"process {record.id!r} is {record.terminal_state} already; {event_type!r} came too late",
        process_id=record.id,
        state=None if record.terminal_state is None else record.terminal_state.value,
    )


def process_unknown(process_id: str) -> LashError:
    """Return the error for an id under which nothing is registered."""
    return LashError("process_unknown", f"there is no process {process_id!r}", process_id=process_id)


def no_longer_retained(process_id: str) -> LashError:
    """Return the error for a process of which only the id is left (contract 5, B-19)."""
    return LashError(
        "process_no_longer_retained",
        f"process {process_id!r} ended and was pruned; its record, its events and its output are gone",
        process_id=process_id,
    )


def redriven_delivery(
    record: WakeDeliveryRecord | None, process_id: str, sequence: int, target: ProcessScope | None
) -> ProcessWakeDelivery:
    """Return the wake to send again; to another target it is another wake.

    Raises:
        LashError: `process_wake_unknown`; `process_wake_not_discarded`.
    """
    if record is None:
        raise LashError(
            "process_wake_unknown",
            f"event {sequence} of process {process_id!r} woke nobody",
            process_id=process_id,
            sequence=sequence,
        )
    if record.state is not WakeDeliveryState.DISCARDED:
        raise LashError(
            "process_wake_not_discarded",
            f"the wake of event {sequence} of process {process_id!r} is {record.state}; only a discarded one is "
            "sent again",
            process_id=process_id,
            sequence=sequence,
        )
    if target is None:
        return record.delivery
    return record.delivery.replace(
        target_session_id=target.session_id,
        target_scope_id=target.id,
        wake_id=wake_id(target.id, record.delivery.dedupe_key),
    )


def _declared(record: ProcessRecord, name: str) -> ProcessEventType:
    for event_type in record.event_types:
        if event_type.name == name:
            return event_type
    raise LashError(
        "process_event_undeclared",
        f"process {record.id!r} declares no event type {name!r}; "
        f"it has {', '.join(sorted(one.name for one in record.event_types))}",
        process_id=record.id,
        event_type=name,
    )


def _wake_target(record: ProcessRecord, request: ProcessEventAppendRequest) -> ProcessScope | None:
    for scope in (request.wake_target_scope, record.wake_target):
        if scope is not None and scope.session_id.strip():
            return scope
    return None


def _event(
    record: ProcessRecord,
    request: ProcessEventAppendRequest,
    semantics: ProcessEventSemantics,
    now_ms: int,
) -> ProcessEvent:
    sequence = record.last_sequence + 1
    return ProcessEvent(
        process_id=record.id,
        sequence=sequence,
        event_type=request.event_type,
        payload=request.payload,
        invocation=RuntimeInvocation(
            scope=RuntimeScope(session_id=record.provenance.owner_scope.session_id),
            subject=ProcessEventSubject(
                process_id=record.id, sequence=sequence, event_type=request.event_type
            ),
            caused_by=CausedByProcess(process_id=record.id),
            replay_key=replay_key_of(request),
        ),
        semantics=semantics,
        occurred_at_ms=now_ms,
    )


def _delivery(
    record: ProcessRecord, event: ProcessEvent, wake: MaterialisedWake, target: ProcessScope
) -> ProcessWakeDelivery:
    return ProcessWakeDelivery(
        wake_id=wake_id(target.id, wake.dedupe_key),
        target_session_id=target.session_id,
        target_scope_id=target.id,
        process_id=record.id,
        sequence=event.sequence,
        event_type=event.event_type,
        event_invocation=event.invocation,
        process_caused_by=record.provenance.caused_by,
        dedupe_key=wake.dedupe_key,
        input=wake.input,
        created_at_ms=event.occurred_at_ms,
    )
