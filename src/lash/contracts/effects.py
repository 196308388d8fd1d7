"""The effect ports: a host that hands out scoped controllers, and what runs an effect locally.

An effect is anything nondeterministic. A controller either runs it (inline) or runs it once, records the
outcome under its replay key, and answers every later call from the record (journaled). Contracts 2.A, 2.B.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from lash.errors import LashError
from lash.values import (
    DurabilityTier,
    EffectScope,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
)

if TYPE_CHECKING:
    from lash.contracts.processes import ProcessRegistry

EffectBody = Callable[[RuntimeEffectEnvelope], Awaitable[RuntimeEffectOutcome]]
EffectGate = Callable[[RuntimeEffectEnvelope], Awaitable[None]]


class EffectParked(BaseException):
    """An effect cannot end before one of these waits is resolved; the work that asked for it is parked.

    Raised by a gate or an executor. Nothing is recorded for the effect: when the work is taken up again, the
    effect is asked for again and finds its wait resolved. Not an `Exception`, like a cancellation: the
    `except Exception` of a tool must not take it for a failure.

    Attributes:
        wait_keys: Keys of durable waits; `process:{id}` for the end of a process.
    """

    def __init__(self, wait_keys: Sequence[str]) -> None:
        super().__init__(*wait_keys)
        self.wait_keys: tuple[str, ...] = tuple(wait_keys)


class RuntimeEffectLocalExecutor:
    """What runs an effect in this operating-system process, if anything does.

    Build one with `unavailable`, `of` or `process_control`. It is live: it never enters an envelope.
    """

    def __init__(
        self,
        *,
        body: EffectBody | None,
        registry: ProcessRegistry | None = None,
        gate: EffectGate | None = None,
    ) -> None:
        self._body = body
        self._gate = gate
        self.registry = registry

    @classmethod
    def unavailable(cls) -> RuntimeEffectLocalExecutor:
        """Return an executor that cannot run anything: the controller must answer by itself."""
        return cls(body=None)

    @classmethod
    def of(cls, body: EffectBody, *, gate: EffectGate | None = None) -> RuntimeEffectLocalExecutor:
        """Return an executor that runs `body(envelope)`.

        Args:
            body: Runs the effect.
            gate: Called first, before the intent of an at-most-once effect is written and before a claim is
                taken; raises `EffectParked` when the effect may not begin yet. Not asked for a recorded one.
        """
        return cls(body=body, gate=gate)

    @classmethod
    def process_control(cls, registry: ProcessRegistry) -> RuntimeEffectLocalExecutor:
        """Return an executor that runs process commands against `registry`."""
        return cls(body=None, registry=registry)

    @property
    def is_available(self) -> bool:
        return self._body is not None

    async def pass_gate(self, envelope: RuntimeEffectEnvelope) -> None:
        """Return when the effect may begin.

        Raises:
            EffectParked: It may not before a wait is resolved.
        """
        if self._gate is not None:
            await self._gate(envelope)

    @property
    def is_gated(self) -> bool:
        return self._gate is not None

    async def execute(self, envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        """Run the effect.

        Raises:
            EffectParked: It cannot end before a wait is resolved.
            LashError: `runtime_effect_local_executor_unavailable` when there is nothing to run it with.
        """
        if self._body is None:
            raise LashError(
                "runtime_effect_local_executor_unavailable",
                f"effect {envelope.effect_id!r} ({envelope.kind.value}) has no local executor here",
                effect_id=envelope.effect_id,
            )
        return await self._body(envelope)


class RuntimeEffectController(Protocol):
    """Runs effects of one scope, or replays them."""

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        """Return the outcome of the effect, running it at most once per recorded outcome.

        No lock and no transaction is held while the executor runs; effects with different keys run at
        the same time. A domain failure is an outcome; an exception is the controller's or the executor's.

        Raises:
            LashError: `effect_replay_hash_conflict` when the key is recorded for another envelope (the
                message shows the fields that differ); `effect_replay_lease_lost` when another claimant
                took over meanwhile: its outcome stands; `runtime_effect_local_executor_unavailable`;
                or what the executor raised.
            EffectParked: The gate or the executor waits for something. Nothing is recorded, and no claim is
                kept. An at-most-once effect may be parked by its gate only: once begun it is not begun again.
        """
        ...


class ScopedEffectController:
    """A controller together with the scope that it was selected for.

    Raises:
        LashError: `missing_effect_scope_id` when an id of the scope is blank.
    """

    def __init__(self, controller: RuntimeEffectController, effect_scope: EffectScope) -> None:
        effect_scope.check()
        self._controller = controller
        self._effect_scope = effect_scope

    @property
    def controller(self) -> RuntimeEffectController:
        return self._controller

    @property
    def effect_scope(self) -> EffectScope:
        return self._effect_scope

    @property
    def scope_id(self) -> str:
        return self._effect_scope.scope_id

    @property
    def turn_id(self) -> str | None:
        """The turn, for turn scopes only."""
        return self._effect_scope.turn_id if self._effect_scope.kind == "turn" else None

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        """Run or replay an effect of this scope; see `RuntimeEffectController`."""
        return await self._controller.execute_effect(envelope, local_executor)


class EffectHost(Protocol):
    """Chooses how effects of a scope are run before any of them is."""

    durability_tier: DurabilityTier

    def scoped(self, scope: EffectScope) -> ScopedEffectController:
        """Return the controller of a scope. All controllers of a scope share one history.

        Raises:
            LashError: `missing_effect_scope_id`, at this call and not at the first effect.
        """
        ...

    def scoped_static(self, scope: EffectScope) -> ScopedEffectController | None:
        """Return a controller that may outlive the caller, or None when the host has none."""
        ...
