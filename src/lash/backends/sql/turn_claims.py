"""Putting a turn into a driver's hands: lease, batches, head and journal in one transaction (B-4, B-28)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lash.backends.sql.effect_rows import lines_of_scope
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.holders import QUEUE_HOLDERS
from lash.backends.sql.queue_rows import (
    BATCHES_AT,
    COMMITTED_TURNS,
    NEXT_SCHEDULED_ROW,
    UNNAMED_IN_FRONT,
    BatchRow,
    ClaimTerms,
    complete_rows,
    free_rows,
    put_under_claim,
    seq_list,
    taken_rows,
)
from lash.backends.sql.session_rows import SessionRow, locked_session, write_lease
from lash.backends.sql.store import Store
from lash.backends.sql.turn_rows import receipt_of
from lash.backends.sql.wait_rows import is_resolved
from lash.rules.journal import cancel_wait_key
from lash.rules.leases import NO_LEASE, expires_at, granted_lease
from lash.rules.queue import QueueRow, is_claimed
from lash.rules.turns import NextTurn, TurnGroup, next_turn, turn_id_of_batch
from lash.values import (
    ClaimedTurn,
    ClaimRefused,
    ClaimTurnAnswer,
    EffectRecord,
    EffectScope,
    QueuedWorkClaim,
    SessionLease,
    TurnInputPayload,
)


class TurnTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Who claims a turn, for how long, and the fresh ids of the claim. Made outside the script."""

    owner_id: str
    ttl_ms: int
    lease_token: str
    claim_id: str
    claim_token: str

    @classmethod
    def fresh(cls, store: Store, owner_id: str, ttl_ms: int) -> TurnTerms:
        """Return terms with ids of their own.

        Raises:
            LashError: `invalid_argument` for a negative time to live.
        """
        expires_at(0, ttl_ms)
        return cls(
            owner_id=owner_id,
            ttl_ms=ttl_ms,
            lease_token=store.new_id("token"),
            claim_id=store.new_id("claim"),
            claim_token=store.new_id("token"),
        )

    def claim(self, now_ms: int, part: int = 0) -> ClaimTerms:
        """Return the terms of a queue claim; each group of a turn has one of its own."""
        suffix = f".{part}" if part else ""
        return ClaimTerms(
            claim_id=self.claim_id + suffix,
            owner_id=self.owner_id,
            lease_token=self.claim_token + suffix,
            claimed_at_ms=now_ms,
            expires_at_ms=expires_at(now_ms, self.ttl_ms),
        )

    def lease(self, session: SessionRow, now_ms: int) -> SessionLease:
        """Return the session's next lease."""
        return granted_lease(
            session.session_id,
            session.lease,
            owner_id=self.owner_id,
            lease_token=self.lease_token,
            now_ms=now_ms,
            ttl_ms=self.ttl_ms,
        )


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What comes next in a session."""

    session: SessionRow | None
    group: NextTurn
    over: list[QueueRow]
    """Batches of turns that are committed; the group is what comes next without them."""
    unnamed: list[BatchRow]
    """The batches in front that have no turn id of their own."""
    is_cut_short: bool
    """Whether all of the free batches that were read are over."""


class KnownTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a turn that is about to be taken up."""

    turn_id: str
    is_committed: bool
    is_cancel_requested: bool
    batches: dict[int, BatchRow]
    journal: tuple[EffectRecord, ...]


async def claim_next_turn(
    tx: Tx,
    store: Store,
    session_id: str,
    terms: TurnTerms,
    *,
    agents: Sequence[str],
    max_batches: int,
) -> ClaimTurnAnswer:
    """Claim the session's next turn, or say why there is none.

    Work of a turn that is committed already is settled on the way: its driver died before it could.
    """
    while True:
        look = await _look(tx, store, session_id, terms.owner_id, max_batches)
        group, session = look.group, look.session
        if look.over and not (isinstance(group, ClaimRefused) and group.reason == "session_leased"):
            await complete_rows(tx, look.over)
            tx.notify(f"session:{session_id}")
            if isinstance(group, ClaimRefused) and look.is_cut_short:
                continue  # what comes behind them was not read
        if isinstance(group, ClaimRefused):
            return group
        assert session is not None  # it has work
        agent = group.rows[0].agent or session.agent
        if agent is None or agent not in agents:
            return ClaimRefused(reason="agent_not_served")
        known = await _known(tx, session_id, group, await _turn_id(tx, group, look.unnamed))
        if not known.is_committed:
            return await _take(tx, session, group, agent, terms, known)
        await complete_rows(tx, group.all_rows)
        tx.notify(f"session:{session_id}")


async def injected_claims(tx: Tx, taken: Sequence[QueueRow], turn_id: str) -> dict[str, QueuedWorkClaim]:
    """Return the claims that a turn's checkpoints hold, by effect id.

    Args:
        tx: The transaction.
        taken: The session's taken rows.
        turn_id: The turn.
    """
    by_effect: dict[str, list[QueueRow]] = {}
    for row in composition(taken, turn_id):
        if row.injected_effect_id is not None and row.claim_token is not None:
            by_effect.setdefault(row.injected_effect_id, []).append(row)
    if not by_effect:
        return {}
    held = [row for rows in by_effect.values() for row in rows]
    stored = {row.enqueue_seq: row for row in await tx.fetch_all(BatchRow, BATCHES_AT, seq_list(held))}
    return {
        effect_id: _claim_of([stored[row.enqueue_seq] for row in sorted(rows, key=_by_number)])
        for effect_id, rows in by_effect.items()
    }


def composition(taken: Sequence[QueueRow], turn_id: str) -> list[QueueRow]:
    """Return those of a session's taken rows that a turn consists of."""
    return [row for row in taken if row.run_turn_id == turn_id]


async def _look(tx: Tx, store: Store, session_id: str, owner_id: str, max_batches: int) -> Look:
    store.foresee_owners(tx, QUEUE_HOLDERS, session_id)
    sessions, taken, free, scheduled, unnamed, committed = await tx.read(
        locked_session(session_id),
        taken_rows(session_id),
        free_rows(session_id, tx.now_ms, max_batches),
        Query(QueueRow, NEXT_SCHEDULED_ROW, session_id, tx.now_ms),
        Query(BatchRow, UNNAMED_IN_FRONT, session_id, tx.now_ms),
        Query(str, COMMITTED_TURNS, session_id, tx.now_ms),
    )
    session = sessions[0] if sessions else None
    lease = NO_LEASE if session is None else session.lease
    dead = await store.dead_among(tx, [lease.owner_id, *(row.claim_owner_id for row in taken)])
    over = [
        row
        for row in (*taken, *free)
        if (row.run_turn_id or row.turn_id) in committed and not is_claimed(row, tx.now_ms, dead)
    ]
    group = next_turn(
        [row for row in (*taken, *(free or scheduled)) if row not in over],
        lease=lease,
        owner_id=owner_id,
        max_batches=max_batches,
        now_ms=tx.now_ms,
        is_parked=session is not None and session.park_id is not None,
        dead_owners=dead,
    )
    is_cut_short = bool(free) and all(row in over for row in free)
    return Look(session=session, group=group, over=over, unnamed=unnamed, is_cut_short=is_cut_short)


async def _known(tx: Tx, session_id: str, group: TurnGroup, turn_id: str) -> KnownTurn:
    """Read what there is of a turn, in one flight; its journal only if somebody has driven it before."""
    scope = EffectScope.turn(session_id, turn_id)
    asked: list[Query[Any]] = [  # rows of several types
        receipt_of(session_id, turn_id),
        is_resolved(cancel_wait_key(session_id, turn_id)),
        Query(BatchRow, BATCHES_AT, seq_list(group.all_rows)),
    ]
    if group.run_turn_id is not None:
        asked.append(lines_of_scope(scope))
    stamps, waits, batches, *journal = await tx.read(*asked)
    return KnownTurn(
        turn_id=turn_id,
        is_committed=bool(stamps),
        is_cancel_requested=bool(waits),
        batches={row.enqueue_seq: row for row in batches},
        journal=tuple(row.record() for rows in journal for row in rows if row.scope == scope),
    )


async def _take(
    tx: Tx, session: SessionRow, group: TurnGroup, agent: str, terms: TurnTerms, known: KnownTurn
) -> ClaimedTurn:
    session_id, lease = session.session_id, terms.lease(session, tx.now_ms)
    await write_lease(tx, session.sid, lease)
    work = await put_under_claim(
        tx, session_id, group.rows, known.batches, terms.claim(tx.now_ms), run_turn_id=known.turn_id
    )
    injected = {}
    for part, (effect_id, rows) in enumerate(group.injected.items(), start=1):
        injected[effect_id] = await put_under_claim(
            tx,
            session_id,
            rows,
            known.batches,
            terms.claim(tx.now_ms, part),
            run_turn_id=known.turn_id,
            injected_effect_id=effect_id,
        )
    return ClaimedTurn(
        turn_id=known.turn_id,
        agent=agent,
        lease=lease,
        work=work,
        head=session.head,
        journal=known.journal,
        injected=injected,
        restarts=group.restarts,
        cancel_requested=known.is_cancel_requested,
    )


async def _turn_id(tx: Tx, group: TurnGroup, unnamed: Sequence[BatchRow]) -> str:
    head = group.rows[0]
    if group.run_turn_id is not None or head.turn_id is not None:
        return group.run_turn_id or head.turn_id or ""
    stored = next((row for row in unnamed if row.enqueue_seq == head.enqueue_seq), None)
    if stored is None:
        stored = await tx.fetch_one(BatchRow, BATCHES_AT, seq_list([head]))
    payloads = () if stored is None else stored.batch().payloads
    inputs = (payload.input for payload in payloads if isinstance(payload, TurnInputPayload))
    first = next(inputs, None)
    return first.turn_id if first is not None and first.turn_id else turn_id_of_batch(head.batch_id)


def _claim_of(stored: Sequence[BatchRow]) -> QueuedWorkClaim:
    head = stored[0]
    return QueuedWorkClaim(
        claim_id=head.claim_id or "",
        session_id=head.session_id,
        owner_id=head.claim_owner_id or "",
        lease_token=head.claim_token or "",
        fencing_token=head.fencing_token,
        claimed_at_ms=head.claimed_at_ms,
        expires_at_ms=head.claim_expires_at_ms,
        batches=tuple(row.batch() for row in stored),
    )


def _by_number(row: QueueRow) -> int:
    return row.enqueue_seq
