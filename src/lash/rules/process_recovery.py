"""Running a process again, and giving it up (contract 5, B-9; rule R-50).

What may be done with a process whose worker is gone was declared when it was registered. An owner-bound one
is run once: after a start without an end, nobody can know what it did. To abandon is to say so, with who says
it and why; that time has passed is never a reason.
"""

from __future__ import annotations

from lash.errors import LashError
from lash.rules.process_events import Append, already_terminal, appended
from lash.rules.process_projection import ABANDON_REQUESTED, ABANDONED, ATTEMPT_STARTED
from lash.values import (
    AwaitFailure,
    Json,
    MaterialisedTerminal,
    ProcessEventAppendRequest,
    ProcessEventSemantics,
    ProcessLease,
    ProcessRecord,
    ProcessTerminalState,
    RecoveryDisposition,
    canonical_json,
    plain,
)


def attempt_append(record: ProcessRecord, lease: ProcessLease, now_ms: int) -> Append:
    """Return the event with which the holder of a lease starts to run a process.

    Raises:
        LashError: see `ProcessRegistry.start_process_attempt`.
    """
    if record.is_terminal:
        raise already_terminal(record, ATTEMPT_STARTED)
    why = _not_runnable(record)
    if why is not None:
        code, text = why
        raise LashError(code, f"process {record.id!r} is not run: {text}", process_id=record.id)
    attempt = record.attempts + 1
    request = ProcessEventAppendRequest(
        event_type=ATTEMPT_STARTED,
        payload={"attempt": attempt, "owner_id": lease.owner_id, "fencing_token": lease.fencing_token},
        replay_key=f"process:{record.id}:attempt:{attempt}",
    )
    return appended(record, request, ProcessEventSemantics(), now_ms)


def abandon_request_append(
    record: ProcessRecord, *, requested_by: str, reason: str, now_ms: int
) -> Append | None:
    """Return the event that asks to give a process up; None when somebody did already.

    Raises:
        LashError: `process_already_terminal`; `json_not_representable`.
    """
    if record.is_terminal:
        raise already_terminal(record, ABANDON_REQUESTED)
    if record.abandon_requested:
        return None
    payload = {"requested_by": requested_by, "reason": reason}
    canonical_json(payload)
    request = ProcessEventAppendRequest(
        event_type=ABANDON_REQUESTED, payload=payload, replay_key=f"process:{record.id}:abandon_requested"
    )
    return appended(record, request, ProcessEventSemantics(), now_ms)


def abandon_append(record: ProcessRecord, *, written_by: str, evidence: Json, now_ms: int) -> Append:
    """Return the event that gives a process up; that nobody runs it has been checked.

    Raises:
        LashError: `process_already_terminal`; `process_not_abandonable`; `json_not_representable`.
    """
    if record.is_terminal:
        raise already_terminal(record, ABANDONED)
    why = _reason_to_abandon(record)
    if why is None:
        raise LashError(
            "process_not_abandonable",
            f"process {record.id!r} may still be run ({record.recovery}, {record.attempts} attempts); "
            "request its abandonment first, or run it",
            process_id=record.id,
            recovery=record.recovery.value,
        )
    raw = {"written_by": written_by, "evidence": evidence}
    canonical_json(raw)
    output = AwaitFailure(
        failure_class="internal",
        code="process_abandoned",
        message=f"process {record.id!r} was given up: {why}",
        raw=raw,
    )
    request = ProcessEventAppendRequest(
        event_type=ABANDONED,
        payload={"await_output": plain(output)},
        replay_key=f"process:{record.id}:terminal:{ABANDONED}",
    )
    terminal = MaterialisedTerminal(state=ProcessTerminalState.ABANDONED, await_output=output)
    return appended(record, request, ProcessEventSemantics(terminal=terminal), now_ms)


def _not_runnable(record: ProcessRecord) -> tuple[str, str] | None:
    if record.recovery is RecoveryDisposition.EXTERNALLY_OWNED:
        return "process_externally_owned", "its owner is elsewhere and completes it"
    if record.recovery is RecoveryDisposition.OWNER_BOUND and record.attempts:
        return "process_owner_bound", "it was started once and may have had its effect; abandon it"
    if record.max_attempts is not None and record.attempts >= record.max_attempts:
        return "process_attempts_exhausted", f"its {record.max_attempts} attempts are used up; abandon it"
    return None


def _reason_to_abandon(record: ProcessRecord) -> str | None:
    if record.abandon_requested:
        return "somebody asked for it"
    why = _not_runnable(record)
    if why is None or why[0] == "process_externally_owned":
        return None
    return why[1].removesuffix("; abandon it")
