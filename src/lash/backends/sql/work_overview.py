"""What there is to do, seen from above: ready sessions, unserved work, and what the dead still hold.

`list_ready_sessions` looks at a few rows of each session that has work, however much work that is: the taken
ones, the first available one, and the one that becomes available next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from lash.backends.sql.effect_rows import expanded_key, scope_of
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.session_rows import announce
from lash.backends.sql.store import LIST_OWNERS, REMOVE_OWNERS, Store, json_list
from lash.rules.leases import is_live
from lash.rules.queue import QueueRow
from lash.rules.turns import ready_at_ms
from lash.values import ReadySession


class WaitingRow(msgspec.Struct, frozen=True, gc=False):
    """A batch with the lease and the agent of its session."""

    session_id: str
    agent: str | None
    lease_owner_id: str | None
    lease_expires_at_ms: int
    batch_id: str
    enqueue_seq: int
    available_at_ms: int
    claim_owner_id: str | None
    claim_token: str | None
    claim_expires_at_ms: int
    run_turn_id: str | None

    def queue_row(self) -> QueueRow:
        """Return the batch as decisions about its time see it."""
        return QueueRow(
            batch_id=self.batch_id,
            enqueue_seq=self.enqueue_seq,
            delivery_policy="",
            slot_policy="",
            available_at_ms=self.available_at_ms,
            claim_owner_id=self.claim_owner_id,
            claim_token=self.claim_token,
            claim_expires_at_ms=self.claim_expires_at_ms,
            run_turn_id=self.run_turn_id,
        )


class AgentCount(msgspec.Struct, frozen=True, gc=False):
    """How many batches wait for an agent."""

    agent: str
    count: int


class HeldEffect(msgspec.Struct, frozen=True, gc=False):
    """An effect under a claim."""

    effect_seq: int
    session_id: str | None
    scope_type: str
    scope_id: str
    replay_key: str
    effect_id: str


# The recursive part steps from one session with work to the next through the index, past all rows between.
WAITING_ROWS = """
    WITH RECURSIVE open_session (sid) AS (
        SELECT min(sid) FROM queue WHERE settled_at_ms IS NULL
        UNION ALL
        SELECT (SELECT min(q.sid) FROM queue q WHERE q.settled_at_ms IS NULL AND q.sid > o.sid)
        FROM open_session o WHERE o.sid IS NOT NULL
    )
    SELECT s.session_id, coalesce(q.agent, s.agent), s.lease_owner_id, s.lease_expires_at_ms, q.batch_id,
        q.enqueue_seq, q.available_at_ms, q.claim_owner_id, q.claim_token, q.claim_expires_at_ms, q.run_turn_id
    FROM open_session o CROSS JOIN session s ON s.sid = o.sid AND s.park_id IS NULL
        CROSS JOIN queue q ON q.enqueue_seq IN (
        SELECT * FROM (SELECT f.enqueue_seq FROM queue f WHERE f.sid = o.sid AND f.taken = 0
            AND f.settled_at_ms IS NULL AND f.available_at_ms <= ?1 ORDER BY f.enqueue_seq LIMIT 1)
        UNION ALL
        SELECT t.enqueue_seq FROM queue t WHERE t.sid = o.sid AND t.taken = 1 AND t.settled_at_ms IS NULL
        UNION ALL
        SELECT * FROM (SELECT l.enqueue_seq FROM queue l WHERE l.sid = o.sid AND l.settled_at_ms IS NULL
            AND l.available_at_ms > 0 AND l.available_at_ms > ?1 AND l.taken = 0
            ORDER BY l.available_at_ms LIMIT 1)
    )"""
UNSERVED = """SELECT coalesce(q.agent, s.agent) AS served_by, count(*) FROM queue q JOIN session s USING (sid)
    WHERE q.settled_at_ms IS NULL AND coalesce(q.agent, s.agent) IS NOT NULL
    AND coalesce(q.agent, s.agent) NOT IN (SELECT value FROM json_each(?)) GROUP BY served_by"""
SESSIONS_OF_OWNERS = """SELECT session_id FROM session
    WHERE lease_owner_id IN (SELECT value FROM json_each(?))"""
FREE_SESSIONS = """UPDATE session SET lease_owner_id = NULL, lease_token = NULL, lease_claimed_at_ms = 0,
    lease_expires_at_ms = 0 WHERE lease_owner_id IN (SELECT value FROM json_each(?))"""
BATCHES_OF_OWNERS = """SELECT s.session_id FROM queue q JOIN session s USING (sid)
    WHERE q.settled_at_ms IS NULL AND q.claim_owner_id IN (SELECT value FROM json_each(?))"""
FREE_BATCHES = """UPDATE queue SET state = 'pending', taken = run_turn_id IS NOT NULL, claim_id = NULL,
    claim_owner_id = NULL, claim_token = NULL, claim_expires_at_ms = 0
    WHERE settled_at_ms IS NULL AND claim_owner_id IN (SELECT value FROM json_each(?))"""
EFFECTS_OF_OWNERS = """SELECT e.effect_seq, s.session_id, e.scope_type, e.scope_id, e.replay_key, e.effect_id
    FROM effect e LEFT JOIN session s USING (sid)
    WHERE e.claim_owner_id IN (SELECT value FROM json_each(?))"""
FREE_EFFECTS = """UPDATE effect SET claim_owner_id = NULL, claim_token = NULL, claim_expires_at_ms = 0
    WHERE claim_owner_id IN (SELECT value FROM json_each(?))"""


PROCESSES_OF_OWNERS = """SELECT process_id FROM process
    WHERE lease_owner_id IN (SELECT value FROM json_each(?))"""
FREE_PROCESSES = """UPDATE process SET lease_owner_id = NULL, lease_token = NULL, lease_claimed_at_ms = 0,
    lease_expires_at_ms = 0 WHERE lease_owner_id IN (SELECT value FROM json_each(?))"""


async def list_ready_sessions(tx: Tx, store: Store, agents: Sequence[str], limit: int) -> list[ReadySession]:
    """Return the sessions of these agents with work and without a live lease; see `TurnIngress`."""
    rows = await tx.fetch_all(WaitingRow, WAITING_ROWS, tx.now_ms)
    dead = await store.dead_among(
        tx, {owner for row in rows for owner in (row.lease_owner_id, row.claim_owner_id)}
    )
    by_session: dict[str, list[WaitingRow]] = {}
    for row in rows:
        if not is_live(row.lease_owner_id, row.lease_expires_at_ms, tx.now_ms, dead):
            by_session.setdefault(row.session_id, []).append(row)
    found = [_ready(waiting, tx.now_ms, dead) for waiting in by_session.values()]
    served = [ready for ready in found if ready is not None and ready.agent in agents]
    served.sort(key=lambda ready: (max(ready.ready_at_ms, tx.now_ms), ready.enqueue_seq))
    return served[: max(limit, 0)]


async def list_unserved(tx: Tx, agents: Sequence[str]) -> dict[str, int]:
    """Return how many unsettled batches wait for each agent that is not among these."""
    counts = await tx.fetch_all(AgentCount, UNSERVED, json_list(agents))
    return {count.agent: count.count for count in counts}


async def dead_owned_work(tx: Tx, store: Store) -> frozenset[str]:
    """Return the owners that made themselves known here and are gone."""
    store.foresee_owners(tx, LIST_OWNERS)
    return await store.dead_among(tx, await tx.fetch_all(str, LIST_OWNERS))


async def release_dead(tx: Tx, store: Store) -> int:
    """Expire what dead owners hold, and forget them; return how many things were freed."""
    dead = await dead_owned_work(tx, store)
    if not dead:
        return 0
    owners = json_list(sorted(dead))
    leased, batches, effects, processes = await tx.read(
        Query(str, SESSIONS_OF_OWNERS, owners),
        Query(str, BATCHES_OF_OWNERS, owners),
        Query(HeldEffect, EFFECTS_OF_OWNERS, owners),
        Query(str, PROCESSES_OF_OWNERS, owners),
    )
    await tx.write(FREE_SESSIONS, owners)
    await tx.write(FREE_BATCHES, owners)
    await tx.write(FREE_EFFECTS, owners)
    await tx.write(FREE_PROCESSES, owners)
    await tx.write(REMOVE_OWNERS, owners)
    _announce(tx, {*leased, *batches}, effects)
    if processes:
        tx.notify("processes")
    return len(leased) + len(batches) + len(effects) + len(processes)


def _announce(tx: Tx, session_ids: Iterable[str], effects: Iterable[HeldEffect]) -> None:
    for session_id in session_ids:
        announce(tx, session_id, queue=True)
    for effect in effects:
        scope = scope_of(effect.scope_type, effect.scope_id, effect.session_id)
        tx.notify(f"effect:{expanded_key(scope, effect.replay_key, effect.effect_id)}")


def _ready(rows: Sequence[WaitingRow], now_ms: int, dead: frozenset[str]) -> ReadySession | None:
    at = {row.enqueue_seq: ready_at_ms(row.queue_row(), now_ms, dead) for row in rows}
    first = min(rows, key=lambda row: (max(at[row.enqueue_seq], now_ms), row.enqueue_seq))
    if first.agent is None:
        return None
    return ReadySession(
        session_id=first.session_id,
        agent=first.agent,
        ready_at_ms=at[first.enqueue_seq],
        enqueue_seq=first.enqueue_seq,
    )
