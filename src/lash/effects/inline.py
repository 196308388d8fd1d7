"""The host that remembers nothing: every effect runs, every time."""

from __future__ import annotations

from lash.contracts import RuntimeEffectLocalExecutor, ScopedEffectController
from lash.effects.process_control import run_locally
from lash.system import SystemClock
from lash.values import (
    Clock,
    DurabilityTier,
    EffectScope,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
    Sleep,
    SleepOutcome,
)


class InlineEffectHost:
    """Runs effects where they are asked for. For tests, and for work that nobody needs to survive."""

    durability_tier = DurabilityTier.INLINE

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def scoped(self, scope: EffectScope) -> ScopedEffectController:
        """Return the controller of a scope; see `EffectHost`."""
        return ScopedEffectController(_InlineController(self._clock), scope)

    def scoped_static(self, scope: EffectScope) -> ScopedEffectController | None:
        """Return a controller that may outlive the caller; see `EffectHost`."""
        return self.scoped(scope)


class _InlineController:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        if isinstance(envelope.command, Sleep):
            await self._clock.sleep_until(self._clock.now_ms() + envelope.command.duration_ms)
            return SleepOutcome()
        await local_executor.pass_gate(envelope)
        return await run_locally(envelope, local_executor)
