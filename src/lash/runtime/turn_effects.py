"""The effects of one turn: run or replayed by the controller that its driver holds.

All effects of a turn are recorded under one scope, whatever frames the turn passes through, so that one commit
settles them.
"""

from __future__ import annotations

from lash.contracts import RuntimeEffectLocalExecutor
from lash.effects import LeasedEffects
from lash.runtime.services import RuntimeServices
from lash.values import (
    ClaimedTurn,
    EffectScope,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
    UnwrittenEffect,
)


class TurnEffects:
    """Runs the effects of a claimed turn.

    Attributes:
        recorded: The hash of the envelope by replay key, for every effect that was recorded before this drive.
    """

    def __init__(self, services: RuntimeServices, claimed: ClaimedTurn) -> None:
        self.scope = EffectScope.turn(claimed.lease.session_id, claimed.turn_id)
        self._services = services
        self.read_journal(claimed)

    def read_journal(self, claimed: ClaimedTurn) -> None:
        """Begin with the lines that the claim brought."""
        self.recorded = {line.identity.replay_key: line.identity.envelope_hash for line in claimed.journal}
        self._leased = LeasedEffects(
            self.scope,
            self._services.database.effect_journal,
            lease=claimed.lease,
            recorded=claimed.journal,
        )

    @property
    def replayed(self) -> set[str]:
        """Keys of the effects that came from the journal."""
        return self._leased.replayed

    @property
    def leaves_empty_checkpoints_out(self) -> bool:
        """Whether a checkpoint that nothing can enter need not be asked; see `LeasedEffects`."""
        return self._services.effect_host is None

    async def execute(
        self, envelope: RuntimeEffectEnvelope, executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        """Run or replay one effect."""
        host = self._services.effect_host
        controller = self._leased if host is None else host.scoped(self.scope).controller
        return await controller.execute_effect(envelope, executor)

    async def drain(self) -> None:
        """Return once every outcome so far is durable."""
        await self._leased.drain()

    def adopt_lease(self, claimed: ClaimedTurn) -> None:
        """Go on under the renewed lease."""
        self._leased.lease = claimed.lease

    def take_unwritten(self) -> tuple[UnwrittenEffect, ...]:
        """Return the outcomes that are not on their way to the journal, for the commit to record."""
        return self._leased.take_unwritten()
