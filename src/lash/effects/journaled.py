"""The host that records: an effect runs once per recorded outcome, whoever asks, however often.

Claim, run, record. The claim keeps two claimants from running the same effect at the same time and is
renewed while the executor runs (rule R-17); nothing else is held. Claims are visible at once but need not
reach the disk; outcomes do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from lash.contracts import EffectJournal, RuntimeEffectLocalExecutor, ScopedEffectController, Subscription
from lash.effects.failures import is_recorded
from lash.effects.identity import check_same_envelope, effect_identity, with_field_digests
from lash.effects.outcomes import encode_outcome, replay
from lash.effects.process_control import run_locally
from lash.errors import LashError
from lash.values import (
    Clock,
    DurabilityTier,
    EffectBusy,
    EffectClaim,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectScope,
    EffectState,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
    Sleep,
    SleepOutcome,
)

Subscribe = Callable[[Sequence[str]], Subscription]

_POLL_MS = 1_000  # the safety net behind the notification (decision 10)


class JournaledEffectHost:
    """Records outcomes in an `EffectJournal` and answers repeats from it.

    Args:
        journal: Where outcomes are kept.
        clock: For sleeps and claims.
        owner_id: Who claims.
        subscribe: The database's notification hub; `effect:<replay key>` is told of every record.
        claim_ttl_ms: How long an unrenewed claim keeps others out.
    """

    durability_tier = DurabilityTier.DURABLE
    requires_durable_attachment_store = True

    def __init__(
        self,
        journal: EffectJournal,
        *,
        clock: Clock,
        owner_id: str,
        subscribe: Subscribe,
        claim_ttl_ms: int = 30_000,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._owner_id = owner_id
        self._subscribe = subscribe
        self._claim_ttl_ms = claim_ttl_ms
        self._strict = False

    def scoped(self, scope: EffectScope) -> ScopedEffectController:
        """Return the controller of a scope; see `EffectHost`."""
        return ScopedEffectController(_JournaledController(self, scope), scope)

    def scoped_static(self, scope: EffectScope) -> ScopedEffectController | None:
        """Return a controller that may outlive the caller; see `EffectHost`."""
        return self.scoped(scope)

    def start_replay(self) -> None:
        """Answer from the record only from now on: an effect without one is `effect_replay_missing`."""
        self._strict = True

    async def execute(
        self, scope: EffectScope, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        """Run or replay one effect of `scope`; see `RuntimeEffectController`."""
        identity = with_field_digests(effect_identity(scope, envelope), envelope)
        if self._strict:
            return await self._replayed(identity, envelope)
        if local_executor.is_gated and await self._may_begin(identity):
            await local_executor.pass_gate(envelope)
        answer = await self._claimed_or_recorded(identity, envelope)
        if isinstance(answer, EffectRecord):
            check_same_envelope(identity, answer, envelope)
            return replay(answer, envelope)
        return await self._run(answer, envelope, local_executor)

    async def _replayed(
        self, identity: EffectIdentity, envelope: RuntimeEffectEnvelope
    ) -> RuntimeEffectOutcome:
        record = await self._journal.find_effect(identity.scope, identity.replay_key)
        if record is None or (record.result is None and record.state is EffectState.STARTED):
            raise LashError(
                "effect_replay_missing",
                f"effect {identity.replay_key!r} has no recorded outcome, and this host only replays",
                replay_key=identity.replay_key,
            )
        check_same_envelope(identity, record, envelope)
        return replay(record, envelope)

    async def _may_begin(self, identity: EffectIdentity) -> bool:
        """Whether the effect would run if it were claimed now."""
        record = await self._journal.find_effect(identity.scope, identity.replay_key)
        return record is None or (record.state is EffectState.STARTED and not identity.at_most_once)

    async def _claimed_or_recorded(
        self, identity: EffectIdentity, envelope: RuntimeEffectEnvelope
    ) -> EffectClaim | EffectRecord:
        """Return a claim or the record, waiting while somebody else runs the effect."""
        sleep_ms = envelope.command.duration_ms if isinstance(envelope.command, Sleep) else None
        subscription = self._subscribe([f"effect:{identity.replay_key}"])
        try:
            while True:
                answer = await self._journal.claim_effect(
                    identity, owner_id=self._owner_id, ttl_ms=self._claim_ttl_ms, sleep_ms=sleep_ms
                )
                if not isinstance(answer, EffectBusy):
                    return answer
                left_ms = answer.expires_at_ms - self._clock.now_ms()
                await subscription.wait(timeout_ms=max(1, min(left_ms, _POLL_MS)))
        finally:
            subscription.close()

    async def _run(
        self, claim: EffectClaim, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        try:
            outcome = await self._while_renewed(claim, self._body(claim, envelope, local_executor))
        except BaseException as problem:
            await self._record_failure(claim, problem)
            raise
        await self._journal.record_effect(
            claim, EffectResult(state=EffectState.DONE, outcome=encode_outcome(outcome))
        )
        return outcome

    async def _body(
        self, claim: EffectClaim, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        if claim.due_at_ms is None:
            return await run_locally(envelope, local_executor)
        await self._clock.sleep_until(claim.due_at_ms)
        return SleepOutcome()

    async def _record_failure(self, claim: EffectClaim, problem: BaseException) -> None:
        if isinstance(problem, LashError) and is_recorded(problem):
            await self._journal.record_effect(
                claim, EffectResult(state=EffectState.FAILED, error=problem.record())
            )
        elif not (isinstance(problem, LashError) and problem.code == "effect_replay_lease_lost"):
            # Shielded: a cancelled caller still gives the claim back, so that the next one need not wait.
            await asyncio.shield(self._journal.release_effect_claim(claim))

    async def _while_renewed(
        self, claim: EffectClaim, body: Coroutine[Any, Any, RuntimeEffectOutcome]
    ) -> RuntimeEffectOutcome:
        """Run `body`, renewing the claim at a third of its time; a lost claim ends it (rule R-17)."""
        work = asyncio.ensure_future(body)
        renewal = asyncio.ensure_future(self._renew(claim))
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            renewal.result()  # raises effect_replay_lease_lost: the renewal ends in no other way
            raise AssertionError("a renewal ended without an error")
        finally:
            for task in (work, renewal):
                if not task.done():
                    task.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)

    async def _renew(self, claim: EffectClaim) -> None:
        while True:
            await asyncio.sleep(self._claim_ttl_ms / 3000)
            claim = await self._journal.renew_effect_claim(claim, ttl_ms=self._claim_ttl_ms)


class _JournaledController:
    def __init__(self, host: JournaledEffectHost, scope: EffectScope) -> None:
        self._host = host
        self._scope = scope

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        return await self._host.execute(self._scope, envelope, local_executor)
