"""Wrong queues: keys, lists, cancelling."""

from __future__ import annotations

from typing import Any

import msgspec

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
    def settle(self: Any, batches: Any, state: Any, *rest: Any) -> None:
        original(self, batches, state, *rest)
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
