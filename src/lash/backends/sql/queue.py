"""The seed's queue (contract 2.D.4 to 2.D.11): enqueue, claim, renew, give back, cancel, list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.holders import QUEUE_HOLDERS
from lash.backends.sql.queue_rows import (
    BATCHES_AT,
    EXTEND_ROWS,
    GIVE_BACK_ROWS,
    OPEN_BATCH,
    OPEN_BATCHES,
    OPEN_ROW,
    SETTLE_ROWS,
    BatchRow,
    ClaimTerms,
    batch_body,
    claim_rows,
    free_rows,
    held_under,
    insert_batch,
    next_number,
    seq_list,
    taken_rows,
)
from lash.backends.sql.session_rows import announce, ensure_session, locked_session
from lash.backends.sql.store import Store, json_list
from lash.errors import LashError
from lash.rules.commits import session_deleted
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.leases import expires_at
from lash.rules.queue import (
    KeyedRow,
    QueueRow,
    check_draft,
    check_held,
    is_cancellable,
    is_claimed,
    select_exact,
    select_for_running_turn,
    select_ready,
    stored_under_key,
)
from lash.values import (
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkState,
)

UNDER_KEY = """SELECT batch_id, enqueue_seq, state, run_turn_id, wake_process_id, wake_sequence, turn_id
    FROM queue
    WHERE sid = (SELECT sid FROM session WHERE session_id = ?) AND source_key = ?"""

Selection = Callable[[Sequence[QueueRow], int, frozenset[str]], list[QueueRow]]


class WorkQueue:
    """The queue half of `RuntimePersistence`; it binds no handle."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def enqueue_queued_work(self, draft: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Add work to a session's queue, once for each source key."""
        check_draft(draft)
        check_session_id(draft.session_id)
        check_text(draft.source_key or "", what="source key")
        body = batch_body(self._store.new_id("batch"), draft)

        async def script(tx: Tx) -> QueuedWorkBatch:
            sessions, under_key, numbers = await tx.read(
                locked_session(draft.session_id),
                Query(KeyedRow, UNDER_KEY, draft.session_id, draft.source_key),
                next_number(),
            )
            session = sessions[0] if sessions else None
            if session is not None and session.is_deleted:
                raise session_deleted(draft.session_id)
            if under_key and (answer := stored_under_key(draft, under_key)) is not None:
                return await _batch_of(tx, next(row for row in under_key if row.batch_id == answer))
            await ensure_session(tx, session, draft.session_id)
            batch = await insert_batch(tx, numbers[0], draft, body)
            announce(tx, draft.session_id, queue=True)
            return batch

        return await self._store.run(script)

    async def claim_ready_queued_work(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """Claim the next group of ready work, or None."""

        def select(rows: Sequence[QueueRow], now_ms: int, dead: frozenset[str]) -> list[QueueRow]:
            return select_ready(
                rows, boundary=boundary, max_batches=max_batches, now_ms=now_ms, dead_owners=dead
            )

        return await self._claim(session_id, owner_id, lease_ttl_ms, max_batches, select)

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        """Claim exactly these batches if they are what comes next; else None, and no effect."""

        def select(rows: Sequence[QueueRow], now_ms: int, dead: frozenset[str]) -> list[QueueRow]:
            return select_exact(rows, boundary=boundary, batch_ids=batch_ids, now_ms=now_ms, dead_owners=dead)

        return await self._claim(session_id, owner_id, lease_ttl_ms, len(batch_ids), select)

    async def claim_for_running_turn(
        self, session_id: str, owner_id: str, lease_ttl_ms: int, max_batches: int
    ) -> QueuedWorkClaim | None:
        """Claim work for the running turn, passing over rows that wait for its commit."""

        def select(rows: Sequence[QueueRow], now_ms: int, dead: frozenset[str]) -> list[QueueRow]:
            return select_for_running_turn(rows, max_batches=max_batches, now_ms=now_ms, dead_owners=dead)

        return await self._claim(session_id, owner_id, lease_ttl_ms, max_batches, select, early_only=True)

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """Extend a claim that was not superseded, even an expired one."""
        expires_at(0, lease_ttl_ms)  # refuses a negative time to live
        named = [batch.batch_id for batch in claim.batches]

        async def script(tx: Tx) -> QueuedWorkClaim:
            held = await self._held(tx, claim)
            check_held(claim.session_id, claim.claim_id, named, [row.batch_id for row in held])
            expiry = expires_at(tx.now_ms, lease_ttl_ms)
            await tx.write(EXTEND_ROWS, expiry, seq_list(held))
            return claim.replace(expires_at_ms=expiry)

        return await self._store.run(script, durable=False)

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give back the rows that are still held under this claim."""

        async def script(tx: Tx) -> None:
            held = await self._held(tx, claim)
            if held:
                await tx.write(GIVE_BACK_ROWS, seq_list(held))
                announce(tx, claim.session_id, queue=True)

        await self._store.run(script, durable=False)

    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Take a batch out of the queue and return it; None if that cannot be done now."""
        check_session_id(session_id)
        check_text(batch_id, what="batch id")

        async def script(tx: Tx) -> QueuedWorkBatch | None:
            self._store.foresee_owners(tx, QUEUE_HOLDERS, session_id)
            rows, batches = await tx.read(
                Query(QueueRow, OPEN_ROW, session_id, batch_id),
                Query(BatchRow, OPEN_BATCH, session_id, batch_id),
            )
            if not rows:
                return None
            row = rows[0]
            dead = await self._store.dead_among(tx, [row.claim_owner_id])
            if not is_cancellable(row, tx.now_ms, dead):
                return None
            await tx.write(SETTLE_ROWS, QueuedWorkState.CANCELLED.value, tx.now_ms, seq_list([row]))
            announce(tx, session_id)
            return batches[0].batch()

        return await self._store.run(script)

    async def list_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Return unsettled batches in enqueue order."""
        check_text(session_id, what="session id")

        async def script(tx: Tx) -> list[QueuedWorkBatch]:
            return [row.batch() for row in await tx.fetch_all(BatchRow, OPEN_BATCHES, session_id)]

        return await self._store.read(script)

    async def list_pending_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Return unsettled batches without a live claim, in enqueue order."""
        check_text(session_id, what="session id")

        async def script(tx: Tx) -> list[QueuedWorkBatch]:
            self._store.foresee_owners(tx, QUEUE_HOLDERS, session_id)
            batches, taken = await tx.read(Query(BatchRow, OPEN_BATCHES, session_id), taken_rows(session_id))
            dead = await self._store.dead_among(tx, [row.claim_owner_id for row in taken])
            live = {row.enqueue_seq for row in taken if is_claimed(row, tx.now_ms, dead)}
            return [row.batch() for row in batches if row.enqueue_seq not in live]

        return await self._store.read(script)

    async def _claim(
        self,
        session_id: str,
        owner_id: str,
        ttl_ms: int,
        limit: int,
        select: Selection,
        *,
        early_only: bool = False,
    ) -> QueuedWorkClaim | None:
        check_text(session_id, what="session id")
        check_text(owner_id, what="owner id")
        expires_at(0, ttl_ms)  # refuses a negative time to live, work or no work
        claim_id, token = self._store.new_id("claim"), self._store.new_id("token")

        async def script(tx: Tx) -> QueuedWorkClaim | None:
            self._store.foresee_owners(tx, QUEUE_HOLDERS, session_id)
            _, taken, free = await tx.read(
                locked_session(session_id),
                taken_rows(session_id),
                free_rows(session_id, tx.now_ms, limit, early_only=early_only),
            )
            dead = await self._store.dead_among(tx, [row.claim_owner_id for row in taken])
            rows = select([*taken, *free], tx.now_ms, dead)
            if not rows:
                return None
            terms = ClaimTerms(
                claim_id=claim_id,
                owner_id=owner_id,
                lease_token=token,
                claimed_at_ms=tx.now_ms,
                expires_at_ms=expires_at(tx.now_ms, ttl_ms),
            )
            return await claim_rows(tx, session_id, rows, terms)

        return await self._store.run(script, durable=False)

    async def _held(self, tx: Tx, claim: QueuedWorkClaim) -> list[QueueRow]:
        (taken,) = await tx.read(taken_rows(claim.session_id))
        return held_under(taken, claim.claim_id, claim.lease_token)


async def _batch_of(tx: Tx, row: KeyedRow) -> QueuedWorkBatch:
    stored = await tx.fetch_one(BatchRow, BATCHES_AT, json_list([row.enqueue_seq]))
    if stored is None:
        raise LashError("stored_data_corrupt", f"table queue: batch {row.batch_id!r} has no row")
    return stored.batch()
