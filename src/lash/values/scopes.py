"""Where work runs: effect scopes, runtime scopes and the durability tier."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from lash.errors import LashError
from lash.values.record import Record


class DurabilityTier(StrEnum):
    """Whether what a contract object is told survives the operating-system process."""

    INLINE = "inline"
    DURABLE = "durable"


EffectScopeKind = Literal["turn", "process", "queue_drain", "session_delete", "runtime_operation"]


class EffectScope(Record, frozen=True, kw_only=True):
    """The stable semantic scope that a group of effects belongs to (contract 1.1).

    Build one with `turn`, `process`, `queue_drain`, `session_delete` or `runtime_operation`. Equality is
    structural; `scope_id` is for display only, since two scopes may share it (rule R-8). Nothing is
    validated here: `EffectHost.scoped` checks (ruling 33).
    """

    type: EffectScopeKind
    session_id: str | None = None
    turn_id: str | None = None
    process_id: str | None = None
    drain_id: str | None = None
    operation_id: str | None = None

    @classmethod
    def turn(cls, session_id: str, turn_id: str) -> EffectScope:
        return cls(type="turn", session_id=session_id, turn_id=turn_id)

    @classmethod
    def process(cls, process_id: str) -> EffectScope:
        return cls(type="process", process_id=process_id)

    @classmethod
    def queue_drain(cls, session_id: str, drain_id: str) -> EffectScope:
        return cls(type="queue_drain", session_id=session_id, drain_id=drain_id)

    @classmethod
    def session_delete(cls, session_id: str) -> EffectScope:
        return cls(type="session_delete", session_id=session_id)

    @classmethod
    def runtime_operation(cls, operation_id: str) -> EffectScope:
        return cls(type="runtime_operation", operation_id=operation_id)

    @property
    def kind(self) -> EffectScopeKind:
        return self.type

    @property
    def scope_id(self) -> str:
        """The display id: the innermost id of the scope."""
        return self._ids()[-1]

    @property
    def key(self) -> str:
        """The whole scope as one unambiguous string: what storage is keyed by (rules R-2 and R-8)."""
        escaped = (part.replace("\x1e", "\x1e\x1e").replace("\x1f", "\x1e\x1f") for part in self._ids())
        return "\x1f".join((self.type, *escaped))

    def check(self) -> None:
        """Raise `missing_effect_scope_id` when an id that the scope needs is blank."""
        for part in self._ids():
            if not part.strip():
                raise LashError(
                    "missing_effect_scope_id",
                    f"a {self.type} scope needs non-blank ids, got {self._ids()!r}",
                    scope_type=self.type,
                )

    def _ids(self) -> tuple[str, ...]:
        match self.type:
            case "turn":
                return (self.session_id or "", self.turn_id or "")
            case "process":
                return (self.process_id or "",)
            case "queue_drain":
                return (self.session_id or "", self.drain_id or "")
            case "session_delete":
                return (self.session_id or "",)
            case "runtime_operation":
                return (self.operation_id or "",)


class RuntimeScope(Record, frozen=True, kw_only=True):
    """Coordinates of an invocation: session, and within it turn, turn index and protocol iteration."""

    session_id: str
    turn_id: str | None = None
    turn_index: int | None = None
    protocol_iteration: int | None = None
