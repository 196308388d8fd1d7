"""Wrong effect journals."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.errors import LashError
from lash.testing.conformance import ReferenceClasses
from lash.values import RuntimeEffectEnvelope

from .mutant import answers, asked, async_skipped, mutant

HOST = "lash.effects.journaled"
INLINE = "lash.effects.inline"
JOURNAL = "lash.backends.memory.journal"

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
