"""Accepting a turn, and taking it up in the same transaction if its turn has come (contract 5, B-13)."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.holders import QUEUE_HOLDERS
from lash.backends.sql.queue_rows import (
    COUNT_OPEN,
    BatchBody,
    free_rows,
    insert_batch,
    next_number,
    taken_rows,
)
from lash.backends.sql.session_rows import SessionRow, announce, locked_session, write_lease
from lash.backends.sql.store import Store
from lash.backends.sql.turn_claims import TurnTerms
from lash.backends.sql.turn_rows import ReceiptRow, accepted_rows, receipt_of
from lash.backends.sql.wait_rows import PARKED_TURN, ParkedTurnRow
from lash.errors import LashError
from lash.rules.commits import session_deleted
from lash.rules.leases import lease_is_live
from lash.rules.queue import QueueRow, merge_key_text
from lash.rules.turns import (
    TurnGroup,
    TurnRow,
    cancelled_turn_id,
    check_not_busy,
    check_same_content,
    next_turn,
    turn_status,
)
from lash.values import (
    ClaimedTurn,
    QueuedWorkBatchDraft,
    QueuedWorkState,
    TurnAcceptance,
    TurnDraft,
)

_NEWEST = 2**63 - 1  # stands for the number of a row that is not stored yet: behind all others


class PreparedAcceptance(msgspec.Struct, frozen=True, kw_only=True):
    """A draft as bytes. `terms` are set when the caller would drive the turn."""

    draft: TurnDraft
    batch: QueuedWorkBatchDraft
    body: BatchBody
    content_hash: str
    terms: TurnTerms | None


async def accept(tx: Tx, store: Store, prepared: PreparedAcceptance) -> TurnAcceptance:
    """Store a turn's input, or tell what became of the same input before.

    Raises:
        LashError: see `TurnIngress.accept_turn`.
    """
    draft = prepared.draft
    session_id, turn_id = draft.session_id, draft.turn_id
    store.foresee_owners(tx, QUEUE_HOLDERS, session_id)
    asked: list[Query[Any]] = [  # rows of several types
        locked_session(session_id),
        taken_rows(session_id),
        free_rows(session_id, tx.now_ms, 1),
        accepted_rows(session_id, turn_id),
        receipt_of(session_id, turn_id),
        next_number(),
    ]
    if draft.on_busy == "refuse":
        asked.append(Query(int, COUNT_OPEN, session_id))
    sessions, taken, free, accepted, stamps, numbers, *unsettled = await tx.read(*asked)
    session = _checked_session(draft, sessions[0] if sessions else None)
    known = [row for row in accepted if row.state != QueuedWorkState.CANCELLED]
    if known:
        check_same_content(turn_id, known[-1].content_hash, prepared.content_hash)
        return await _known(tx, draft, known[-1], stamps)
    dead = await store.dead_among(tx, [session.lease_owner_id, *(row.claim_owner_id for row in taken)])
    if unsettled:
        check_not_busy(
            session_id,
            draft.on_busy,
            unsettled=unsettled[0][0],
            lease=session.lease,
            now_ms=tx.now_ms,
            dead_owners=dead,
        )
    is_next = prepared.terms is not None and _is_next(prepared, session, [*taken, *free], tx.now_ms, dead)
    return await _store(tx, prepared, session, stamps, numbers[0], is_next=is_next)


def _checked_session(draft: TurnDraft, session: SessionRow | None) -> SessionRow:
    if session is not None and session.is_deleted:
        raise session_deleted(draft.session_id)
    if session is None or session.agent is None:
        raise LashError(
            "session_unknown",
            f"session {draft.session_id!r} was never admitted; admit it first",
            session_id=draft.session_id,
        )
    if session.agent != draft.agent:
        raise agent_mismatch(draft.session_id, session.agent, draft.agent)
    return session


def agent_mismatch(session_id: str, agent: str, asked: str) -> LashError:
    """Return the error for work of another agent than the session's."""
    return LashError(
        "agent_mismatch",
        f"session {session_id!r} belongs to agent {agent!r}, not to {asked!r}",
        session_id=session_id,
        agent=agent,
        asked=asked,
    )


def _is_next(
    prepared: PreparedAcceptance,
    session: SessionRow,
    rows: list[QueueRow],
    now_ms: int,
    dead: frozenset[str],
) -> bool:
    """Whether the new row would be what its sender may claim now."""
    terms, batch = prepared.terms, prepared.batch
    if terms is None or lease_is_live(session.lease, now_ms, dead):
        return False
    new = QueueRow(
        batch_id=prepared.body.batch_id,
        enqueue_seq=_NEWEST,
        delivery_policy=batch.delivery_policy,
        slot_policy=batch.slot_policy,
        merge_key=merge_key_text(batch.merge_key),
        agent=prepared.draft.agent,
        turn_id=prepared.draft.turn_id,
    )
    group = next_turn(
        [*rows, new],
        lease=session.lease,
        owner_id=terms.owner_id,
        max_batches=1,
        now_ms=now_ms,
        is_parked=session.park_id is not None,
        dead_owners=dead,
    )
    return isinstance(group, TurnGroup) and group.rows[0].batch_id == new.batch_id


async def _store(
    tx: Tx,
    prepared: PreparedAcceptance,
    session: SessionRow,
    stamps: list[ReceiptRow],
    number: int,
    *,
    is_next: bool,
) -> TurnAcceptance:
    """Store the new row: waiting, claimed at once, or settled if its turn is committed already."""
    draft, terms = prepared.draft, prepared.terms if is_next and not stamps else None
    claim = None if terms is None else terms.claim(tx.now_ms)
    stored = await insert_batch(
        tx,
        number,
        prepared.batch,
        prepared.body,
        agent=draft.agent,
        turn_id=draft.turn_id,
        content_hash=prepared.content_hash,
        terms=claim,
        is_completed=is_next and bool(stamps),
    )
    claimed = None
    if terms is not None and claim is not None:
        lease = terms.lease(session, tx.now_ms)
        await write_lease(tx, session.sid, lease)
        claimed = ClaimedTurn(
            turn_id=draft.turn_id,
            agent=draft.agent,
            lease=lease,
            work=claim.claim(draft.session_id, 1, [stored]),
            head=session.head,
        )
    if claimed is None:  # nobody need be woken for a turn that its sender drives
        announce(tx, draft.session_id, queue=True)
    row = TurnRow(
        batch_id=stored.batch_id,
        enqueue_seq=stored.enqueue_seq,
        state=QueuedWorkState.PENDING if claimed is None else QueuedWorkState.CLAIMED,
        turn_id=draft.turn_id,
        content_hash=prepared.content_hash,
        run_turn_id=None if claimed is None else draft.turn_id,
    )
    return _acceptance(draft, row, stamps, known=False, claimed=claimed)


async def _known(tx: Tx, draft: TurnDraft, row: TurnRow, stamps: list[ReceiptRow]) -> TurnAcceptance:
    run_id = cancelled_turn_id(draft.turn_id, row)
    if run_id != draft.turn_id:
        (stamps,) = await tx.read(receipt_of(draft.session_id, run_id))
    parked = await tx.fetch_one(ParkedTurnRow, PARKED_TURN, draft.session_id)
    acceptance = _acceptance(draft, row, stamps, known=True, claimed=None)
    if parked is None or stamps:
        return acceptance
    return acceptance.replace(status=acceptance.status.replace(parked_on=parked.parked_on(run_id)))


def _acceptance(
    draft: TurnDraft, row: TurnRow, stamps: list[ReceiptRow], *, known: bool, claimed: ClaimedTurn | None
) -> TurnAcceptance:
    receipt = stamps[0].decoded() if stamps else None
    return TurnAcceptance(
        turn_id=draft.turn_id,
        batch_id=row.batch_id,
        enqueue_seq=row.enqueue_seq,
        status=turn_status(draft.turn_id, row, receipt, is_committed=bool(stamps)),
        known=known,
        claimed=claimed,
    )
