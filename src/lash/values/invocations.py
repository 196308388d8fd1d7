"""What an invocation is about, what caused it, and under which key it replays (contract 1.3)."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from lash.values.record import Record
from lash.values.scopes import RuntimeScope


class RuntimeEffectKind(StrEnum):
    """The kinds of effect. These texts enter hashes and replay keys."""

    LLM_CALL = "llm_call"
    DIRECT = "direct"
    TOOL_CALL = "tool_call"
    PROCESS = "process"
    EXEC_CODE = "exec_code"
    CHECKPOINT = "checkpoint"
    SYNC_EXECUTION_SURFACE = "sync_execution_surface"
    SLEEP = "sleep"
    AWAIT_EVENT = "await_event"


class EffectSubject(Record, frozen=True, tag="effect"):
    effect_id: str
    kind: RuntimeEffectKind


class ProcessSubject(Record, frozen=True, tag="process"):
    process_id: str


class ProcessEventSubject(Record, frozen=True, tag="process_event"):
    process_id: str
    sequence: int
    event_type: str


class HostEventSubject(Record, frozen=True, tag="host_event"):
    occurrence_id: str


class SessionNodeSubject(Record, frozen=True, tag="session_node"):
    node_id: str


RuntimeSubject: TypeAlias = (
    EffectSubject | ProcessSubject | ProcessEventSubject | HostEventSubject | SessionNodeSubject
)


class CausedByTurn(Record, frozen=True, tag="turn"):
    session_id: str
    turn_id: str


class CausedByEffect(Record, frozen=True, tag="effect"):
    session_id: str
    effect_id: str
    turn_id: str | None = None


class CausedByToolCall(Record, frozen=True, tag="tool_call"):
    session_id: str
    call_id: str


class CausedByProcess(Record, frozen=True, tag="process"):
    process_id: str


class CausedByProcessEvent(Record, frozen=True, tag="process_event"):
    process_id: str
    sequence: int


class CausedByHostEvent(Record, frozen=True, tag="host_event"):
    occurrence_id: str
    subscription_id: str | None = None


class CausedBySessionNode(Record, frozen=True, tag="session_node"):
    session_id: str
    node_id: str


CausalRef: TypeAlias = (
    CausedByTurn
    | CausedByEffect
    | CausedByToolCall
    | CausedByProcess
    | CausedByProcessEvent
    | CausedByHostEvent
    | CausedBySessionNode
)


class RuntimeInvocation(Record, frozen=True, kw_only=True):
    """One piece of work: where it runs, what it is, why, and the key its outcome is kept under."""

    scope: RuntimeScope
    subject: RuntimeSubject
    caused_by: CausalRef | None = None
    replay_key: str | None = None

    @classmethod
    def effect(
        cls,
        scope: RuntimeScope,
        effect_id: str,
        kind: RuntimeEffectKind,
        replay_key: str,
        caused_by: CausalRef | None = None,
    ) -> RuntimeInvocation:
        """Return the invocation of one effect."""
        return cls(
            scope=scope,
            subject=EffectSubject(effect_id=effect_id, kind=kind),
            caused_by=caused_by,
            replay_key=replay_key,
        )

    @property
    def effect_id(self) -> str | None:
        return self.subject.effect_id if isinstance(self.subject, EffectSubject) else None

    @property
    def effect_kind(self) -> RuntimeEffectKind | None:
        return self.subject.kind if isinstance(self.subject, EffectSubject) else None

    def causal_ref(self) -> CausalRef:
        """Return the reference by which later work names this invocation as its cause."""
        session_id, turn_id = self.scope.session_id, self.scope.turn_id
        match self.subject:
            case EffectSubject(effect_id=effect_id):
                return CausedByEffect(session_id=session_id, effect_id=effect_id, turn_id=turn_id)
            case ProcessSubject(process_id=process_id):
                return CausedByProcess(process_id=process_id)
            case ProcessEventSubject(process_id=process_id, sequence=sequence):
                return CausedByProcessEvent(process_id=process_id, sequence=sequence)
            case HostEventSubject(occurrence_id=occurrence_id):
                return CausedByHostEvent(occurrence_id=occurrence_id)
            case SessionNodeSubject(node_id=node_id):
                return CausedBySessionNode(session_id=session_id, node_id=node_id)


def turn_effect_key(scope: RuntimeScope, kind: RuntimeEffectKind, effect_id: str) -> str:
    """Return the replay key of a turn's own effect: its coordinates, colon-joined (contract 1.3)."""
    return (
        f"{scope.session_id}:{scope.turn_id}:{scope.turn_index}:{scope.protocol_iteration}"
        f":{kind.value}:{effect_id}"
    )


def child_effect_key(parent: RuntimeInvocation, *suffix: str) -> str:
    """Return the replay key of an effect inside `parent` (contract 1.3, "child effect")."""
    return ":".join((parent.replay_key or parent.effect_id or "effect", *suffix))
