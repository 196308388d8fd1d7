"""Queued work as rows: what decisions read of it, what callers get, and the writes of a claim.

`taken` is 1 for rows under a claim (live or not) and for rows of a turn's composition. The few taken rows of
a session are read whole; of the others only as many as a claim can use, from the front. The rules decide
over both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from lash.backends.sql.digests import packed_digest
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.session_rows import corrupt
from lash.backends.sql.store import json_list
from lash.errors import LashError
from lash.rules.exact_json import exact_bytes
from lash.rules.queue import QueueRow, keyed_wake, merge_key_of, merge_key_text, next_fence
from lash.values import (
    DeliveryPolicy,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkItem,
    QueuedWorkState,
    SlotPolicy,
    decode_record,
)


class BatchRow(msgspec.Struct, frozen=True, gc=False):
    """A batch as callers see it, with the claim that it is under."""

    enqueue_seq: int
    batch_id: str
    session_id: str
    delivery_policy: str
    slot_policy: str
    merge_key: str
    available_at_ms: int
    enqueued_at_ms: int
    source_key: str | None
    claim_id: str | None
    claim_owner_id: str | None
    claim_token: str | None
    claimed_at_ms: int
    claim_expires_at_ms: int
    fencing_token: int
    run_turn_id: str | None
    injected_effect_id: str | None
    items: bytes | None

    def batch(self) -> QueuedWorkBatch:
        """Return the batch.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        if self.items is None:
            raise corrupt("queue_items", f"batch {self.batch_id!r} of session {self.session_id!r}", "no row")
        what = f"table queue_items: batch {self.batch_id!r} of session {self.session_id!r}"
        try:
            delivery, slot = DeliveryPolicy(self.delivery_policy), SlotPolicy(self.slot_policy)
            merge_key = merge_key_of(self.merge_key)
        except (ValueError, LashError) as problem:
            raise corrupt("queue", f"batch {self.batch_id!r}", problem) from problem
        return QueuedWorkBatch(
            batch_id=self.batch_id,
            session_id=self.session_id,
            delivery_policy=delivery,
            slot_policy=slot,
            enqueue_seq=self.enqueue_seq,
            enqueued_at_ms=self.enqueued_at_ms,
            items=decode_record(tuple[QueuedWorkItem, ...], self.items, what=what),
            source_key=self.source_key,
            merge_key=merge_key,
            available_at_ms=self.available_at_ms,
        )


class ClaimTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A new claim, before it is known which rows it takes."""

    claim_id: str
    owner_id: str
    lease_token: str
    claimed_at_ms: int
    expires_at_ms: int

    def claim(self, session_id: str, fence: int, batches: Sequence[QueuedWorkBatch]) -> QueuedWorkClaim:
        """Return the claim as callers see it."""
        return QueuedWorkClaim(
            claim_id=self.claim_id,
            session_id=session_id,
            owner_id=self.owner_id,
            lease_token=self.lease_token,
            fencing_token=fence,
            claimed_at_ms=self.claimed_at_ms,
            expires_at_ms=self.expires_at_ms,
            batches=tuple(batches),
        )


class BatchBody(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that is about to be stored: its id, its items, and their encoded form."""

    batch_id: str
    items: tuple[QueuedWorkItem, ...]
    body: bytes


_DECISION = """q.batch_id, q.enqueue_seq, q.delivery_policy, q.slot_policy, q.merge_key, q.available_at_ms,
    q.claim_id, q.claim_owner_id, q.claim_token, q.claim_expires_at_ms, q.fencing_token, q.agent, q.turn_id,
    q.run_turn_id, q.injected_effect_id, q.runs"""
_BATCH = """SELECT q.enqueue_seq, q.batch_id, s.session_id, q.delivery_policy, q.slot_policy, q.merge_key,
    q.available_at_ms, q.enqueued_at_ms, q.source_key, q.claim_id, q.claim_owner_id, q.claim_token,
    q.claimed_at_ms, q.claim_expires_at_ms, q.fencing_token, q.run_turn_id, q.injected_effect_id, i.items
    FROM queue q JOIN session s USING (sid) LEFT JOIN queue_items i USING (enqueue_seq)"""
_SID = "(SELECT sid FROM session WHERE session_id = ?)"

TAKEN_ROWS = f"""SELECT {_DECISION} FROM queue q WHERE q.sid = {_SID} AND q.taken = 1
    AND q.settled_at_ms IS NULL"""  # noqa: S608
FREE_ROWS = f"""SELECT {_DECISION} FROM queue q WHERE q.sid = {_SID} AND q.taken = 0
    AND q.settled_at_ms IS NULL AND q.available_at_ms <= ? ORDER BY q.enqueue_seq LIMIT ?"""  # noqa: S608
FREE_EARLY_ROWS = f"""SELECT {_DECISION} FROM queue q WHERE q.sid = {_SID} AND q.taken = 0
    AND q.settled_at_ms IS NULL AND q.available_at_ms <= ? AND q.delivery_policy = 'earliest_safe_boundary'
    ORDER BY q.enqueue_seq LIMIT ?"""  # noqa: S608
NEXT_SCHEDULED_ROW = f"""SELECT {_DECISION} FROM queue q WHERE q.sid = {_SID} AND q.settled_at_ms IS NULL
    AND q.available_at_ms > 0 AND q.available_at_ms > ? AND q.taken = 0
    ORDER BY q.available_at_ms LIMIT 1"""  # noqa: S608
OPEN_ROW = f"""SELECT {_DECISION} FROM queue q WHERE q.sid = {_SID} AND q.settled_at_ms IS NULL
    AND q.batch_id = ?"""  # noqa: S608
COUNT_OPEN = f"SELECT count(*) FROM queue WHERE sid = {_SID} AND settled_at_ms IS NULL"  # noqa: S608
BATCHES_AT = f"{_BATCH} WHERE q.enqueue_seq IN (SELECT value FROM json_each(?)) ORDER BY q.enqueue_seq"  # noqa: S608
OPEN_BATCH = f"{_BATCH} WHERE q.sid = {_SID} AND q.settled_at_ms IS NULL AND q.batch_id = ?"
OPEN_BATCHES = f"""{_BATCH} WHERE q.sid = {_SID} AND q.settled_at_ms IS NULL
    ORDER BY q.enqueue_seq"""
_OF_SESSION = "(SELECT sid FROM session WHERE session_id = ?1)"
_FIRST_FREE = f"""SELECT * FROM (SELECT f.enqueue_seq FROM queue f WHERE f.sid = {_OF_SESSION} AND f.taken = 0
    AND f.settled_at_ms IS NULL AND f.available_at_ms <= ?2 ORDER BY f.enqueue_seq LIMIT 1) AS first_free"""  # noqa: S608
# What may begin a turn and does not say which: the turn's id may be in the body.
UNNAMED_IN_FRONT = f"""{_BATCH} WHERE q.turn_id IS NULL AND q.run_turn_id IS NULL AND q.enqueue_seq IN (
    SELECT min(t.enqueue_seq) FROM queue t WHERE t.sid = {_OF_SESSION} AND t.taken = 1
    AND t.settled_at_ms IS NULL AND t.run_turn_id IS NULL UNION ALL {_FIRST_FREE})"""  # noqa: S608
# Turns that are committed, and of which a batch is open that comes next or belongs to a turn.
COMMITTED_TURNS = f"""SELECT s.turn_id FROM stamp s WHERE s.sid = {_OF_SESSION} AND s.turn_id IN (
    SELECT t.run_turn_id FROM queue t WHERE t.sid = {_OF_SESSION} AND t.taken = 1
    AND t.settled_at_ms IS NULL AND t.run_turn_id IS NOT NULL
    UNION ALL SELECT n.turn_id FROM queue n WHERE n.enqueue_seq IN ({_FIRST_FREE}))"""  # noqa: S608
INSERT_BATCH = """INSERT INTO queue (sid, batch_id, state, settled_at_ms, source_key, delivery_policy,
    slot_policy, merge_key, available_at_ms, enqueued_at_ms, agent, turn_id, content_hash, wake_process_id,
    wake_sequence, taken, claim_id, claim_owner_id, claim_token, claimed_at_ms, claim_expires_at_ms,
    fencing_token, run_turn_id, runs, enqueue_seq)
    VALUES ((SELECT sid FROM session WHERE session_id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?)"""
NEXT_NUMBER = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'queue'"
DROP_ITEMS = "DELETE FROM queue_items WHERE enqueue_seq IN (SELECT value FROM json_each(?))"
INSERT_ITEMS = "INSERT INTO queue_items (enqueue_seq, items) VALUES (?, ?)"
CLAIM_ROWS = """UPDATE queue SET state = 'claimed', taken = 1, claim_id = ?, claim_owner_id = ?,
    claim_token = ?, claimed_at_ms = ?, claim_expires_at_ms = ?, fencing_token = ?, run_turn_id = ?,
    injected_effect_id = ?, runs = runs + ?
    WHERE enqueue_seq IN (SELECT value FROM json_each(?))"""
EXTEND_ROWS = """UPDATE queue SET claim_expires_at_ms = ?
    WHERE enqueue_seq IN (SELECT value FROM json_each(?))"""
GIVE_BACK_ROWS = """UPDATE queue SET state = 'pending', taken = run_turn_id IS NOT NULL, claim_id = NULL,
    claim_owner_id = NULL, claim_token = NULL, claim_expires_at_ms = 0
    WHERE enqueue_seq IN (SELECT value FROM json_each(?))"""
PARK_ROWS = """UPDATE queue SET state = 'pending', taken = run_turn_id IS NOT NULL, claim_id = NULL,
    claim_owner_id = NULL, claim_token = NULL, claim_expires_at_ms = 0, runs = runs - 1
    WHERE enqueue_seq IN (SELECT value FROM json_each(?))"""  # the next claim is no further run of the turn
LEAVE_TURN = """UPDATE queue SET state = 'pending', taken = 0, claim_id = NULL, claim_owner_id = NULL,
    claim_token = NULL, claim_expires_at_ms = 0, run_turn_id = NULL, injected_effect_id = NULL, runs = 0
    WHERE enqueue_seq IN (SELECT value FROM json_each(?))"""
SETTLE_ROWS = """UPDATE queue SET state = ?, settled_at_ms = ?, claim_id = NULL, claim_owner_id = NULL,
    claim_token = NULL, claimed_at_ms = 0, claim_expires_at_ms = 0, run_turn_id = nullif(run_turn_id, turn_id)
    WHERE enqueue_seq IN (SELECT value FROM json_each(?))"""


def taken_rows(session_id: str) -> Query[QueueRow]:
    """Return the read of a session's rows that somebody claimed or that belong to a turn."""
    return Query(QueueRow, TAKEN_ROWS, session_id)


def free_rows(session_id: str, now_ms: int, limit: int, *, early_only: bool = False) -> Query[QueueRow]:
    """Return the read of the first available rows of a session that nobody has taken."""
    sql = FREE_EARLY_ROWS if early_only else FREE_ROWS
    return Query(QueueRow, sql, session_id, now_ms, max(limit, 0))


def next_number() -> Query[int]:
    """Return the read of the number that the next batch gets. It is read under the lock of the batch's session,
    so the batches of a session are numbered in their order; a number that is not used is lost.
    """
    return Query(int, NEXT_NUMBER)


def batch_body(batch_id: str, draft: QueuedWorkBatchDraft) -> BatchBody:
    """Return the items of a new batch.

    Raises:
        LashError: `json_not_representable`.
    """
    items = tuple(
        QueuedWorkItem(item_id=f"{batch_id}:item:{index}", payload=payload)
        for index, payload in enumerate(draft.payloads)
    )
    body = exact_bytes(items, what=f"queued work for session {draft.session_id!r}")
    return BatchBody(batch_id=batch_id, items=items, body=body)


async def insert_batch(
    tx: Tx,
    number: int,
    draft: QueuedWorkBatchDraft,
    body: BatchBody,
    *,
    agent: str | None = None,
    turn_id: str | None = None,
    content_hash: str | None = None,
    terms: ClaimTerms | None = None,
    is_completed: bool = False,
) -> QueuedWorkBatch:
    """Store a batch under its number (see `next_number`), claimed for its own turn if `terms` are given; a
    completed one without its items. Its session has a row by now.
    """
    wake = keyed_wake(draft)
    state = "completed" if is_completed else "pending" if terms is None else "claimed"
    await tx.write(
        INSERT_BATCH,
        draft.session_id,
        body.batch_id,
        state,
        tx.now_ms if is_completed else None,
        draft.source_key,
        draft.delivery_policy.value,
        draft.slot_policy.value,
        merge_key_text(draft.merge_key),
        draft.available_at_ms,
        tx.now_ms,
        agent,
        turn_id,
        None if content_hash is None else packed_digest(content_hash),
        None if wake is None else wake[0],
        None if wake is None else wake[1],
        0 if terms is None else 1,
        None if terms is None else terms.claim_id,
        None if terms is None else terms.owner_id,
        None if terms is None else terms.lease_token,
        0 if terms is None else terms.claimed_at_ms,
        0 if terms is None else terms.expires_at_ms,
        0 if terms is None else 1,
        None if terms is None else turn_id,
        0 if terms is None else 1,
        number,
    )
    if not is_completed:
        await tx.write(INSERT_ITEMS, number, body.body)
    return QueuedWorkBatch(
        batch_id=body.batch_id,
        session_id=draft.session_id,
        delivery_policy=draft.delivery_policy,
        slot_policy=draft.slot_policy,
        enqueue_seq=number,
        enqueued_at_ms=tx.now_ms,
        items=body.items,
        source_key=draft.source_key,
        merge_key=draft.merge_key,
        available_at_ms=draft.available_at_ms,
    )


async def claim_rows(
    tx: Tx,
    session_id: str,
    rows: Sequence[QueueRow],
    terms: ClaimTerms,
    *,
    run_turn_id: str | None = None,
    injected_effect_id: str | None = None,
) -> QueuedWorkClaim:
    """Read the batches of rows and put them under a new claim."""
    batches = await tx.fetch_all(BatchRow, BATCHES_AT, seq_list(rows))
    return await put_under_claim(
        tx,
        session_id,
        rows,
        {row.enqueue_seq: row for row in batches},
        terms,
        run_turn_id=run_turn_id,
        injected_effect_id=injected_effect_id,
    )


async def put_under_claim(
    tx: Tx,
    session_id: str,
    rows: Sequence[QueueRow],
    batches: Mapping[int, BatchRow],
    terms: ClaimTerms,
    *,
    run_turn_id: str | None = None,
    injected_effect_id: str | None = None,
) -> QueuedWorkClaim:
    """Put rows under a new claim, and into a turn's composition if one is named.

    Args:
        tx: The transaction.
        session_id: Whose they are.
        rows: What is claimed.
        batches: What is stored of them, by number.
        terms: The claim.
        run_turn_id: The turn that they become part of.
        injected_effect_id: The checkpoint that takes them.
    """
    seqs, fence = seq_list(rows), next_fence(rows)
    stored = [batches[seq] for seq in sorted(row.enqueue_seq for row in rows) if seq in batches]
    await tx.write(
        CLAIM_ROWS,
        terms.claim_id,
        terms.owner_id,
        terms.lease_token,
        terms.claimed_at_ms,
        terms.expires_at_ms,
        fence,
        run_turn_id,
        injected_effect_id,
        int(run_turn_id is not None),
        seqs,
    )
    return terms.claim(session_id, fence, [row.batch() for row in stored])


async def complete_rows(tx: Tx, rows: Sequence[QueueRow]) -> None:
    """Settle rows as completed. The input of an accepted turn is history now and is not kept twice."""
    await tx.write(SETTLE_ROWS, QueuedWorkState.COMPLETED.value, tx.now_ms, seq_list(rows))
    accepted = [row for row in rows if row.turn_id is not None]
    if accepted:
        await tx.write(DROP_ITEMS, seq_list(accepted))


def seq_list(rows: Sequence[QueueRow]) -> str:
    """Return the numbers of rows as one parameter."""
    return json_list(row.enqueue_seq for row in rows)


def held_under(rows: Sequence[QueueRow], claim_id: str, lease_token: str) -> list[QueueRow]:
    """Return those of a session's taken rows that are stored under a claim."""
    return [row for row in rows if (row.claim_id, row.claim_token) == (claim_id, lease_token)]
