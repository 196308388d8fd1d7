"""The door for turns: acceptance, claims, cancellation, and what there is to do (contract 5, B-13)."""

from __future__ import annotations

from collections.abc import Sequence

from lash.backends.memory.parking import ParkedTurn, is_ready, make_ready, resolve_key
from lash.backends.memory.queue_table import StoredBatch
from lash.backends.memory.tables import Tables
from lash.backends.memory.turn_claims import claim_next_turn, composition, injected_claims
from lash.errors import LashError
from lash.rules.commits import session_deleted
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.journal import cancel_wait_key
from lash.rules.leases import (
    check_current_lease,
    expires_at,
    is_current_lease,
    lease_is_live,
    lease_row,
    released,
)
from lash.rules.process_leases import released_row
from lash.rules.turns import (
    TurnRow,
    accepted_batch_draft,
    accepted_source_key,
    cancel_answer,
    cancelled_turn_id,
    check_not_busy,
    check_same_content,
    ready_at_ms,
    select_injections,
    turn_status,
)
from lash.rules.waits import parking_keys
from lash.values import (
    CancelAnswer,
    ClaimedTurn,
    ClaimTurnAnswer,
    EffectScope,
    QueuedWorkClaim,
    QueuedWorkState,
    ReadySession,
    TurnAcceptance,
    TurnDraft,
    TurnReceipt,
    TurnStatus,
    stable_hash,
)


class MemoryTurnIngress:
    """See `TurnIngress` for the contract."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def accept_turn(
        self, draft: TurnDraft, *, claim_owner_id: str | None = None, lease_ttl_ms: int = 30_000
    ) -> TurnAcceptance:
        """Accept input; take its turn up at once if asked to and if it has come."""
        tables, now_ms = self._tables, self._tables.clock.now_ms()
        expires_at(now_ms, lease_ttl_ms)
        check_session_id(draft.session_id)
        check_text(draft.turn_id, what="turn id")
        self._check_session(draft)
        content_hash = stable_hash(draft.content())
        known = self._accepted(draft.session_id, draft.turn_id)
        if known is not None:
            check_same_content(draft.turn_id, known.content_hash, content_hash)
            return self._acceptance(draft, known, known=True, claimed=None)
        check_not_busy(
            draft.session_id,
            draft.on_busy,
            unsettled=len(tables.queue.open_rows(draft.session_id)),
            lease=tables.lease(draft.session_id),
            now_ms=now_ms,
            dead_owners=tables.dead_owners,
        )
        stored = tables.queue.prepare(
            accepted_batch_draft(draft),
            now_ms=now_ms,
            agent=draft.agent,
            turn_id=draft.turn_id,
            content_hash=content_hash,
        )
        tables.queue.put(stored)
        claimed = self._claim_accepted(draft, stored, claim_owner_id, now_ms, lease_ttl_ms)
        if claimed is None:  # nobody need be woken for a turn that its sender drives
            tables.announce(draft.session_id, queue=True)
        return self._acceptance(draft, stored, known=False, claimed=claimed)

    async def claim_turn(
        self,
        session_id: str,
        *,
        owner_id: str,
        agents: Sequence[str],
        lease_ttl_ms: int,
        max_batches: int = 64,
    ) -> ClaimTurnAnswer:
        """Take up a session's next turn; an interrupted one comes first."""
        return claim_next_turn(
            self._tables,
            session_id,
            owner_id=owner_id,
            agents=agents,
            now_ms=self._tables.clock.now_ms(),
            ttl_ms=lease_ttl_ms,
            max_batches=max_batches,
        )

    async def claim_injections(
        self, claimed: ClaimedTurn, *, effect_id: str, lease_ttl_ms: int, max_batches: int = 64
    ) -> QueuedWorkClaim | None:
        """Claim work that may enter the running turn at a checkpoint, or None."""
        session_id, now_ms = claimed.lease.session_id, self._tables.clock.now_ms()
        expires_at(now_ms, lease_ttl_ms)
        check_current_lease(claimed.lease, self._tables.lease(session_id))
        rows = select_injections(
            self._tables.queue.open_rows(session_id),
            turn_id=claimed.turn_id,
            effect_id=effect_id,
            max_batches=max_batches,
            now_ms=now_ms,
            dead_owners=self._tables.dead_owners,
        )
        if not rows:
            return None
        return self._tables.queue.claim(
            session_id,
            rows,
            owner_id=claimed.lease.owner_id,
            now_ms=now_ms,
            ttl_ms=lease_ttl_ms,
            run_turn_id=claimed.turn_id,
            injected_effect_id=effect_id,
        )

    async def renew_turn(self, claimed: ClaimedTurn, *, lease_ttl_ms: int) -> ClaimedTurn:
        """Extend the lease and every queue claim of the turn."""
        tables, session_id = self._tables, claimed.lease.session_id
        expiry = expires_at(tables.clock.now_ms(), lease_ttl_ms)
        check_current_lease(claimed.lease, tables.lease(session_id))
        lease = claimed.lease.replace(expires_at_ms=expiry)
        tables.leases[session_id] = lease_row(lease)
        tables.queue.extend(composition(tables, session_id, claimed.turn_id), expiry)
        return claimed.replace(
            lease=lease,
            work=claimed.work.replace(expires_at_ms=expiry),
            injected=injected_claims(tables, session_id, claimed.turn_id),
            cancel_requested=tables.is_cancel_requested(session_id, claimed.turn_id),
        )

    async def abandon_turn(self, claimed: ClaimedTurn) -> None:
        """Give the lease back without a commit; the turn keeps its composition."""
        tables, session_id = self._tables, claimed.lease.session_id
        row = tables.lease(session_id)
        if is_current_lease(claimed.lease, row):
            tables.leases[session_id] = released(row)
            tables.queue.give_back(composition(tables, session_id, claimed.turn_id))
            tables.announce(session_id, queue=True)

    async def park_turn(self, claimed: ClaimedTurn, wait_keys: Sequence[str]) -> bool:
        """Give a turn back until one of the waits is resolved, unless there is nothing to wait for."""
        tables, session_id, turn_id = self._tables, claimed.lease.session_id, claimed.turn_id
        keys = parking_keys(wait_keys)
        row = tables.lease(session_id)
        check_current_lease(claimed.lease, row)
        if tables.is_cancel_requested(session_id, turn_id) or is_ready(tables, keys):
            return False
        tables.leases[session_id] = released(row)
        tables.queue.give_back(composition(tables, session_id, turn_id), as_parked=True)
        tables.parking.park(ParkedTurn(session_id, turn_id), keys)
        tables.announce(session_id)
        return True

    async def find_turn(self, session_id: str, turn_id: str) -> TurnStatus:
        """Return what has become of a turn."""
        stored = self._tables.queue.of_turn(session_id, turn_id)
        row = None if stored is None else stored.turn_row()
        stamp = self._tables.stamps.get((session_id, cancelled_turn_id(turn_id, row)))
        return turn_status(
            turn_id,
            row,
            None if stamp is None else stamp.decoded_receipt(),
            is_committed=stamp is not None,
            parked_on=self._parked_on(session_id, turn_id, row),
        )

    async def list_receipts(
        self, session_id: str, *, after_revision: int, limit: int = 100
    ) -> list[TurnReceipt]:
        """Return what turns have committed after a revision, in that order."""
        receipts = [
            receipt
            for (owner, _), stamp in self._tables.stamps.items()
            if owner == session_id and (receipt := stamp.decoded_receipt()) is not None
        ]
        newer = [receipt for receipt in receipts if receipt.head_revision > after_revision]
        return sorted(newer, key=lambda receipt: receipt.head_revision)[:limit]

    async def request_cancel(self, session_id: str, turn_id: str) -> CancelAnswer:
        """Cancel a waiting turn, or tell a running one."""
        tables, now_ms = self._tables, self._tables.clock.now_ms()
        stored = tables.queue.of_turn(session_id, turn_id)
        row = None if stored is None else stored.turn_row()
        committed = (session_id, turn_id) in tables.stamps
        answer = cancel_answer(row, is_committed=committed, now_ms=now_ms)
        if answer == "cancelled_before_execution" and stored is not None:
            tables.queue.settle([stored], QueuedWorkState.CANCELLED, now_ms)
        elif answer == "requested":
            told = cancelled_turn_id(turn_id, row)
            scope_key = EffectScope.turn(session_id, told).key
            resolve_key(tables, cancel_wait_key(session_id, told), True, scope_key=scope_key)
            make_ready(tables, [ParkedTurn(session_id, told)])
        tables.announce(session_id, queue=answer == "cancelled_before_execution")
        return answer

    async def is_cancel_requested(self, session_id: str, turn_id: str) -> bool:
        """Whether somebody asked the running turn to stop."""
        return self._tables.is_cancel_requested(session_id, turn_id)

    async def list_ready_sessions(self, agents: Sequence[str], *, limit: int = 100) -> list[ReadySession]:
        """Return sessions with work and without a live lease: ready ones first, oldest work first."""
        tables, now_ms = self._tables, self._tables.clock.now_ms()
        found: list[ReadySession] = []
        for session_id in tables.queue.open_sessions():
            if tables.parking.turn_of(session_id) is not None:
                continue
            if not lease_is_live(tables.lease(session_id), now_ms, tables.dead_owners):
                ready = self._ready_session(session_id, now_ms)
                if ready is not None and ready.agent in agents:
                    found.append(ready)

        def order(ready: ReadySession) -> tuple[int, int]:
            return (max(ready.ready_at_ms, now_ms), ready.enqueue_seq)

        return sorted(found, key=order)[:limit]

    async def list_unserved(self, agents: Sequence[str]) -> dict[str, int]:
        """Return how many unsettled batches wait for each other agent."""
        counts: dict[str, int] = {}
        for session_id in self._tables.queue.open_sessions():
            for stored in self._tables.queue.open_batches(session_id):
                agent = self._agent(stored)
                if agent is not None and agent not in agents:
                    counts[agent] = counts.get(agent, 0) + 1
        return counts

    async def prune_settled_work(self, *, settled_before_ms: int, limit: int = 1000) -> int:
        """Delete up to `limit` batches that were settled before that time; return how many."""
        return self._tables.queue.prune(settled_before_ms, limit)

    async def release_dead_owners(self) -> int:
        """Expire what earlier openings of this database held; return how many things."""
        tables = self._tables
        dead, sessions, count = tables.dead_owners, set[str](), 0
        for session_id, row in tables.leases.items():
            if row.owner_id in dead:
                tables.leases[session_id] = released(row)
                sessions.add(session_id)
                count += 1
        for session_id in tables.queue.open_sessions():
            held = [s for s in tables.queue.open_batches(session_id) if s.row.claim_owner_id in dead]
            tables.queue.give_back(held)
            sessions.update({session_id} if held else ())
            count += len(held)
        effects = [line for line in tables.effects.all_lines() if line.row.claim_owner_id in dead]
        tables.effects.put(*(line.unclaimed() for line in effects))
        runs = [one for one, row in tables.processes.leases.items() if row.owner_id in dead]
        for process_id in runs:
            tables.processes.leases[process_id] = released_row(tables.processes.leases[process_id])
        if runs:
            tables.hub.publish("processes")
        for session_id in sessions:
            tables.announce(session_id, queue=True)
        tables.hub.publish(*(f"effect:{line.replay_key}" for line in effects))
        return count + len(effects) + len(runs)

    def _parked_on(self, session_id: str, turn_id: str, row: TurnRow | None) -> tuple[str, ...]:
        """Return what the turn that has this input is parked on."""
        parked = ParkedTurn(session_id, cancelled_turn_id(turn_id, row))
        return self._tables.parking.keys_of(parked)

    def _check_session(self, draft: TurnDraft) -> None:
        session_id = draft.session_id
        if session_id in self._tables.deleted:
            raise session_deleted(session_id)
        session = self._tables.sessions.get(session_id)
        if session is None:
            raise LashError(
                "session_unknown",
                f"session {session_id!r} was never admitted; admit it first",
                session_id=session_id,
            )
        if session.agent != draft.agent:
            raise agent_mismatch(session_id, session.agent, draft.agent)

    def _accepted(self, session_id: str, turn_id: str) -> StoredBatch | None:
        under_key = self._tables.queue.under_key(session_id, accepted_source_key(turn_id))
        alive = [stored for stored in under_key if stored.state is not QueuedWorkState.CANCELLED]
        return alive[-1] if alive else None

    def _claim_accepted(
        self, draft: TurnDraft, stored: StoredBatch, owner_id: str | None, now_ms: int, ttl_ms: int
    ) -> ClaimedTurn | None:
        tables = self._tables
        if owner_id is None or lease_is_live(tables.lease(draft.session_id), now_ms, tables.dead_owners):
            return None
        answer = claim_next_turn(
            tables,
            draft.session_id,
            owner_id=owner_id,
            agents=(draft.agent,),
            now_ms=now_ms,
            ttl_ms=ttl_ms,
            max_batches=64,
            only_batch_id=stored.row.batch_id,
        )
        return answer if isinstance(answer, ClaimedTurn) else None

    def _acceptance(
        self, draft: TurnDraft, stored: StoredBatch, *, known: bool, claimed: ClaimedTurn | None
    ) -> TurnAcceptance:
        now = self._tables.queue.of_turn(draft.session_id, draft.turn_id) or stored
        row = now.turn_row()
        stamp = self._tables.stamps.get((draft.session_id, cancelled_turn_id(draft.turn_id, row)))
        return TurnAcceptance(
            turn_id=draft.turn_id,
            batch_id=stored.row.batch_id,
            enqueue_seq=stored.row.enqueue_seq,
            status=turn_status(
                draft.turn_id,
                row,
                None if stamp is None else stamp.decoded_receipt(),
                is_committed=stamp is not None,
                parked_on=self._parked_on(draft.session_id, draft.turn_id, row),
            ),
            known=known,
            claimed=claimed,
        )

    def _agent(self, stored: StoredBatch) -> str | None:
        session = self._tables.sessions.get(stored.session_id)
        return stored.row.agent or (session.agent if session is not None else None)

    def _ready_session(self, session_id: str, now_ms: int) -> ReadySession | None:
        def readiness(stored: StoredBatch) -> tuple[int, int]:
            at = ready_at_ms(stored.row, now_ms, self._tables.dead_owners)
            return (max(at, now_ms), stored.row.enqueue_seq)

        first = min(self._tables.queue.open_batches(session_id), key=readiness)
        agent = self._agent(first)
        if agent is None:
            return None
        return ReadySession(
            session_id=session_id,
            agent=agent,
            ready_at_ms=ready_at_ms(first.row, now_ms, self._tables.dead_owners),
            enqueue_seq=first.row.enqueue_seq,
        )


def agent_mismatch(session_id: str, agent: str, asked: str) -> LashError:
    """Return the error for work of another agent than the session's."""
    return LashError(
        "agent_mismatch",
        f"session {session_id!r} belongs to agent {agent!r}, not to {asked!r}",
        session_id=session_id,
        agent=agent,
        asked=asked,
    )
