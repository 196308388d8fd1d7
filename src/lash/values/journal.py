"""The effect journal as data: what is kept of an effect, and what a claim of one may find."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from lash.errors import ErrorRecord
from lash.values.invocations import RuntimeEffectKind
from lash.values.record import JsonRecord, Record
from lash.values.scopes import EffectScope


class EffectState(StrEnum):
    """What is known of an effect.

    `started` without a live claim means that nobody knows whether it ran to its end; for an at-most-once
    tool a re-drive turns that into `unknown`, for anything else it runs again.
    """

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class EffectIdentity(Record, frozen=True, kw_only=True):
    """Which effect: its scope, its key, and what a repeat must agree in.

    `field_digests` maps paths of the envelope to short digests: enough to say which field differs when a
    repeat does not agree, without keeping the envelope (ruling 6).
    """

    scope: EffectScope
    replay_key: str
    envelope_hash: str
    kind: RuntimeEffectKind
    effect_id: str
    label: str = ""  # the tool's name, or the model's
    at_most_once: bool = False
    field_digests: dict[str, str] = {}


class EffectResult(Record, frozen=True, kw_only=True):
    """How an effect ended: the encoded outcome, or the error that the executor raised on purpose."""

    state: EffectState
    outcome: bytes | None = None
    error: ErrorRecord | None = None
    attempts: int = 1


class EffectRecord(JsonRecord, frozen=True, kw_only=True, eq=False):
    """One line of the journal.

    `settled` is set by the commit of the turn that the effect belongs to: its outcome is then part of the
    history and no longer kept here (ruling 7). `settled_by` names the operator who settled an unknown one.
    """

    identity: EffectIdentity
    state: EffectState
    started_at_ms: int
    result: EffectResult | None = None
    ended_at_ms: int | None = None
    due_at_ms: int | None = None
    settled: bool = False
    settled_by: str | None = None
    runs: int = 1


class EffectClaim(Record, frozen=True, kw_only=True):
    """The right to run one effect until `expires_at_ms`. A sleep's `due_at_ms` is fixed at the first claim."""

    scope: EffectScope
    replay_key: str
    owner_id: str
    claim_token: str
    expires_at_ms: int
    due_at_ms: int | None = None


class EffectBusy(Record, frozen=True, kw_only=True):
    """Somebody else runs the effect now."""

    owner_id: str
    expires_at_ms: int


EffectClaimAnswer: TypeAlias = EffectClaim | EffectRecord | EffectBusy


class EffectFilter(Record, frozen=True, kw_only=True):
    """Which lines of the journal to list; what is None does not restrict."""

    session_id: str | None = None
    turn_id: str | None = None
    state: EffectState | None = None
    settled: bool | None = None
