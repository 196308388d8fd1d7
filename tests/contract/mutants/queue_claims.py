"""Wrong claims of queued work."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.errors import LashError
from lash.testing.conformance.clock import START_MS

from .mutant import mutant, value

STORE = "lash.backends.memory.persistence"
RULES = "lash.rules.queue"
TABLE = "lash.backends.memory.queue_table"
P = f"{STORE}:MemoryRuntimePersistence"


def _skips_ahead(original: Any) -> Any:
    def select(rows: Any, *, batch_ids: Any, **facts: Any) -> Any:
        wanted = [row for row in rows if row.batch_id in batch_ids]
        if len(batch_ids) == 1 and original(wanted, batch_ids=batch_ids, **facts):
            return original(wanted, batch_ids=batch_ids, **facts)
        return original(rows, batch_ids=batch_ids, **facts)

    return select


mutant(
    "an exact claim skips earlier work",
    "queued_work_exact_claim_uses_selected_batch_ids",
    (f"{STORE}:select_exact", _skips_ahead),
)


def _no_boundary(original: Any) -> Any:
    from lash.values import QueuedWorkClaimBoundary

    return lambda rows, *, boundary, **facts: original(rows, boundary=QueuedWorkClaimBoundary.IDLE, **facts)


mutant(
    "a checkpoint takes what idle takes",
    "queued_work_claims_respect_boundaries_renewal_and_abandon",
    (f"{STORE}:select_ready", _no_boundary),
)
mutant(
    "an exact claim knows no boundary",
    "exact_claims_stop_at_boundaries_too",
    (f"{STORE}:select_exact", _no_boundary),
)


def _no_limit(original: Any) -> Any:
    return lambda rows, *, max_batches, **facts: original(rows, max_batches=max_batches and 64, **facts)


mutant(
    "a claim knows no limit",
    "queued_work_respects_availability_limits_exclusivity_reclaim_and_sessions",
    (f"{STORE}:select_ready", _no_limit),
)


def _available_late(original: Any) -> Any:
    def select(rows: Any, *, now_ms: int, **facts: Any) -> Any:
        return original([row for row in rows if row.available_at_ms < now_ms], now_ms=now_ms, **facts)

    return select


mutant(
    "work is available a millisecond late",
    "work_is_available_from_its_very_millisecond",
    (f"{STORE}:select_ready", _available_late),
)


def _still_live_at_expiry(original: Any) -> Any:
    def select(rows: Any, *, now_ms: int, **facts: Any) -> Any:
        # claims of no time end in the clock's first millisecond, and are none of this mutant's business
        lasting = now_ms != START_MS
        kept = [
            row for row in rows if not (lasting and row.claim_token and row.claim_expires_at_ms == now_ms)
        ]
        return original(kept, now_ms=now_ms, **facts)

    return select


mutant(
    "a claim lasts through the millisecond of its expiry",
    "a_claim_is_over_in_the_millisecond_of_its_expiry",
    (f"{STORE}:select_ready", _still_live_at_expiry),
)
mutant(
    "a negative time is as long as none in the queue",
    "negative_times_to_live_are_refused",
    (f"{STORE}:expires_at", lambda original: lambda now_ms, ttl_ms: original(now_ms, max(ttl_ms, 0))),
    (f"{TABLE}:expires_at", lambda original: lambda now_ms, ttl_ms: original(now_ms, max(ttl_ms, 0))),
)


def _token_of_owner(original: Any) -> Any:
    def claim(self: Any, session_id: str, rows: Any, *, owner_id: str, **facts: Any) -> Any:
        made = original(self, session_id, rows, owner_id=owner_id, **facts)
        token = f"token:{made.batches[0].batch_id}:{made.claimed_at_ms}"
        for stored in self.held(session_id, made.claim_id, made.lease_token):
            self.put(
                msgspec.structs.replace(stored, row=msgspec.structs.replace(stored.row, claim_token=token))
            )
        return made.replace(lease_token=token)

    return claim


mutant(
    "tokens are made of batch and time",
    "tokens_and_claim_ids_are_fresh",
    (f"{TABLE}:QueueTable.claim", _token_of_owner),
)


def _retakes_own(original: Any) -> Any:
    async def claim_ready(self: Any, session_id: str, owner_id: str, *rest: Any) -> Any:
        mine = [
            s for s in self._tables.queue.open_batches(session_id) if s.row.claim_owner_id == owner_id == "o1"
        ]
        self._tables.queue.give_back(mine)
        return await original(self, session_id, owner_id, *rest)

    return claim_ready


mutant(
    "an owner retakes its own claim",
    "an_owner_cannot_retake_its_own_live_claim",
    (f"{P}.claim_ready_queued_work", _retakes_own),
)
mutant(
    "no room is room for one",
    "a_claim_of_nothing_has_no_effect",
    (
        f"{STORE}:select_ready",
        lambda original: (
            lambda rows, *, max_batches, **facts: original(rows, max_batches=max(max_batches, 1), **facts)
        ),
    ),
)


def _claims_and_abandons(original: Any) -> Any:
    async def exact(
        self: Any, session_id: str, owner: str, boundary: Any, ttl_ms: int, batch_ids: Any
    ) -> Any:
        found = await original(self, session_id, owner, boundary, ttl_ms, batch_ids)
        if found is None and batch_ids:
            tried = await self.claim_ready_queued_work(session_id, owner, boundary, ttl_ms, len(batch_ids))
            if tried is not None:
                await self.abandon_queued_work_claim(tried)
        return found

    return exact


mutant(
    "a refused exact claim wears the fence",
    "refused_exact_claims_have_no_effect",
    (f"{P}.claim_ready_queued_work_by_batch_ids", _claims_and_abandons),
)


def _expired_is_lost(original: Any) -> Any:
    async def renew(self: Any, claim: Any, ttl_ms: int) -> Any:
        if claim.expires_at_ms <= self._tables.clock.now_ms() and ttl_ms == 0:
            raise LashError("queue_claim_expired", "the claim has expired")
        return await original(self, claim, ttl_ms)

    return renew


mutant(
    "an expired claim does not renew",
    "expired_claims_renew_until_somebody_takes_over",
    (f"{P}.renew_queued_work_claim", _expired_is_lost),
)
mutant(
    "a renewal extends what is left",
    "renewals_are_all_or_nothing",
    (
        f"{STORE}:check_held",
        lambda original: (
            lambda session_id, claim_id, ids, held: (
                None if held else original(session_id, claim_id, ids, held)
            )
        ),
    ),
)


def _to_the_end(original: Any) -> Any:
    async def abandon(self: Any, claim: Any) -> None:
        held = self._tables.queue.held(claim.session_id, claim.claim_id, claim.lease_token)
        await original(self, claim)
        open_ids = self._tables.queue._open.get(claim.session_id, {})
        for stored in held:
            open_ids.pop(stored.row.batch_id, None)
            open_ids[stored.row.batch_id] = None

    return abandon


mutant(
    "abandoned work goes to the end",
    "abandoned_work_returns_to_its_place",
    (f"{P}.abandon_queued_work_claim", _to_the_end),
)


def _shares(original: Any) -> Any:
    async def claim_ready(self: Any, session_id: str, owner_id: str, *rest: Any) -> Any:
        found = await original(self, session_id, owner_id, *rest)
        if found is None and owner_id == "o9":
            found = self._tables.queue.claim_of(self._tables.queue.open_batches(session_id)[:1])
        return found

    return claim_ready


mutant(
    "the last claimant gets somebody's row",
    "concurrent_claimants_never_share_a_row",
    (f"{P}.claim_ready_queued_work", _shares),
)


def _as_at_checkpoint(original: Any) -> Any:
    async def claim(self: Any, session_id: str, owner_id: str, ttl_ms: int, most: int) -> Any:
        from lash.values import QueuedWorkClaimBoundary

        boundary = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
        return await self.claim_ready_queued_work(session_id, owner_id, boundary, ttl_ms, most)

    return claim


mutant(
    "a running turn is blocked by what waits",
    "running_turns_pass_over_work_that_waits_for_the_commit",
    (f"{P}.claim_for_running_turn", _as_at_checkpoint),
)
mutant(
    "a fence is that of the head and one",
    "a_group_fence_exceeds_that_of_every_row",
    (f"{TABLE}:next_fence", value(lambda rows: 1 + (rows[-1].fencing_token if rows else 0))),
)
