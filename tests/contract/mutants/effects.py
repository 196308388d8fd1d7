"""Wrong effect hosts and journals."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from lash.contracts import ScopedEffectController
from lash.effects import InlineEffectHost, RecordingEffectHost
from lash.errors import LashError
from lash.testing.conformance import ReferenceClasses
from lash.values import AttachmentStorePersistence, DurabilityTier, EffectScope, RuntimeEffectEnvelope

from .mutant import answers, asked, async_skipped, gives, mutant, skipped, value

HOST = "lash.effects.journaled"
INLINE = "lash.effects.inline"
JOURNAL = "lash.backends.memory.journal"


def _unchecked(scope: EffectScope, controller: Any) -> ScopedEffectController:
    scoped = object.__new__(ScopedEffectController)
    scoped._controller, scoped._effect_scope = controller, scope
    return scoped


mutant(
    "every scope has a turn id",
    "effect_host_preserves_scope_metadata",
    ("lash.contracts.effects:ScopedEffectController.turn_id", value(property(lambda self: self.scope_id))),
)


def _takes_scopes_without_ids(original: Any) -> Any:
    def scoped(self: Any, scope: EffectScope) -> ScopedEffectController:
        if any(not text for text in scope._ids()):
            return _unchecked(scope, original(self, EffectScope.process("p")).controller)
        return original(self, scope)

    return scoped


mutant(
    "scopes without ids are taken",
    "effect_host_rejects_missing_scope_ids",
    (f"{INLINE}:InlineEffectHost.scoped", _takes_scopes_without_ids),
)


def _takes_blank_ids(original: Any) -> Any:
    def scoped(self: Any, scope: EffectScope) -> ScopedEffectController:
        ids = scope._ids()
        if all(ids) and not all(text.strip() for text in ids):
            return _unchecked(scope, original(self, EffectScope.process("p")).controller)
        return original(self, scope)

    return scoped


mutant(
    "blank scope ids are ids",
    "blank_scope_ids_are_missing_too",
    (f"{INLINE}:InlineEffectHost.scoped", _takes_blank_ids),
)
mutant(
    "long-lived controllers are of another scope",
    "effect_host_static_scope_preserves_metadata_when_available",
    (
        f"{INLINE}:InlineEffectHost.scoped_static",
        value(lambda self, scope: self.scoped(EffectScope.process(scope.scope_id))),
    ),
)


def _answers_without_executor(original: Any) -> Any:
    async def run_locally(envelope: Any, executor: Any) -> Any:
        from lash.values import ExecCodeOutcome, ExecResponse

        if not executor.is_available and executor.registry is None:
            return ExecCodeOutcome(result=ExecResponse())
        return await original(envelope, executor)

    return run_locally


mutant(
    "an effect without an executor has an empty outcome",
    "effects_without_an_executor_are_refused",
    (f"{INLINE}:run_locally", _answers_without_executor),
)


def _wraps_failures(original: Any) -> Any:
    async def run_locally(envelope: Any, executor: Any) -> Any:
        try:
            return await original(envelope, executor)
        except LashError as error:
            if error.code == "work_failed":
                raise LashError("effect_failed", str(error)) from error
            raise

    return run_locally


mutant(
    "failures of the work get a code of the host",
    "what_an_executor_raises_reaches_the_caller",
    (f"{INLINE}:run_locally", _wraps_failures),
)


def _sleeps_longer(original: Any) -> Any:
    async def execute_effect(self: Any, envelope: Any, executor: Any) -> Any:
        if envelope.kind.value == "sleep":
            await self._clock.sleep_until(self._clock.now_ms() + envelope.command.duration_ms + 1)
        return await original(self, envelope, executor)

    return execute_effect


mutant(
    "a sleep lasts a millisecond longer",
    "sleeps_need_no_executor",
    (f"{INLINE}:_InlineController.execute_effect", _sleeps_longer),
    reference=ReferenceClasses(inline_effect_host=InlineEffectHost),
)


def _remembers(original: Any) -> Any:
    async def execute_effect(self: Any, envelope: Any, executor: Any) -> Any:
        known = self.__dict__.setdefault("known", {})
        if envelope.replay_key not in known:
            known[envelope.replay_key] = await original(self, envelope, executor)
        return known[envelope.replay_key]

    return execute_effect


mutant(
    "an inline host remembers",
    "inline_hosts_run_an_effect_every_time",
    (f"{INLINE}:_InlineController.execute_effect", _remembers),
)


def _one_at_a_time(original: Any) -> Any:
    async def execute(self: Any, scope: Any, envelope: Any, executor: Any) -> Any:
        lock = self.__dict__.setdefault("lock", asyncio.Lock())
        async with lock:
            return await original(self, scope, envelope, executor)

    return execute


mutant(
    "effects of one host run one at a time",
    "effect_controller_concurrent_replay_deterministic",
    (f"{HOST}:JournaledEffectHost.execute", _one_at_a_time),
)
mutant(
    "outcomes are not recorded",
    "recorded_effect_runs_once",
    (f"{HOST}:JournaledEffectHost._claimed_or_recorded", lambda original: _forgets(original)),
)


def _forgets(original: Any) -> Any:
    async def claimed(self: Any, identity: Any, envelope: Any) -> Any:
        count = self.__dict__["count"] = self.__dict__.get("count", 0) + 1
        return await original(self, identity.replace(replay_key=f"{identity.replay_key}#{count}"), envelope)

    return claimed


def _null_is_nothing(original: Any) -> Any:
    async def execute(self: Any, scope: Any, envelope: Any, executor: Any) -> Any:
        outcome = await original(self, scope, envelope, executor)
        finish = getattr(getattr(outcome, "result", None), "terminal_finish", 0)
        if finish is None and executor.is_available:
            return await executor.execute(envelope)
        return outcome

    return execute


mutant(
    "a null outcome runs again",
    "a_null_outcome_is_an_outcome",
    (f"{HOST}:JournaledEffectHost.execute", _null_is_nothing),
)


def _by_display_id(original: Any) -> Any:
    async def execute(self: Any, scope: EffectScope, envelope: Any, executor: Any) -> Any:
        return await original(self, EffectScope.runtime_operation(scope.scope_id), envelope, executor)

    return execute


mutant(
    "effects are kept by the display id of their scope",
    "effects_are_kept_by_the_whole_scope",
    (f"{HOST}:JournaledEffectHost.execute", _by_display_id),
)


def _by_controller(original: Any) -> Any:
    async def execute_effect(self: Any, envelope: Any, executor: Any) -> Any:
        scope = self.__dict__.setdefault("mine", EffectScope.process(f"{self._scope.key}#{id(self)}"))
        return await self._host.execute(scope, envelope, executor)

    return execute_effect


mutant(
    "each controller has a history of its own",
    "controllers_of_one_scope_share_its_history",
    (f"{HOST}:_JournaledController.execute_effect", _by_controller),
)
mutant(
    "the recorded outcome answers any envelope",
    "another_envelope_under_a_recorded_key_conflicts",
    (f"{HOST}:check_same_envelope", skipped),
)


def _nobody_is_busy(original: Any) -> Any:
    return lambda row, now_ms, dead_owners=(): False


mutant(
    "an effect that runs may be run again",
    "equal_arrivals_share_one_run",
    ("lash.rules.journal:is_effect_claimed", _nobody_is_busy),
)
mutant(
    "no failure is recorded",
    "a_failure_of_the_work_is_recorded",
    (f"{HOST}:is_recorded", value(lambda _: False)),
)
mutant(
    "every coded failure is recorded",
    "a_failure_of_the_machinery_is_not_recorded",
    (f"{HOST}:is_recorded", value(lambda error: isinstance(error, LashError))),
)


def _keeps_cancelled_claims(original: Any) -> Any:
    async def record_failure(self: Any, claim: Any, problem: BaseException) -> None:
        if not isinstance(problem, asyncio.CancelledError):
            await original(self, claim, problem)

    return record_failure


mutant(
    "a cancelled effect keeps its claim",
    "a_cancelled_effect_runs_again",
    (f"{HOST}:JournaledEffectHost._record_failure", _keeps_cancelled_claims),
)
mutant(
    "replaying runs what is not recorded",
    "strict_replay_refuses_unknown_keys",
    (f"{HOST}:JournaledEffectHost.start_replay", skipped),
)
mutant(
    "a sleep starts anew whenever it is driven",
    "a_sleep_ends_at_the_due_time_of_its_first_start",
    (
        f"{HOST}:JournaledEffectHost._body",
        lambda original: (
            lambda self, claim, envelope, executor: original(
                self,
                claim
                if claim.due_at_ms is None
                else claim.replace(due_at_ms=self._clock.now_ms() + envelope.command.duration_ms),
                envelope,
                executor,
            )
        ),
    ),
)

# lash's own classes


class _DurableSayer:
    """Says that it is durable, whatever it wraps."""

    durability_tier = DurabilityTier.DURABLE
    persistence = AttachmentStorePersistence.DURABLE

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


_REFERENCE = ReferenceClasses()
mutant(
    "the in-memory attachment store says durable",
    "in_memory_attachment_store_satisfies_conformance",
    reference=ReferenceClasses(attachment_store=lambda: _DurableSayer(_REFERENCE.attachment_store())),
)
mutant(
    "the in-memory artifact store says durable",
    "in_memory_lashlang_artifact_store_satisfies_conformance",
    reference=ReferenceClasses(artifact_store=lambda: _DurableSayer(_REFERENCE.artifact_store())),
)
mutant(
    "the in-memory host event store says durable",
    "in_memory_host_event_store_satisfies_conformance",
    reference=ReferenceClasses(host_event_store=lambda: _DurableSayer(_REFERENCE.host_event_store())),
)


class _ForgetfulInlineHost(InlineEffectHost):
    def scoped_static(self, scope: EffectScope) -> ScopedEffectController | None:
        return self.scoped(EffectScope.process("another"))


mutant(
    "the inline host hands out another scope",
    "inline_effect_host_satisfies_conformance",
    reference=ReferenceClasses(inline_effect_host=_ForgetfulInlineHost),
)


class _ScopelessRecorder(RecordingEffectHost):
    def selected_scopes(self) -> list[EffectScope]:
        return []


mutant(
    "the recording host forgets the scopes",
    "recording_effect_host_records_selected_scope_and_envelope",
    reference=ReferenceClasses(recording_effect_host=_ScopelessRecorder),
)


def _hash_mismatch(data: bytes) -> Any:
    raise LashError("artifact_hash_mismatch", "the bytes are not what they claim to be")


mutant(
    "garbage bytes are a hash mismatch",
    "module_artifact_rejects_corrupted_store_bytes",
    reference=ReferenceClasses(decode_artifact=_hash_mismatch),
)
mutant(
    "errors lose their facts when they are stored",
    "errors_keep_code_and_facts_as_data",
    ("lash.errors:LashError.record", gives(lambda record, *_: _without_facts(record))),
)


def _without_facts(record: Any) -> Any:
    facts = dict.fromkeys(record.facts, 0)
    return type(record)(code=record.code, message=record.message, retryable=record.retryable, facts=facts)


# the journal port

mutant(
    "a recorded line has no result",
    "results_are_kept_under_scope_and_key",
    (
        f"{JOURNAL}:MemoryEffectJournal.record_effect",
        lambda original: lambda self, claim, result: original(self, claim, result.replace(outcome=None)),
    ),
)
mutant(
    "lines are found by key alone",
    "scopes_of_one_display_id_are_apart",
    (f"{JOURNAL}:MemoryEffectJournal.find_effects_by_key", answers(lambda lines, *_: lines[:1])),
)
mutant(
    "an owner may retake its own live claim",
    "a_live_claim_keeps_everyone_out",
    (
        f"{JOURNAL}:MemoryEffectJournal.claim_effect",
        lambda original: _retakes(original),
    ),
)


def _retakes(original: Any) -> Any:
    async def claim_effect(
        self: Any, identity: Any, *, owner_id: str, ttl_ms: int, sleep_ms: Any = None
    ) -> Any:
        line = self._tables.effects.find(identity.scope.key, identity.replay_key)
        if line is not None and line.row.claim_owner_id == owner_id and line.row.claim_expires_at_ms > 0:
            self._tables.effects.put(line.unclaimed())
        return await original(self, identity, owner_id=owner_id, ttl_ms=ttl_ms, sleep_ms=sleep_ms)

    return claim_effect


mutant(
    "a superseded claimant may still record",
    "an_expired_claim_is_taken_over",
    (
        "lash.rules.journal:holds_effect",
        lambda original: lambda row, claim: row is not None and row.state == "started",
    ),
)


def _late_results_are_lost(original: Any) -> Any:
    async def record_effect(self: Any, claim: Any, result: Any) -> None:
        if claim.expires_at_ms <= self._tables.clock.now_ms():
            raise LashError("effect_replay_lease_lost", "the claim has expired")
        await original(self, claim, result)

    return record_effect


mutant(
    "an expired claim may not record",
    "expiry_alone_loses_no_result",
    (f"{JOURNAL}:MemoryEffectJournal.record_effect", _late_results_are_lost),
)
mutant(
    "a negative time to live is as long as none",
    "effect_claims_refuse_negative_times",
    (f"{JOURNAL}:expires_at", lambda original: lambda now_ms, ttl_ms: original(now_ms, max(ttl_ms, 0))),
)
mutant(
    "an interrupted effect is always run again",
    "an_interrupted_at_most_once_effect_is_unknown",
    (
        f"{JOURNAL}:decide_effect_claim",
        lambda original: (
            lambda row, identity, *rest: original(
                row if row is None else msgspec.structs.replace(row, at_most_once=False),
                identity.replace(at_most_once=False),
                *rest,
            )
        ),
    ),
)
mutant(
    "a failure is stored without its error",
    "failures_are_results",
    (
        f"{JOURNAL}:MemoryEffectJournal.record_effect",
        lambda original: lambda self, claim, result: original(self, claim, result.replace(attempts=1)),
    ),
)
mutant(
    "a take-over moves the due time",
    "the_due_time_of_a_sleep_is_fixed_once",
    (
        f"{JOURNAL}:MemoryEffectJournal.claim_effect",
        lambda original: _moves_due_time(original),
    ),
)


def _moves_due_time(original: Any) -> Any:
    async def claim_effect(
        self: Any, identity: Any, *, owner_id: str, ttl_ms: int, sleep_ms: Any = None
    ) -> Any:
        answer = await original(self, identity, owner_id=owner_id, ttl_ms=ttl_ms, sleep_ms=sleep_ms)
        if sleep_ms is not None and hasattr(answer, "claim_token"):
            return answer.replace(due_at_ms=self._tables.clock.now_ms() + sleep_ms)
        return answer

    return claim_effect


mutant(
    "the second page begins with the last line of the first",
    "effects_are_listed_in_the_order_of_their_start",
    (
        f"{JOURNAL}:MemoryEffectJournal.list_effects",
        lambda original: (
            lambda self, where, *, after=None, limit=100: original(
                self, where, after=None if after is None else after - 1, limit=limit
            )
        ),
    ),
)
mutant(
    "a driver's line is overwritten by a later result",
    "a_driver_starts_and_ends_effects_together",
    (
        f"{JOURNAL}:MemoryEffectJournal.record_effects",
        lambda original: _overwrites(original),
    ),
)


def _overwrites(original: Any) -> Any:
    async def record_effects(self: Any, results: Any, *, lease: Any = None) -> None:
        await original(self, results, lease=lease)
        for identity, result in results:
            line = self._tables.effects.find(identity.scope.key, identity.replay_key)
            self._tables.effects.put(
                line.ended(result.state, msgspec.json.encode(result), line.started_at_ms)
            )

    return record_effects


mutant(
    "pruning takes what ended in that very millisecond",
    "a_commit_settles_the_journal_of_its_turn",
    (f"{JOURNAL}:MemoryEffectJournal.prune_settled_effects", asked(ended_before_ms=lambda at_ms: at_ms + 1)),
)
mutant(
    "a released claim stays taken",
    "a_released_claim_is_free_at_once",
    (
        f"{JOURNAL}:MemoryEffectJournal.release_effect_claim",
        async_skipped,
    ),
)


def _takes_keyless(invocation: Any, command: Any) -> Any:
    kept = invocation if (invocation.replay_key or "").strip() else invocation.replace(replay_key="made up")
    return RuntimeEffectEnvelope(kept, command)


mutant(
    "an effect without a key gets one",
    "effect_envelopes_need_a_replay_key",
    reference=ReferenceClasses(effect_envelope=_takes_keyless),
)
