"""The host for tests: it notes which scopes were selected and which effects were asked for."""

from __future__ import annotations

from lash.contracts import RuntimeEffectLocalExecutor, ScopedEffectController
from lash.errors import LashError
from lash.values import (
    DurabilityTier,
    EffectScope,
    Record,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeScope,
    Sleep,
    SleepOutcome,
)


class RecordedEffect(Record, frozen=True, kw_only=True):
    """One effect that was asked for."""

    runtime_scope: RuntimeScope
    effect_scope: EffectScope
    effect_id: str
    effect_kind: RuntimeEffectKind
    replay_key: str | None
    envelope_hash: str


class RecordingEffectHost:
    """Answers sleeps by itself and refuses everything else, noting all of it."""

    durability_tier = DurabilityTier.INLINE

    def __init__(self) -> None:
        self._scopes: list[EffectScope] = []
        self._records: list[RecordedEffect] = []

    def scoped(self, scope: EffectScope) -> ScopedEffectController:
        """Note the scope, valid or not, and return its controller."""
        self._scopes.append(scope)
        return ScopedEffectController(_RecordingController(scope, self._records), scope)

    def scoped_static(self, scope: EffectScope) -> ScopedEffectController | None:
        """Note the scope and return a controller that may outlive the caller."""
        return self.scoped(scope)

    def selected_scopes(self) -> list[EffectScope]:
        """Return the scopes in the order in which they were selected."""
        return list(self._scopes)

    def records(self) -> list[RecordedEffect]:
        """Return the effects in the order in which they were asked for."""
        return list(self._records)


class _RecordingController:
    def __init__(self, scope: EffectScope, records: list[RecordedEffect]) -> None:
        self._scope = scope
        self._records = records

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        del local_executor  # nothing is ever run here
        self._records.append(
            RecordedEffect(
                runtime_scope=envelope.invocation.scope,
                effect_scope=self._scope,
                effect_id=envelope.effect_id,
                effect_kind=envelope.kind,
                replay_key=envelope.invocation.replay_key,
                envelope_hash=envelope.stable_hash(),
            )
        )
        if isinstance(envelope.command, Sleep):
            return SleepOutcome()
        raise LashError(
            "recording_effect_host_unsupported_command",
            f"a recording host cannot make up the outcome of {envelope.kind.value} {envelope.effect_id!r}",
            effect_id=envelope.effect_id,
        )
