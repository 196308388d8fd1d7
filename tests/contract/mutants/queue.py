"""Wrong queues."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.errors import LashError
from lash.testing.conformance.clock import START_MS
from lash.values import SlotPolicy

from .mutant import gives, mutant, skipped, value

STORE = "lash.backends.memory.persistence"
RULES = "lash.rules.queue"
TABLE = "lash.backends.memory.queue_table"
P = f"{STORE}:MemoryRuntimePersistence"


def _newest_payload(original: Any) -> Any:
    async def enqueue(self: Any, draft: Any) -> Any:
        stored = await original(self, draft)
        if stored.payloads != draft.payloads:
            items = tuple(
                item.replace(payload=payload)
                for item, payload in zip(stored.items, draft.payloads, strict=False)
            )
            return stored.replace(items=items)
        return stored

    return enqueue


mutant(
    "a replayed key answers with the new payload",
    "queued_work_source_keys_are_idempotent_and_list_ordered",
    (f"{P}.enqueue_queued_work", _newest_payload),
)
mutant(
    "claimed work can be cancelled",
    "queued_work_cancel_removes_only_unclaimed_batches",
    (f"{STORE}:is_cancellable", value(lambda row, now_ms, dead_owners=(): True)),
)


def _no_wake_keys(original: Any) -> Any:
    async def enqueue(self: Any, draft: Any) -> Any:
        if type(draft.payloads[0]).__name__ == "ProcessWakePayload":
            known = await self.list_queued_work(draft.session_id)
            draft = draft.replace(source_key=None if known else draft.source_key)
        return await original(self, draft)

    return enqueue


mutant(
    "a wake that waits is delivered again",
    "queued_wake_delivery_is_source_key_idempotent_and_claimed_once",
    (f"{P}.enqueue_queued_work", _no_wake_keys),
)


def _global_keys(original: Any) -> Any:
    async def enqueue(self: Any, draft: Any) -> Any:
        for batches in self._tables.queue._by_key.items():
            (session_id, key), ids = batches
            if draft.source_key is not None and key == draft.source_key and session_id != draft.session_id:
                return self._tables.queue._batches[ids[0]].batch()
        return await original(self, draft)

    return enqueue


mutant(
    "a key is one for all sessions",
    "source_keys_belong_to_a_session",
    (f"{P}.enqueue_queued_work", _global_keys),
)


def _only_open(original: Any) -> Any:
    return lambda draft, rows: original(
        draft, [row for row in rows if row.state not in ("completed",) or row.wake_process_id is not None]
    )


mutant(
    "a completed key is free again",
    "source_keys_hold_while_claimed_and_once_completed",
    (f"{STORE}:stored_under_key", _only_open),
)
mutant(
    "a cancelled key stays taken",
    "cancelled_source_keys_are_free_again",
    (
        f"{STORE}:stored_under_key",
        lambda original: (
            lambda draft, rows: original(
                draft,
                [
                    msgspec.structs.replace(row, state="pending") if row.state == "cancelled" else row
                    for row in rows
                ],
            )
        ),
    ),
)
mutant(
    "a settled dedupe key swallows later wakes",
    "settled_wakes_are_not_delivered_again",
    (
        f"{STORE}:stored_under_key",
        lambda original: (
            lambda draft, rows: (
                original(draft, rows) or next(iter(r.batch_id for r in rows if r.state == "completed"), None)
            )
        ),
    ),
)
mutant("empty work is taken", "empty_batches_are_refused", (f"{STORE}:check_draft", skipped))


def _reuses(original: Any) -> Any:
    def settle(self: Any, batches: Any, state: Any) -> None:
        original(self, batches, state)
        if state == "cancelled" and self._last_seq == max((b.row.enqueue_seq for b in batches), default=-1):
            self._last_seq -= 1

    return settle


mutant(
    "the newest sequence is used again",
    "batch_ids_and_sequences_are_never_reused",
    (f"{TABLE}:QueueTable.settle", _reuses),
)
mutant(
    "a claimed batch loses its source key",
    "batches_round_trip_whole",
    (
        f"{TABLE}:QueueTable.claim_of",
        gives(
            lambda claim, *_: claim.replace(batches=tuple(b.replace(source_key=None) for b in claim.batches))
        ),
    ),
)


def _any_session(original: Any) -> Any:
    async def cancel(self: Any, session_id: str, batch_id: str) -> Any:
        stored = self._tables.queue._batches.get(batch_id)
        return await original(self, session_id if stored is None else stored.session_id, batch_id)

    return cancel


mutant(
    "any session cancels", "cancelling_is_scoped_and_once", (f"{P}.cancel_queued_work_batch", _any_session)
)


def _claimed_once_claimed_ever(original: Any) -> Any:
    return lambda row, now_ms, dead_owners=(): row.run_turn_id is None and row.claim_token is None


mutant(
    "expired claims keep a batch from being cancelled",
    "expired_claims_can_be_cancelled_away",
    (f"{STORE}:is_cancellable", _claimed_once_claimed_ever),
)


def _only_available(original: Any) -> Any:
    async def pending(self: Any, session_id: str) -> Any:
        now_ms = self._tables.clock.now_ms()
        return [batch for batch in await original(self, session_id) if batch.available_at_ms <= now_ms]

    return pending


mutant(
    "work for later is not pending",
    "pending_lists_show_what_is_not_available_yet",
    (f"{P}.list_pending_queued_work", _only_available),
)


def _from_old_expiry(original: Any) -> Any:
    async def renew(self: Any, claim: Any, ttl_ms: int) -> Any:
        renewed = await original(self, claim, ttl_ms)
        return renewed.replace(expires_at_ms=max(renewed.expires_at_ms, claim.expires_at_ms + ttl_ms))

    return renew


mutant(
    "a renewal counts from the old expiry",
    "batches_and_claims_carry_the_time_of_their_operation",
    (f"{P}.renew_queued_work_claim", _from_old_expiry),
)

# claims


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

# joins


def _joins(shape: Any) -> Any:
    """Judge neighbours by another shape than the contract's."""

    def around(original: Any) -> Any:
        def group(ready: Any, most: int) -> Any:
            found = original(ready, most)
            if len(found) == 0 or ready[0].slot_policy != SlotPolicy.JOIN or ready[0].merge_key == "never":
                return found
            size = next((at for at, row in enumerate(ready) if shape(row) != shape(ready[0])), len(ready))
            return list(ready[: min(size, most)])

        return group

    return around


mutant(
    "a join does not look at the merge key",
    "queued_work_join_groups_by_delivery_policy_and_merge_key",
    (
        f"{RULES}:group_at_head",
        _joins(lambda row: (row.slot_policy, row.delivery_policy, row.merge_key == "never")),
    ),
)
mutant(
    "a join does not look at the delivery policy",
    "joins_keep_to_one_delivery_policy",
    (f"{RULES}:group_at_head", _joins(lambda row: (row.slot_policy, row.merge_key))),
)
mutant(
    "an exclusive neighbour is taken along",
    "exclusive_work_is_claimed_alone",
    (f"{RULES}:group_at_head", _joins(lambda row: (row.delivery_policy, row.merge_key))),
)


def _never_merges(original: Any) -> Any:
    return lambda ready, most: original(
        [
            msgspec.structs.replace(r, merge_key="x")
            if r.merge_key == "never" and r.slot_policy == "join"
            else r
            for r in ready
        ],
        most,
    )


mutant("never merges with never", "never_means_alone", (f"{RULES}:group_at_head", _never_merges))
mutant(
    "a group may be called payload_default",
    "merge_keys_compare_as_what_they_are",
    (f"{TABLE}:merge_key_text", lambda original: lambda key: original(key).removeprefix("group:")),
    (
        f"{TABLE}:merge_key_of",
        lambda original: (
            lambda text: original(text if text in ("never", "payload_default") else f"group:{text}")
        ),
    ),
)


def _gaps_break(original: Any) -> Any:
    def select(rows: Any, *, now_ms: int, **facts: Any) -> Any:
        found = original(rows, now_ms=now_ms, **facts)
        seqs = [row.enqueue_seq for row in found]
        size = next((at for at in range(1, len(seqs)) if seqs[at] != seqs[at - 1] + 1), len(seqs))
        return found[:size]

    return select


mutant(
    "a gap in the sequence breaks a group",
    "gaps_that_are_no_candidates_do_not_break_a_group",
    (f"{STORE}:select_ready", _gaps_break),
)


def _collects(original: Any) -> Any:
    def group(ready: Any, most: int) -> Any:
        found = original(ready, most)
        if not found or found[0].slot_policy != SlotPolicy.JOIN or found[0].merge_key == "never":
            return found
        head = found[0]
        same = [
            r
            for r in ready
            if (r.slot_policy, r.delivery_policy, r.merge_key)
            == (head.slot_policy, head.delivery_policy, head.merge_key)
        ]
        return same[:most]

    return group


mutant(
    "a group is collected from all over the queue",
    "a_candidate_in_between_ends_a_group",
    (f"{RULES}:group_at_head", _collects),
)

# completion

mutant(
    "any token completes",
    "queued_work_completion_is_lease_guarded",
    (
        f"{TABLE}:QueueTable.held",
        lambda original: (
            lambda self, session_id, claim_id, token: original(
                self, session_id, claim_id, token.removesuffix(":stale")
            )
        ),
    ),
)
mutant(
    "a stale completion commits without completing",
    "queue_completion_and_turn_commit_stamp_are_atomic",
    (
        "lash.rules.commits:check_completions",
        lambda original: (
            lambda commit, held: (
                None
                if commit.turn_commit is not None
                and any(c.lease_token.endswith(":stale") for c in commit.completed_queue_claims)
                else original(commit, held)
            )
        ),
    ),
)
mutant(
    "a completion may name some of its rows",
    "completions_name_exactly_the_rows_of_their_claim",
    (
        f"{RULES}:check_held",
        lambda original: (
            lambda session_id, claim_id, ids, held: (
                None if set(ids) <= set(held) and held and ids else original(session_id, claim_id, ids, held)
            )
        ),
    ),
)
mutant(
    "a completion may be of another session",
    "claims_of_another_session_are_not_completed",
    (
        "lash.rules.commits:check_completion",
        lambda original: (
            lambda completion, session_id, held: (
                None if completion.session_id != session_id else original(completion, session_id, held)
            )
        ),
    ),
)


def _expiry_voids(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        for completion in commit.completed_queue_claims:
            held = tables.queue.held(commit.session_id, completion.claim_id, completion.lease_token)
            if any(s.row.claim_expires_at_ms <= tables.clock.now_ms() for s in held):
                raise LashError("queue_claim_expired", "the claim has expired")
        return original(tables, commit, bound, keeps_manifest=keeps_manifest)

    return commit


mutant(
    "an expired claim does not complete",
    "expired_claims_complete_until_somebody_takes_over",
    ("lash.backends.memory.commit:commit", _expiry_voids),
)
mutant(
    "only the first completion counts",
    "one_commit_completes_several_claims",
    (
        "lash.backends.memory.commit:_completed",
        gives(
            lambda completed, *_: completed[:1] if len({s.row.claim_id for s in completed}) > 1 else completed
        ),
    ),
)
