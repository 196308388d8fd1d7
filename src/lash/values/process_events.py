"""Process events: declared types, value selectors, appended events, wake deliveries (contracts 1.9 and 4)."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from lash.values.hashing import stable_hash
from lash.values.invocations import CausalRef, RuntimeInvocation
from lash.values.process_outcomes import ProcessAwaitOutput, ProcessTerminalState
from lash.values.process_scopes import ProcessScope
from lash.values.record import Json, JsonRecord, Record


class SelectPayload(Record, frozen=True, tag="payload"):
    """The payload itself."""


class SelectPointer(Record, frozen=True, tag="pointer"):
    """The value at an RFC 6901 pointer."""

    pointer: str


class SelectConst(JsonRecord, frozen=True, tag="const", eq=False):
    value: Json


class SelectTemplate(Record, frozen=True, tag="template"):
    """Text in which each `{name}` is replaced by the rendered field of that name (rule R-12)."""

    template: str
    fields: dict[str, ProcessValueSelector] = {}


class SelectPresent(Record, frozen=True, tag="present"):
    """Whether a pointer resolves; a present null counts."""

    pointer: str


ProcessValueSelector: TypeAlias = SelectPayload | SelectPointer | SelectConst | SelectTemplate | SelectPresent


class EventIdentity(Record, frozen=True, tag="event_identity"):
    """Each event is its own wake."""


class DedupeSelector(Record, frozen=True, tag="selector"):
    selector: ProcessValueSelector


class DedupeConst(Record, frozen=True, tag="const"):
    value: str


ProcessWakeDedupeKey: TypeAlias = EventIdentity | DedupeSelector | DedupeConst


class ProcessTerminalSpec(Record, frozen=True):
    """An event of this type ends the process in `state`."""

    state: ProcessTerminalState
    await_output: ProcessValueSelector | None = None


class ProcessWakeSpec(Record, frozen=True):
    """An event of this type wakes the target session, if `when` selects something truthy."""

    input: ProcessValueSelector
    when: ProcessValueSelector | None = None
    dedupe_key: ProcessWakeDedupeKey = EventIdentity()


class ProcessEventSemanticsSpec(Record, frozen=True):
    terminal: ProcessTerminalSpec | None = None
    wake: ProcessWakeSpec | None = None


class ProcessEventType(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A type that a process may append. The schema is a JSON Schema; `{}` accepts everything."""

    name: str
    payload_schema: dict[str, Json] = {}
    semantics: ProcessEventSemanticsSpec = ProcessEventSemanticsSpec()


def _terminal_type(name: str, state: ProcessTerminalState) -> ProcessEventType:
    return ProcessEventType(
        name=name,
        semantics=ProcessEventSemanticsSpec(
            terminal=ProcessTerminalSpec(state=state, await_output=SelectPointer(pointer="/await_output"))
        ),
    )


CANCEL_REQUESTED = "process.cancel_requested"
PROCESS_SIGNAL = "process.signal"  # its append ends the wait for a signal, in the same transaction

CORE_EVENT_TYPES: tuple[ProcessEventType, ...] = (
    ProcessEventType(name=CANCEL_REQUESTED),
    _terminal_type("process.completed", ProcessTerminalState.COMPLETED),
    _terminal_type("process.failed", ProcessTerminalState.FAILED),
    _terminal_type("process.cancelled", ProcessTerminalState.CANCELLED),
)


def event_payload_hash(event_type: str, payload: Json) -> str:
    """Return the identity that a replayed append must share: type and payload (contract 1.9)."""
    return stable_hash([event_type, payload])


class ProcessEventAppendRequest(JsonRecord, frozen=True, kw_only=True, eq=False):
    """An event to append. The same `replay_key` is appended once per process."""

    event_type: str
    payload: Json = None
    replay_key: str | None = None
    wake_target_scope: ProcessScope | None = None

    @classmethod
    def cancel_requested(cls, process_id: str, reason: str | None = None) -> ProcessEventAppendRequest:
        """Return a cancel request, keyed by its reason: the same one twice is one request."""
        payload = {"reason": reason}
        digest = event_payload_hash(CANCEL_REQUESTED, payload)
        return cls(
            event_type=CANCEL_REQUESTED,
            payload=payload,
            replay_key=f"process:{process_id}:cancel_requested:{digest}",
        )


class MaterialisedTerminal(Record, frozen=True):
    state: ProcessTerminalState
    await_output: ProcessAwaitOutput


class MaterialisedWake(Record, frozen=True):
    input: str
    dedupe_key: str


class ProcessEventSemantics(Record, frozen=True):
    """What an appended event meant."""

    terminal: MaterialisedTerminal | None = None
    wake: MaterialisedWake | None = None


class ProcessEvent(JsonRecord, frozen=True, kw_only=True, eq=False):
    """An appended event. `sequence` is dense per process and starts at 1."""

    process_id: str
    sequence: int
    event_type: str
    payload: Json
    invocation: RuntimeInvocation
    semantics: ProcessEventSemantics
    occurred_at_ms: int


class ProcessWakeDelivery(Record, frozen=True, kw_only=True):
    """A wake on its way to a session."""

    wake_id: str
    target_session_id: str
    target_scope_id: str
    process_id: str
    sequence: int
    event_type: str
    event_invocation: RuntimeInvocation
    dedupe_key: str
    input: str
    created_at_ms: int
    process_caused_by: CausalRef | None = None


class WakeDeliveryState(StrEnum):
    """What has become of a wake (contract 5, B-8)."""

    ENQUEUED = "enqueued"
    DISCARDED = "discarded"


class WakeDiscardReason(StrEnum):
    """Why a wake was not delivered."""

    TARGET_GONE = "target_gone"


class WakeDeliveryRecord(Record, frozen=True, kw_only=True):
    """A wake as stored beside its event, and the batch that carries it to its session.

    Wakes of one dedupe key may share a batch that nobody had taken up yet. A wake is discarded when its session
    is gone, or goes before anybody has worked on the batch; the id of that batch stays.
    """

    delivery: ProcessWakeDelivery
    state: WakeDeliveryState
    batch_id: str | None = None
    reason: WakeDiscardReason | None = None


class ProcessEventAppendResult(Record, frozen=True, kw_only=True):
    event: ProcessEvent
    wake_delivery: ProcessWakeDelivery | None = None


def wake_id(target_scope_id: str, dedupe_key: str) -> str:
    """Return the identity of a wake: target and dedupe text, nothing else (contract 1.9)."""
    return f"wake:{stable_hash([target_scope_id, dedupe_key])}"
