"""Wrong effect hosts."""

from __future__ import annotations

import asyncio
from typing import Any

from lash.contracts import ScopedEffectController
from lash.effects import InlineEffectHost
from lash.errors import LashError
from lash.testing.conformance import ReferenceClasses
from lash.values import EffectScope

from .mutant import mutant, skipped, value

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
