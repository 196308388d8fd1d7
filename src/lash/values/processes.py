"""Durable processes: identity, ownership, input, status, outcome, handles, leases (contracts 1.7 to 1.11)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

from lash.values.invocations import CausalRef
from lash.values.process_events import CORE_EVENT_TYPES, ProcessEventType
from lash.values.process_outcomes import ProcessAwaitOutput, ProcessTerminalState
from lash.values.process_scopes import ProcessScope
from lash.values.record import Json, JsonRecord, Record
from lash.values.turns import TurnInput


class PreparedToolCall(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A tool call with its arguments frozen: what an effect or a process carries.

    `effect` is the tool's declared class of side effects; it decides what a re-drive may do.
    """

    call_id: str
    tool_name: str
    args: dict[str, Json]
    replay: str | None = None
    prepared_payload: Json = None
    effect: Literal["read_only", "idempotent", "at_most_once"] = "at_most_once"


class ToolCallInput(Record, frozen=True, tag="tool_call"):
    call: PreparedToolCall


class LashlangProcessInput(JsonRecord, frozen=True, tag="lashlang_process", eq=False):
    module_ref: str
    process_ref: dict[str, Json]
    required_surface_ref: str
    process_name: str
    args: dict[str, Json] = {}


class SessionTurnInput(JsonRecord, frozen=True, tag="session_turn", eq=False):
    create_request: dict[str, Json]
    turn_input: TurnInput
    output_contract: Json = None


class ExternalInput(JsonRecord, frozen=True, tag="external", eq=False):
    """Work that nobody here runs; an outside actor completes it (rule R-50)."""

    metadata: Json = None


class FunctionInput(JsonRecord, frozen=True, tag="function", eq=False):
    """A durable Python function by the name of its definition; its code is the worker's own."""

    name: str
    args: dict[str, Json] = {}


ProcessInput: TypeAlias = (
    ToolCallInput | LashlangProcessInput | SessionTurnInput | ExternalInput | FunctionInput
)


class ProcessProvenance(Record, frozen=True, kw_only=True):
    """Who started a process, under which host profile, and why."""

    owner_scope: ProcessScope = ProcessScope(session_id="root")
    host_profile_id: str = "default"
    caused_by: CausalRef | None = None


class RecoveryDisposition(StrEnum):
    """What may be done with a process whose worker is gone (contract 5, B-9)."""

    RERUNNABLE = "rerunnable"
    OWNER_BOUND = "owner_bound"
    EXTERNALLY_OWNED = "externally_owned"


class ProcessRegistration(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What a process is started from. `event_types` defaults to the four core types (ruling 36)."""

    id: str
    input: ProcessInput
    event_types: tuple[ProcessEventType, ...] = CORE_EVENT_TYPES
    provenance: ProcessProvenance = ProcessProvenance()
    recovery: RecoveryDisposition | None = None
    max_attempts: int | None = None
    wake_target: ProcessScope | None = None
    environment_ref: str | None = None

    def with_extra_event_types(
        self, types: tuple[ProcessEventType, ...] | list[ProcessEventType]
    ) -> ProcessRegistration:
        """Return a registration that declares `types` as well."""
        return self.replace(event_types=(*self.event_types, *types))


class ProcessRunning(Record, frozen=True, tag="running", tag_field="state"):
    """Not over yet."""


class ProcessCompleted(Record, frozen=True, tag="completed", tag_field="state"):
    await_output: ProcessAwaitOutput


class ProcessFailed(Record, frozen=True, tag="failed", tag_field="state"):
    await_output: ProcessAwaitOutput


class ProcessCancelled(Record, frozen=True, tag="cancelled", tag_field="state"):
    await_output: ProcessAwaitOutput


class ProcessAbandoned(Record, frozen=True, tag="abandoned", tag_field="state"):
    """Given up by recovery: its owner is gone and it must not be run again."""

    await_output: ProcessAwaitOutput


ProcessStatus: TypeAlias = (
    ProcessRunning | ProcessCompleted | ProcessFailed | ProcessCancelled | ProcessAbandoned
)


class ProcessExternalRef(JsonRecord, frozen=True, kw_only=True, eq=False):
    """Where a process lives in another system."""

    backend: str
    id: str
    metadata: Json = None


class ProcessRecord(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A process as stored."""

    id: str
    input: ProcessInput
    event_types: tuple[ProcessEventType, ...]
    provenance: ProcessProvenance
    registration_hash: str
    created_at_ms: int
    updated_at_ms: int
    status: ProcessStatus = ProcessRunning()
    external_ref: ProcessExternalRef | None = None
    recovery: RecoveryDisposition = RecoveryDisposition.RERUNNABLE
    max_attempts: int | None = None
    wake_target: ProcessScope | None = None
    environment_ref: str | None = None
    last_sequence: int = 0
    attempts: int = 0
    abandon_requested: bool = False
    cancel_requested: bool = False

    @property
    def is_terminal(self) -> bool:
        return not isinstance(self.status, ProcessRunning)

    @property
    def terminal_state(self) -> ProcessTerminalState | None:
        match self.status:
            case ProcessRunning():
                return None
            case ProcessCompleted():
                return ProcessTerminalState.COMPLETED
            case ProcessFailed():
                return ProcessTerminalState.FAILED
            case ProcessCancelled():
                return ProcessTerminalState.CANCELLED
            case ProcessAbandoned():
                return ProcessTerminalState.ABANDONED

    @property
    def await_output(self) -> ProcessAwaitOutput | None:
        return None if isinstance(self.status, ProcessRunning) else self.status.await_output


class ProcessHandleDescriptor(Record, frozen=True, kw_only=True):
    """How a grantee sees a process."""

    kind: str | None = None
    label: str | None = None


class ProcessHandleGrant(Record, frozen=True, kw_only=True):
    """The right of a scope to see a process."""

    session_id: str
    scope_id: str
    process_id: str
    descriptor: ProcessHandleDescriptor = ProcessHandleDescriptor()


class ProcessLeaseCompletion(Record, frozen=True, kw_only=True):
    """Gives a lease back."""

    process_id: str
    lease_token: str


class ProcessLease(Record, frozen=True, kw_only=True):
    """The right to run a process until `expires_at_ms`; later claims carry larger fencing tokens."""

    process_id: str
    owner_id: str
    lease_token: str
    fencing_token: int
    claimed_at_ms: int
    expires_at_ms: int
    schema_version: int = 1

    def completion(self) -> ProcessLeaseCompletion:
        return ProcessLeaseCompletion(process_id=self.process_id, lease_token=self.lease_token)


class ProcessSessionDeleteReport(Record, frozen=True, kw_only=True):
    """What deleting a session's process state found (contract 2.C.7)."""

    session_id: str
    revoked_handle_count: int = 0
    deleted_wake_count: int = 0
    cancel_process_ids: tuple[str, ...] = ()
    preserved_process_ids: tuple[str, ...] = ()
