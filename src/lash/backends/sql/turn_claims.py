"""Putting a turn into a driver's hands: lease, batches, head and journal in one transaction (B-4, B-28)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.sql.effect_rows import effects_of_scope
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.queue_rows import (
    BATCHES_AT,
    NEXT_SCHEDULED_ROW,
    BatchRow,
    ClaimTerms,
    claim_rows,
    complete_rows,
    free_rows,
    seq_list,
    taken_rows,
)
from lash.backends.sql.session_rows import SessionRow, locked_session, write_lease
from lash.backends.sql.store import Store
from lash.backends.sql.turn_rows import receipt_of
from lash.backends.sql.waits import FIND_WAIT, WaitRow
from lash.rules.journal import cancel_wait_key
from lash.rules.leases import NO_LEASE, expires_at, granted_lease
from lash.rules.queue import QueueRow
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
        session, group = await _look(tx, store, session_id, terms.owner_id, max_batches)
        if isinstance(group, ClaimRefused):
            return group
        assert session is not None  # it has work
        agent = group.rows[0].agent or session.agent
        if agent is None or agent not in agents:
            return ClaimRefused(reason="agent_not_served")
        turn_id = await _turn_id(tx, group)
        (stamps,) = await tx.read(receipt_of(session_id, turn_id))
        if not stamps:
            return await _take(tx, session, group, turn_id, agent, terms)
        await complete_rows(tx, group.all_rows)
        tx.notify(f"session:{session_id}")


async def injected_claims(tx: Tx, session_id: str, turn_id: str) -> dict[str, QueuedWorkClaim]:
    """Return the claims that a turn's checkpoints hold, by effect id."""
    (taken,) = await tx.read(taken_rows(session_id))
    by_effect: dict[str, list[QueueRow]] = {}
    for row in composition(taken, turn_id):
        if row.injected_effect_id is not None and row.claim_token is not None:
            by_effect.setdefault(row.injected_effect_id, []).append(row)
    return {effect_id: await _claim_of(tx, rows) for effect_id, rows in by_effect.items()}


def composition(taken: Sequence[QueueRow], turn_id: str) -> list[QueueRow]:
    """Return those of a session's taken rows that a turn consists of."""
    return [row for row in taken if row.run_turn_id == turn_id]


async def _look(
    tx: Tx, store: Store, session_id: str, owner_id: str, max_batches: int
) -> tuple[SessionRow | None, NextTurn]:
    sessions, taken, free = await tx.read(
        locked_session(session_id), taken_rows(session_id), free_rows(session_id, tx.now_ms, max_batches)
    )
    if not free:
        free = await tx.fetch_all(QueueRow, NEXT_SCHEDULED_ROW, session_id, tx.now_ms)
    session = sessions[0] if sessions else None
    lease = NO_LEASE if session is None else session.lease
    dead = await store.dead_among(tx, [lease.owner_id, *(row.claim_owner_id for row in taken)])
    return session, next_turn(
        [*taken, *free],
        lease=lease,
        owner_id=owner_id,
        max_batches=max_batches,
        now_ms=tx.now_ms,
        dead_owners=dead,
    )


async def _take(
    tx: Tx, session: SessionRow, group: TurnGroup, turn_id: str, agent: str, terms: TurnTerms
) -> ClaimedTurn:
    session_id, lease = session.session_id, terms.lease(session, tx.now_ms)
    await write_lease(tx, session.sid, lease)
    work = await claim_rows(tx, session_id, group.rows, terms.claim(tx.now_ms), run_turn_id=turn_id)
    injected = {}
    for part, (effect_id, rows) in enumerate(group.injected.items(), start=1):
        injected[effect_id] = await claim_rows(
            tx,
            session_id,
            rows,
            terms.claim(tx.now_ms, part),
            run_turn_id=turn_id,
            injected_effect_id=effect_id,
        )
    (waits,) = await tx.read(Query(WaitRow, FIND_WAIT, cancel_wait_key(session_id, turn_id)))
    return ClaimedTurn(
        turn_id=turn_id,
        agent=agent,
        lease=lease,
        work=work,
        head=session.head,
        journal=await _journal(tx, session_id, turn_id) if group.run_turn_id is not None else (),
        injected=injected,
        restarts=group.restarts,
        cancel_requested=bool(waits),
    )


async def _turn_id(tx: Tx, group: TurnGroup) -> str:
    head = group.rows[0]
    if group.run_turn_id is not None or head.turn_id is not None:
        return group.run_turn_id or head.turn_id or ""
    stored = await tx.fetch_one(BatchRow, BATCHES_AT, seq_list([head]))
    payloads = () if stored is None else stored.batch().payloads
    inputs = (payload.input for payload in payloads if isinstance(payload, TurnInputPayload))
    first = next(inputs, None)
    return first.turn_id if first is not None and first.turn_id else turn_id_of_batch(head.batch_id)


async def _claim_of(tx: Tx, rows: Sequence[QueueRow]) -> QueuedWorkClaim:
    stored = await tx.fetch_all(BatchRow, BATCHES_AT, seq_list(rows))
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


async def _journal(tx: Tx, session_id: str, turn_id: str) -> tuple[EffectRecord, ...]:
    rows = await effects_of_scope(tx, EffectScope.turn(session_id, turn_id))
    return tuple(row.record() for row in rows)
