"""Process commands: what crosses the effect controller to reach a process registry (contract 1.7)."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lash.values.hashing import stable_hash
from lash.values.invocations import RuntimeInvocation
from lash.values.process_events import ProcessEvent, ProcessEventAppendRequest
from lash.values.process_outcomes import ProcessAwaitOutput
from lash.values.process_scopes import ProcessScope
from lash.values.processes import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessRecord,
    ProcessRegistration,
    ProcessSessionDeleteReport,
)
from lash.values.record import Record


class ProcessStartGrant(Record, frozen=True, kw_only=True):
    """Who may see the process from its first moment."""

    owner_scope: ProcessScope
    descriptor: ProcessHandleDescriptor = ProcessHandleDescriptor()


class ProcessExecutionContext(Record, frozen=True, kw_only=True):
    """What travels with a start beside the registration."""

    causal_invocation: RuntimeInvocation | None = None
    wake_target_scope: ProcessScope | None = None


class StartProcess(Record, frozen=True, kw_only=True, tag="start", tag_field="op"):
    registration: ProcessRegistration
    grant: ProcessStartGrant | None = None
    execution_context: ProcessExecutionContext = ProcessExecutionContext()


class ListProcesses(Record, frozen=True, kw_only=True, tag="list", tag_field="op"):
    owner_scope: ProcessScope
    mode: Literal["live", "all"] = "live"


class TransferProcesses(Record, frozen=True, kw_only=True, tag="transfer", tag_field="op"):
    from_scope: ProcessScope
    to_scope: ProcessScope
    process_ids: tuple[str, ...]


class DeleteSessionProcesses(Record, frozen=True, kw_only=True, tag="delete_session", tag_field="op"):
    session_id: str


class AwaitProcess(Record, frozen=True, kw_only=True, tag="await", tag_field="op"):
    process_id: str


class CancelProcess(Record, frozen=True, kw_only=True, tag="cancel", tag_field="op"):
    process_id: str
    reason: str | None = None


class SignalProcess(Record, frozen=True, kw_only=True, tag="signal", tag_field="op"):
    process_id: str
    signal_id: str
    request: ProcessEventAppendRequest


ProcessCommand: TypeAlias = (
    StartProcess
    | ListProcesses
    | TransferProcesses
    | DeleteSessionProcesses
    | AwaitProcess
    | CancelProcess
    | SignalProcess
)


def process_command_id(command: ProcessCommand) -> str:
    """Return the effect id of a command, which its replay key ends in (contract 1.7)."""
    match command:
        case StartProcess(registration=registration):
            return f"process:start:{registration.id}"
        case ListProcesses(owner_scope=scope, mode=mode):
            return f"process:list:{scope.id}:{mode}"
        case TransferProcesses(from_scope=source, to_scope=target, process_ids=ids):
            return f"process:transfer:{source.id}:{target.id}:{stable_hash(ids)}"
        case DeleteSessionProcesses(session_id=session_id):
            return f"process:delete-session:{session_id}"
        case AwaitProcess(process_id=process_id):
            return f"process:await:{process_id}"
        case CancelProcess(process_id=process_id):
            return f"process:cancel:{process_id}"
        case SignalProcess(process_id=process_id, signal_id=signal_id):
            return f"process:signal:{process_id}:{signal_id}"


class ProcessRecordOutcome(Record, frozen=True, tag="record"):
    record: ProcessRecord


class ProcessEntriesOutcome(Record, frozen=True, tag="entries"):
    entries: tuple[tuple[ProcessHandleGrant, ProcessRecord], ...]


class ProcessTransferredOutcome(Record, frozen=True, tag="transferred"):
    """Nothing more to say."""


class ProcessSessionDeletedOutcome(Record, frozen=True, tag="session_deleted"):
    report: ProcessSessionDeleteReport


class ProcessAwaitedOutcome(Record, frozen=True, tag="awaited"):
    output: ProcessAwaitOutput


class ProcessEventOutcome(Record, frozen=True, tag="event"):
    event: ProcessEvent


ProcessEffectOutcome: TypeAlias = (
    ProcessRecordOutcome
    | ProcessEntriesOutcome
    | ProcessTransferredOutcome
    | ProcessSessionDeletedOutcome
    | ProcessAwaitedOutcome
    | ProcessEventOutcome
)
