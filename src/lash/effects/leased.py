"""The controller of a turn that one driver has for itself.

Theory of operation. The driver holds the session lease and was handed every line of the turn's journal when
it claimed the turn, so nothing need be read or claimed for each effect. Writes are made behind the work:
a result is handed to the journal a moment after it is known, together with what else has come by then,
and nobody waits for it. The order of writes is the order of results, so what is on disk is always a prefix
of what has happened, and a prefix can be driven on.

Two writes are waited for: the intent of an at-most-once call, before the call, with every result before
it; and whatever is left when the driver asks for `drain`. Results that nobody has written when the turn
commits are handed to the commit (`take_unwritten`).

A driver whose lease is gone finds out at its next write: the journal refuses it and every effect after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lash.contracts import EffectJournal, EffectParked, RuntimeEffectLocalExecutor
from lash.effects.failures import is_recorded
from lash.effects.identity import check_same_envelope, effect_identity, with_field_digests
from lash.effects.outcomes import encode_outcome, replay, unknown_outcome
from lash.effects.process_control import run_locally
from lash.errors import LashError
from lash.values import (
    Checkpoint,
    CheckpointOutcome,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectScope,
    EffectState,
    ProcessLease,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
    SessionLease,
    UnwrittenEffect,
)

# How long a result may wait for company. Long enough for the results of one event-loop step to share a
# disk write, short beside any model call or tool that is worth recording.
_WRITE_BEHIND_S = 0.002


class LeasedEffects:
    """Runs the effects of one scope under a session lease, or a process lease; a `RuntimeEffectController`.

    Args:
        scope: What the effects belong to.
        journal: Where they are recorded.
        lease: The caller's lease.
        recorded: Every line of the scope as it was when the lease was claimed.
    """

    def __init__(
        self,
        scope: EffectScope,
        journal: EffectJournal,
        *,
        lease: SessionLease | ProcessLease | None,
        recorded: Sequence[EffectRecord] = (),
    ) -> None:
        self.lease = lease
        self.replayed: set[str] = set()
        self._scope = scope
        self._journal = journal
        self._recorded = {record.identity.replay_key: record for record in recorded}
        self._last_recorded = max(
            (int(record.identity.effect_id.split(":")[0]) for record in recorded if _is_numbered(record)),
            default=0,
        )
        self._ended: list[tuple[EffectIdentity, RuntimeEffectEnvelope, EffectResult]] = []
        self._started: list[tuple[EffectIdentity, RuntimeEffectEnvelope]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._writes: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        self._failure: BaseException | None = None

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        """Run or replay one effect; see `RuntimeEffectController`.

        Raises:
            EffectParked: The gate or the executor waits for something; nothing is recorded.
            LashError: `session_lease_lost` or `process_lease_lost` when another driver has the work now;
                `effect_replay_hash_conflict`; or what the executor raised.
        """
        self._check()
        identity = effect_identity(self._scope, envelope)
        record = self._recorded.get(identity.replay_key)
        if record is not None:
            check_same_envelope(identity, record, envelope)
            if record.state is not EffectState.STARTED:
                self.replayed.add(identity.replay_key)
                return replay(record, envelope)
            if identity.at_most_once:
                return self._unknown(identity, envelope)
        elif self._passed_over(envelope):
            self.replayed.add(identity.replay_key)
            return CheckpointOutcome()
        await local_executor.pass_gate(envelope)
        if identity.at_most_once:
            await self._intend(identity, envelope)
        return await self._run(identity, envelope, local_executor)

    async def drain(self) -> None:
        """Return once everything that was handed in so far is durable."""
        self._flush()
        while self._writes:
            await asyncio.gather(*self._writes)
        self._check()

    def take_unwritten(self) -> tuple[UnwrittenEffect, ...]:
        """Return the results that are not on their way to the journal, for the commit to record."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended, self._ended = self._ended, []
        return tuple(
            UnwrittenEffect(identity=identity, state=result.state, attempts=result.attempts)
            for identity, _, result in ended
        )

    async def _run(
        self,
        identity: EffectIdentity,
        envelope: RuntimeEffectEnvelope,
        local_executor: RuntimeEffectLocalExecutor,
    ) -> RuntimeEffectOutcome:
        try:
            outcome = await run_locally(envelope, local_executor)
        except (asyncio.CancelledError, EffectParked):
            if identity.at_most_once:
                self._unknown(identity, envelope)  # it was cut by us, and may have happened all the same
            raise
        except LashError as problem:
            if is_recorded(problem):
                failure = EffectResult(state=EffectState.FAILED, error=problem.record())
                self._hand_in(identity, envelope, failure)
            raise
        if _is_left_out(envelope, outcome):
            return outcome  # an empty checkpoint is recorded by what comes after it, see _passed_over
        result = EffectResult(state=EffectState.DONE, outcome=encode_outcome(outcome))
        self._hand_in(identity, envelope, result)
        return outcome

    def _passed_over(self, envelope: RuntimeEffectEnvelope) -> bool:
        """Whether a checkpoint without a line was empty: something after it is recorded."""
        return (
            isinstance(envelope.command, Checkpoint)
            and envelope.effect_id.isdigit()
            and int(envelope.effect_id) < self._last_recorded
        )

    def _unknown(self, identity: EffectIdentity, envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        outcome = unknown_outcome(envelope)
        result = EffectResult(state=EffectState.UNKNOWN, outcome=encode_outcome(outcome))
        self._hand_in(identity, envelope, result)
        return outcome

    async def _intend(self, identity: EffectIdentity, envelope: RuntimeEffectEnvelope) -> None:
        """Return once the intent to run `identity` is durable. Calls of one batch share the write."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started.append((identity, envelope))
        self._waiting.append(written)
        self._schedule(0)
        await written

    def _hand_in(
        self, identity: EffectIdentity, envelope: RuntimeEffectEnvelope, result: EffectResult
    ) -> None:
        self._ended.append((identity, envelope, result))
        # Nothing is to stand between an at-most-once call and its record longer than it must.
        self._schedule(0 if identity.at_most_once else _WRITE_BEHIND_S)

    def _schedule(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        if delay_s == 0:
            if isinstance(self._timer, asyncio.TimerHandle):
                self._timer.cancel()
                self._timer = None
            if self._timer is None:
                self._timer = loop.call_soon(self._flush)
        elif self._timer is None:
            self._timer = loop.call_later(delay_s, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ended or self._started:
            task = asyncio.ensure_future(self._write())
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)

    async def _write(self) -> None:
        """Write what has come until this task may, so that nothing is between the lists and the journal.

        One write at a time, and none after one that has failed: a line whose predecessor is missing would be
        replayed under other circumstances than it was made in. Where no write is under way there is no suspension
        from here to the journal's own queue: a commit that is handed in later is written later, and one that is
        handed in earlier has taken the lists with it.
        """
        async with self._order:
            await self._write_now()

    async def _write_now(self) -> None:
        if self._failure is not None:
            self._refuse(self._failure)
            return
        ended = [(with_field_digests(one, envelope), result) for one, envelope, result in self._ended]
        started = [with_field_digests(one, envelope) for one, envelope in self._started]
        waiting, self._ended, self._started, self._waiting = self._waiting, [], [], []
        try:
            if started:
                await self._journal.start_effects(started, ended=ended, lease=self.lease)
            elif ended:
                await self._journal.record_effects(ended, lease=self.lease)
        except BaseException as problem:
            self._failure = problem
            for future in waiting:
                if not future.done():
                    future.set_exception(problem)
            if not isinstance(problem, LashError):
                raise  # a cancellation or a bug: asyncio must see it too
        else:
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def _refuse(self, problem: BaseException) -> None:
        """Tell those who wait for an intent that it will not be written."""
        waiting, self._waiting, self._started = self._waiting, [], []
        for future in waiting:
            if not future.done():
                future.set_exception(problem)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


def _is_left_out(envelope: RuntimeEffectEnvelope, outcome: RuntimeEffectOutcome) -> bool:
    """Whether an outcome needs no line: an empty checkpoint that is numbered, so that a later line tells of it."""
    return (
        isinstance(outcome, CheckpointOutcome) and outcome.delivery.is_empty and envelope.effect_id.isdigit()
    )


def _is_numbered(record: EffectRecord) -> bool:
    return record.identity.effect_id.split(":")[0].isdigit()
