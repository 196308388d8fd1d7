"""The queue's table: batches by id, with the three ways in which operations look for them.

A settled batch stays as evidence (ruling 1), so nothing that runs for every turn may look through all of a
session's batches: only through the open ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

from lash.rules.leases import expires_at
from lash.rules.queue import KeyedRow, QueueRow, merge_key_of, merge_key_text, next_fence
from lash.rules.storable import storable_bytes
from lash.rules.turns import TurnRow
from lash.values import (
    DeliveryPolicy,
    IdSource,
    ProcessWakePayload,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkItem,
    QueuedWorkState,
    SlotPolicy,
    decode_record,
)

OPEN_STATES = (QueuedWorkState.PENDING, QueuedWorkState.CLAIMED)


class StoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as stored: what decisions see, what they do not need, and the encoded items."""

    session_id: str
    row: QueueRow
    state: QueuedWorkState
    enqueued_at_ms: int
    items: bytes
    source_key: str | None = None
    content_hash: str | None = None
    claimed_at_ms: int = 0
    settled_at_ms: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    def batch(self) -> QueuedWorkBatch:
        """Return the batch as callers see it."""
        return QueuedWorkBatch(
            batch_id=self.row.batch_id,
            session_id=self.session_id,
            delivery_policy=DeliveryPolicy(self.row.delivery_policy),
            slot_policy=SlotPolicy(self.row.slot_policy),
            enqueue_seq=self.row.enqueue_seq,
            enqueued_at_ms=self.enqueued_at_ms,
            items=decode_record(tuple[QueuedWorkItem, ...], self.items, what=f"batch {self.row.batch_id!r}"),
            source_key=self.source_key,
            merge_key=merge_key_of(self.row.merge_key),
            available_at_ms=self.row.available_at_ms,
        )

    def turn_row(self) -> TurnRow:
        """Return what decisions about the turn that this batch asked for need."""
        return TurnRow(
            batch_id=self.row.batch_id,
            enqueue_seq=self.row.enqueue_seq,
            state=self.state,
            turn_id=self.row.turn_id or "",
            content_hash=self.content_hash,
            run_turn_id=self.row.run_turn_id,
            claim_owner_id=self.row.claim_owner_id,
            claim_token=self.row.claim_token,
            claim_expires_at_ms=self.row.claim_expires_at_ms,
        )

    def keyed_row(self) -> KeyedRow:
        """Return what decisions about the source key need."""
        wakes = [p.wake for p in self.batch().payloads if isinstance(p, ProcessWakePayload)]
        return KeyedRow(
            batch_id=self.row.batch_id,
            enqueue_seq=self.row.enqueue_seq,
            state=self.state,
            run_turn_id=self.row.run_turn_id,
            wake_process_id=wakes[0].process_id if wakes else None,
            wake_sequence=wakes[0].sequence if wakes else None,
            turn_id=self.row.turn_id,
        )


class QueueTable:
    """All batches of a database."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._last_seq = 0
        self._batches: dict[str, StoredBatch] = {}
        self._open: dict[str, dict[str, None]] = {}  # session -> ids in enqueue order
        self._by_key: dict[tuple[str, str], list[str]] = {}
        self._by_turn: dict[tuple[str, str], str] = {}  # the newest batch of a turn id

    def prepare(
        self,
        draft: QueuedWorkBatchDraft,
        *,
        now_ms: int,
        agent: str | None = None,
        turn_id: str | None = None,
        content_hash: str | None = None,
    ) -> StoredBatch:
        """Return the batch that `put` would add next; may refuse, changes nothing."""
        batch_id = self._ids.new("batch")
        items = tuple(
            QueuedWorkItem(item_id=f"{batch_id}:item:{index}", payload=payload)
            for index, payload in enumerate(draft.payloads)
        )
        return StoredBatch(
            session_id=draft.session_id,
            row=QueueRow(
                batch_id=batch_id,
                enqueue_seq=self._last_seq + 1,
                delivery_policy=draft.delivery_policy,
                slot_policy=draft.slot_policy,
                merge_key=merge_key_text(draft.merge_key),
                available_at_ms=draft.available_at_ms,
                agent=agent,
                turn_id=turn_id,
            ),
            state=QueuedWorkState.PENDING,
            enqueued_at_ms=now_ms,
            items=storable_bytes(items, what=f"queued work for session {draft.session_id!r}"),
            source_key=draft.source_key,
            content_hash=content_hash,
        )

    def put(self, stored: StoredBatch) -> None:
        """Add a batch, or replace it by its next state."""
        row = stored.row
        is_new = row.batch_id not in self._batches
        self._batches[row.batch_id] = stored
        if is_new:
            self._last_seq = row.enqueue_seq
            if stored.source_key is not None:
                self._by_key.setdefault((stored.session_id, stored.source_key), []).append(row.batch_id)
            if row.turn_id is not None:
                self._by_turn[stored.session_id, row.turn_id] = row.batch_id
        if stored.is_open:
            self._open.setdefault(stored.session_id, {}).setdefault(row.batch_id)
        else:
            self._open.get(stored.session_id, {}).pop(row.batch_id, None)

    def open_batches(self, session_id: str) -> list[StoredBatch]:
        """Return the unsettled batches of a session, in enqueue order."""
        return [self._batches[batch_id] for batch_id in self._open.get(session_id, ())]

    def open_rows(self, session_id: str) -> list[QueueRow]:
        """Return the same as decisions see them."""
        return [stored.row for stored in self.open_batches(session_id)]

    def open_sessions(self) -> list[str]:
        """Return the sessions that have unsettled batches."""
        return [session_id for session_id, batches in self._open.items() if batches]

    def find_open(self, session_id: str, batch_id: str) -> StoredBatch | None:
        """Return an unsettled batch of a session."""
        return self._batches[batch_id] if batch_id in self._open.get(session_id, {}) else None

    def under_key(self, session_id: str, source_key: str) -> list[StoredBatch]:
        """Return every batch of a source key, whatever its state."""
        return [self._batches[batch_id] for batch_id in self._by_key.get((session_id, source_key), ())]

    def of_turn(self, session_id: str, turn_id: str) -> StoredBatch | None:
        """Return the newest batch that was accepted under a turn id."""
        batch_id = self._by_turn.get((session_id, turn_id))
        return None if batch_id is None else self._batches[batch_id]

    def held(self, session_id: str, claim_id: str, lease_token: str) -> list[StoredBatch]:
        """Return the unsettled batches that are stored under a claim."""
        return [
            stored
            for stored in self.open_batches(session_id)
            if (stored.row.claim_id, stored.row.claim_token) == (claim_id, lease_token)
        ]

    def claim(
        self,
        session_id: str,
        rows: Sequence[QueueRow],
        *,
        owner_id: str,
        now_ms: int,
        ttl_ms: int,
        run_turn_id: str | None = None,
        injected_effect_id: str | None = None,
    ) -> QueuedWorkClaim:
        """Put rows under a new claim, and into a turn's composition if one is named."""
        claim_id, token = self._ids.new("claim"), self._ids.new("token")
        expiry, fence = expires_at(now_ms, ttl_ms), next_fence(rows)
        for row in sorted(rows, key=lambda row: row.enqueue_seq):
            stored = self._batches[row.batch_id]
            claimed = msgspec.structs.replace(
                row,
                claim_id=claim_id,
                claim_owner_id=owner_id,
                claim_token=token,
                claim_expires_at_ms=expiry,
                fencing_token=fence,
                run_turn_id=run_turn_id,
                injected_effect_id=injected_effect_id,
                runs=row.runs + (run_turn_id is not None),
            )
            self.put(
                msgspec.structs.replace(
                    stored, row=claimed, state=QueuedWorkState.CLAIMED, claimed_at_ms=now_ms
                )
            )
        return self.claim_of(self.held(session_id, claim_id, token))

    def extend(self, batches: Iterable[StoredBatch], expires_at_ms: int) -> None:
        """Move the expiry of claims."""
        for stored in batches:
            row = msgspec.structs.replace(stored.row, claim_expires_at_ms=expires_at_ms)
            self.put(msgspec.structs.replace(stored, row=row))

    def give_back(
        self, batches: Iterable[StoredBatch], *, leaves_turn: bool = False, as_parked: bool = False
    ) -> None:
        """Clear claims; fences stay, and so does the composition unless the batches leave their turn.

        The claim that takes a parked turn up again is no further run of it.
        """
        for stored in batches:
            row = msgspec.structs.replace(
                stored.row, claim_id=None, claim_owner_id=None, claim_token=None, claim_expires_at_ms=0
            )
            if leaves_turn:
                row = msgspec.structs.replace(row, run_turn_id=None, injected_effect_id=None, runs=0)
            elif as_parked:
                row = msgspec.structs.replace(row, runs=max(row.runs - 1, 0))
            self.put(msgspec.structs.replace(stored, row=row, state=QueuedWorkState.PENDING))

    def settle(self, batches: Iterable[StoredBatch], state: QueuedWorkState, now_ms: int) -> None:
        """End batches as completed or cancelled; they stay as evidence until they are pruned."""
        for stored in batches:
            row = msgspec.structs.replace(stored.row, claim_token=None, claim_expires_at_ms=0)
            self.put(msgspec.structs.replace(stored, row=row, state=state, settled_at_ms=now_ms))

    def prune(self, settled_before_ms: int, limit: int) -> int:
        """Delete the first `limit` batches that were settled before that time; return how many."""
        old = (
            stored
            for stored in self._batches.values()
            if stored.settled_at_ms is not None and stored.settled_at_ms < settled_before_ms
        )
        gone = list(islice(old, max(limit, 0)))
        for stored in gone:
            self._forget(stored)
        return len(gone)

    def claim_of(self, batches: Sequence[StoredBatch]) -> QueuedWorkClaim:
        """Return the claim that these batches are held under."""
        head = batches[0]
        return QueuedWorkClaim(
            claim_id=head.row.claim_id or "",
            session_id=head.session_id,
            owner_id=head.row.claim_owner_id or "",
            lease_token=head.row.claim_token or "",
            fencing_token=head.row.fencing_token,
            claimed_at_ms=head.claimed_at_ms,
            expires_at_ms=head.row.claim_expires_at_ms,
            batches=tuple(stored.batch() for stored in batches),
        )

    def _forget(self, stored: StoredBatch) -> None:
        batch_id, session_id = stored.row.batch_id, stored.session_id
        del self._batches[batch_id]
        if stored.source_key is not None:
            under_key = self._by_key[session_id, stored.source_key]
            under_key.remove(batch_id)
            if not under_key:
                del self._by_key[session_id, stored.source_key]
        if stored.row.turn_id is not None and self._by_turn.get((session_id, stored.row.turn_id)) == batch_id:
            del self._by_turn[session_id, stored.row.turn_id]

    def remove_session(self, session_id: str) -> int:
        """Delete every batch of a session; return how many."""
        gone = [batch_id for batch_id, stored in self._batches.items() if stored.session_id == session_id]
        for batch_id in gone:
            del self._batches[batch_id]
        self._open.pop(session_id, None)
        self._by_key = {key: value for key, value in self._by_key.items() if key[0] != session_id}
        self._by_turn = {key: value for key, value in self._by_turn.items() if key[0] != session_id}
        return len(gone)
