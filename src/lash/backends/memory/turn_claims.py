"""Putting a turn into a driver's hands: lease, batches, head and journal in one step (B-4, B-28)."""

from __future__ import annotations

from collections.abc import Sequence

from lash.backends.memory.queue_table import StoredBatch
from lash.backends.memory.tables import Tables
from lash.rules.leases import expires_at, granted_lease, lease_row
from lash.rules.turns import TurnGroup, next_turn, turn_id_of_batch
from lash.values import (
    ClaimedTurn,
    ClaimRefused,
    ClaimTurnAnswer,
    EffectRecord,
    EffectScope,
    QueuedWorkClaim,
    QueuedWorkState,
    TurnInputPayload,
)


def claim_next_turn(
    tables: Tables,
    session_id: str,
    *,
    owner_id: str,
    agents: Sequence[str],
    now_ms: int,
    ttl_ms: int,
    max_batches: int,
    only_batch_id: str | None = None,
) -> ClaimTurnAnswer:
    """Claim the session's next turn, or say why there is none.

    Work of a turn that is committed already is settled on the way: its driver died before it could. With
    `only_batch_id`, only a turn that this batch heads is claimed.
    """
    expires_at(now_ms, ttl_ms)  # refuses a negative time to live before anything changes
    while True:
        group = next_turn(
            tables.queue.open_rows(session_id),
            lease=tables.lease(session_id),
            owner_id=owner_id,
            max_batches=max_batches,
            now_ms=now_ms,
            is_parked=tables.parking.turn_of(session_id) is not None,
            dead_owners=tables.dead_owners,
        )
        if isinstance(group, ClaimRefused):
            return group
        if only_batch_id is not None and group.rows[0].batch_id != only_batch_id:
            return ClaimRefused(reason="empty")
        agent = agent_of(tables, session_id, group)
        if agent is None or agent not in agents:
            return ClaimRefused(reason="agent_not_served")
        turn_id = _turn_id(tables, session_id, group)
        if (session_id, turn_id) not in tables.stamps:
            return _take(tables, session_id, group, turn_id, agent, owner_id, now_ms, ttl_ms)
        tables.queue.settle(_stored(tables, session_id, group), QueuedWorkState.COMPLETED, now_ms)


def agent_of(tables: Tables, session_id: str, group: TurnGroup) -> str | None:
    """Return whose work a turn is: its head's, else the session's."""
    session = tables.sessions.get(session_id)
    return group.rows[0].agent or (session.agent if session is not None else None)


def injected_claims(tables: Tables, session_id: str, turn_id: str) -> dict[str, QueuedWorkClaim]:
    """Return the claims that a turn's checkpoints hold, by effect id."""
    by_effect: dict[str, list[StoredBatch]] = {}
    for stored in composition(tables, session_id, turn_id):
        effect_id = stored.row.injected_effect_id
        if effect_id is not None and stored.row.claim_token is not None:
            by_effect.setdefault(effect_id, []).append(stored)
    return {effect_id: tables.queue.claim_of(batches) for effect_id, batches in by_effect.items()}


def composition(tables: Tables, session_id: str, turn_id: str) -> list[StoredBatch]:
    """Return the unsettled batches that a turn consists of."""
    return [s for s in tables.queue.open_batches(session_id) if s.row.run_turn_id == turn_id]


def _take(
    tables: Tables,
    session_id: str,
    group: TurnGroup,
    turn_id: str,
    agent: str,
    owner_id: str,
    now_ms: int,
    ttl_ms: int,
) -> ClaimedTurn:
    lease = granted_lease(
        session_id,
        tables.lease(session_id),
        owner_id=owner_id,
        lease_token=tables.ids.new("token"),
        now_ms=now_ms,
        ttl_ms=ttl_ms,
    )
    tables.leases[session_id] = lease_row(lease)
    work = tables.queue.claim(
        session_id, group.rows, owner_id=owner_id, now_ms=now_ms, ttl_ms=ttl_ms, run_turn_id=turn_id
    )
    for effect_id, rows in group.injected.items():
        tables.queue.claim(
            session_id,
            rows,
            owner_id=owner_id,
            now_ms=now_ms,
            ttl_ms=ttl_ms,
            run_turn_id=turn_id,
            injected_effect_id=effect_id,
        )
    return ClaimedTurn(
        turn_id=turn_id,
        agent=agent,
        lease=lease,
        work=work,
        head=tables.head(session_id),
        journal=_journal(tables, session_id, turn_id) if group.run_turn_id is not None else (),
        injected=injected_claims(tables, session_id, turn_id),
        restarts=group.restarts,
        cancel_requested=tables.is_cancel_requested(session_id, turn_id),
    )


def _turn_id(tables: Tables, session_id: str, group: TurnGroup) -> str:
    head = group.rows[0]
    if group.run_turn_id is not None or head.turn_id is not None:
        return group.run_turn_id or head.turn_id or ""
    stored = tables.queue.find_open(session_id, head.batch_id)
    payloads = stored.batch().payloads if stored is not None else ()
    inputs = (payload.input for payload in payloads if isinstance(payload, TurnInputPayload))
    first = next(inputs, None)
    return first.turn_id if first is not None and first.turn_id else turn_id_of_batch(head.batch_id)


def _stored(tables: Tables, session_id: str, group: TurnGroup) -> list[StoredBatch]:
    found = (tables.queue.find_open(session_id, row.batch_id) for row in group.all_rows)
    return [stored for stored in found if stored is not None]


def _journal(tables: Tables, session_id: str, turn_id: str) -> tuple[EffectRecord, ...]:
    scope = EffectScope.turn(session_id, turn_id)
    return tuple(line.record() for line in tables.effects.of_scope(scope.key))
