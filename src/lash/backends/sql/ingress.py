"""The door for turns: acceptance, claims, renewal, cancellation, status (contract 5, B-13, B-4, B-28)."""

from __future__ import annotations

from collections.abc import Sequence

from lash.backends.sql.acceptance import PreparedAcceptance, accept
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.holders import QUEUE_HOLDERS
from lash.backends.sql.queue_rows import (
    EXTEND_ROWS,
    GIVE_BACK_ROWS,
    PARK_ROWS,
    SETTLE_ROWS,
    batch_body,
    claim_rows,
    free_rows,
    seq_list,
    taken_rows,
)
from lash.backends.sql.retention import BATCHES, prune
from lash.backends.sql.session_rows import PARK_SESSION, SessionRow, announce, locked_session, write_lease
from lash.backends.sql.store import Store, json_list
from lash.backends.sql.turn_claims import TurnTerms, claim_next_turn, composition, injected_claims
from lash.backends.sql.turn_rows import RECEIPTS_AFTER, ReceiptRow, accepted_rows, receipt_of
from lash.backends.sql.wait_rows import (
    PARKED_TURN,
    ParkedTurnRow,
    is_resolved,
    make_ready,
    over_among,
    park,
    resolve_key,
    waits_among,
)
from lash.backends.sql.work_overview import dead_owned_work, list_ready_sessions, list_unserved, release_dead
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.journal import cancel_wait_key
from lash.rules.leases import NO_LEASE, check_current_lease, expires_at, is_current_lease, released
from lash.rules.turns import (
    accepted_batch_draft,
    cancel_answer,
    cancelled_turn_id,
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
    encode_record,
    stable_hash,
)


class SqlTurnIngress:
    """See `TurnIngress` for the contract."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def accept_turn(
        self, draft: TurnDraft, *, claim_owner_id: str | None = None, lease_ttl_ms: int = 30_000
    ) -> TurnAcceptance:
        """Accept input durably; take its turn up at once if asked to and if it has come."""
        expires_at(0, lease_ttl_ms)  # refuses a negative time to live
        _check_names(draft.session_id, draft.turn_id, draft.agent, claim_owner_id or "")
        batch = accepted_batch_draft(draft)
        prepared = PreparedAcceptance(
            draft=draft,
            batch=batch,
            body=batch_body(self._store.new_id("batch"), batch),
            content_hash=stable_hash(draft.content()),
            terms=None
            if claim_owner_id is None
            else TurnTerms.fresh(self._store, claim_owner_id, lease_ttl_ms),
        )

        async def script(tx: Tx) -> TurnAcceptance:
            return await accept(tx, self._store, prepared)

        return await self._store.run(script)

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
        _check_names(session_id, owner_id)
        terms = TurnTerms.fresh(self._store, owner_id, lease_ttl_ms)

        async def script(tx: Tx) -> ClaimTurnAnswer:
            return await claim_next_turn(
                tx, self._store, session_id, terms, agents=agents, max_batches=max_batches
            )

        return await self._store.run(script, durable=False)

    async def claim_injections(
        self, claimed: ClaimedTurn, *, effect_id: str, lease_ttl_ms: int, max_batches: int = 64
    ) -> QueuedWorkClaim | None:
        """Claim work that may enter the running turn at a checkpoint, or None."""
        session_id = claimed.lease.session_id
        _check_names(session_id, effect_id)
        terms = TurnTerms.fresh(self._store, claimed.lease.owner_id, lease_ttl_ms)

        async def script(tx: Tx) -> QueuedWorkClaim | None:
            self._store.foresee_owners(tx, QUEUE_HOLDERS, session_id)
            sessions, taken, free = await tx.read(
                locked_session(session_id),
                taken_rows(session_id),
                free_rows(session_id, tx.now_ms, max_batches, early_only=True),
            )
            _check_driver(claimed, sessions)
            dead = await self._store.dead_among(tx, [row.claim_owner_id for row in taken])
            rows = select_injections(
                [*taken, *free],
                turn_id=claimed.turn_id,
                effect_id=effect_id,
                max_batches=max_batches,
                now_ms=tx.now_ms,
                dead_owners=dead,
            )
            if not rows:
                return None
            return await claim_rows(
                tx,
                session_id,
                rows,
                terms.claim(tx.now_ms),
                run_turn_id=claimed.turn_id,
                injected_effect_id=effect_id,
            )

        return await self._store.run(script, durable=False)

    async def renew_turn(self, claimed: ClaimedTurn, *, lease_ttl_ms: int) -> ClaimedTurn:
        """Extend the lease and every queue claim of the turn; tell whether a cancel was requested."""
        expires_at(0, lease_ttl_ms)  # refuses a negative time to live
        session_id, turn_id = claimed.lease.session_id, claimed.turn_id

        async def script(tx: Tx) -> ClaimedTurn:
            sessions, taken, waits = await tx.read(
                locked_session(session_id),
                taken_rows(session_id),
                is_resolved(cancel_wait_key(session_id, turn_id)),
            )
            session = _check_driver(claimed, sessions)
            expiry = expires_at(tx.now_ms, lease_ttl_ms)
            lease = claimed.lease.replace(expires_at_ms=expiry)
            await write_lease(tx, session.sid, lease)
            await tx.write(EXTEND_ROWS, expiry, seq_list(composition(taken, turn_id)))
            return claimed.replace(
                lease=lease,
                work=claimed.work.replace(expires_at_ms=expiry),
                injected=await injected_claims(tx, taken, turn_id),
                cancel_requested=bool(waits),
            )

        return await self._store.run(script, durable=False)

    async def abandon_turn(self, claimed: ClaimedTurn) -> None:
        """Give the lease back without a commit; the turn keeps its composition."""
        session_id = claimed.lease.session_id

        async def script(tx: Tx) -> None:
            sessions, taken = await tx.read(locked_session(session_id), taken_rows(session_id))
            if not sessions or not is_current_lease(claimed.lease, sessions[0].lease):
                return
            await write_lease(tx, sessions[0].sid, released(sessions[0].lease))
            await tx.write(GIVE_BACK_ROWS, seq_list(composition(taken, claimed.turn_id)))
            announce(tx, session_id, queue=True)

        await self._store.run(script, durable=False)

    async def park_turn(self, claimed: ClaimedTurn, wait_keys: Sequence[str]) -> bool:
        """Give a turn back until one of the waits is resolved, unless there is nothing to wait for."""
        session_id, turn_id = claimed.lease.session_id, claimed.turn_id
        keys, park_id = parking_keys(wait_keys), self._store.new_id("park")

        async def script(tx: Tx) -> bool:
            sessions, taken, waits, over = await tx.read(
                locked_session(session_id),
                taken_rows(session_id),
                waits_among([*keys, cancel_wait_key(session_id, turn_id)]),
                over_among(keys),
            )
            session = _check_driver(claimed, sessions)
            if over or any(wait.resolved_at_ms is not None for wait in waits):
                return False
            await write_lease(tx, session.sid, released(session.lease))
            await tx.write(PARK_ROWS, seq_list(composition(taken, turn_id)))
            await tx.write(PARK_SESSION, park_id, turn_id, encode_record(keys), session.sid)
            await park(tx, park_id, keys, sid=session.sid)
            announce(tx, session_id)
            return True

        return await self._store.run(script, durable=False)

    async def find_turn(self, session_id: str, turn_id: str) -> TurnStatus:
        """Return what has become of a turn."""
        _check_names(session_id, turn_id)

        async def script(tx: Tx) -> TurnStatus:
            rows, stamps, parked = await tx.read(
                accepted_rows(session_id, turn_id), receipt_of(session_id, turn_id), _parked(session_id)
            )
            row = rows[-1] if rows else None
            told = cancelled_turn_id(turn_id, row)
            if told != turn_id:
                (stamps,) = await tx.read(receipt_of(session_id, told))
            receipt = stamps[0].decoded() if stamps else None
            keys = parked[0].parked_on(told) if parked else ()
            return turn_status(turn_id, row, receipt, is_committed=bool(stamps), parked_on=keys)

        return await self._store.read(script)

    async def list_receipts(
        self, session_id: str, *, after_revision: int, limit: int = 100
    ) -> list[TurnReceipt]:
        """Return what turns have committed after a revision, in that order."""
        check_session_id(session_id)

        async def script(tx: Tx) -> list[TurnReceipt]:
            rows = await tx.fetch_all(ReceiptRow, RECEIPTS_AFTER, session_id, after_revision, limit)
            return [receipt for row in rows if (receipt := row.decoded()) is not None]

        return await self._store.read(script)

    async def request_cancel(self, session_id: str, turn_id: str) -> CancelAnswer:
        """Cancel a waiting turn, or tell a running one."""
        _check_names(session_id, turn_id)

        async def script(tx: Tx) -> CancelAnswer:
            rows, stamps, parked = await tx.read(
                accepted_rows(session_id, turn_id), receipt_of(session_id, turn_id), _parked(session_id)
            )
            row = rows[-1] if rows else None
            answer = cancel_answer(row, is_committed=bool(stamps), now_ms=tx.now_ms)
            if answer == "cancelled_before_execution" and row is not None:
                await tx.write(
                    SETTLE_ROWS, QueuedWorkState.CANCELLED.value, tx.now_ms, json_list([row.enqueue_seq])
                )
            elif answer == "requested":
                told = cancelled_turn_id(turn_id, row)
                scope = EffectScope.turn(session_id, told)
                await resolve_key(tx, cancel_wait_key(session_id, told), True, scope_key=scope.key)
                await make_ready(tx, [one.row() for one in parked if one.turn_id == told])
            announce(tx, session_id, queue=answer == "cancelled_before_execution")
            return answer

        return await self._store.run(script)

    async def is_cancel_requested(self, session_id: str, turn_id: str) -> bool:
        """Whether somebody asked the running turn to stop."""
        _check_names(session_id, turn_id)

        async def script(tx: Tx) -> bool:
            (rows,) = await tx.read(is_resolved(cancel_wait_key(session_id, turn_id)))
            return bool(rows)

        return await self._store.read(script)

    async def list_ready_sessions(self, agents: Sequence[str], *, limit: int = 100) -> list[ReadySession]:
        """Return sessions with work and without a live lease: ready ones first, oldest work first."""

        async def script(tx: Tx) -> list[ReadySession]:
            return await list_ready_sessions(tx, self._store, agents, limit)

        return await self._store.read(script)

    async def list_unserved(self, agents: Sequence[str]) -> dict[str, int]:
        """Return how many unsettled batches wait for each other agent."""

        async def script(tx: Tx) -> dict[str, int]:
            return await list_unserved(tx, agents)

        return await self._store.read(script)

    async def prune_settled_work(self, *, settled_before_ms: int, limit: int = 1000) -> int:
        """Delete up to `limit` batches that were settled before that time; return how many."""

        async def script(tx: Tx) -> int:
            return await prune(tx, BATCHES, settled_before_ms, limit)

        return await self._store.run(script, durable=False)

    async def release_dead_owners(self) -> int:
        """Expire what owners hold that are known to be dead; return how many things."""

        async def look(tx: Tx) -> frozenset[str]:
            return await dead_owned_work(tx, self._store)

        async def script(tx: Tx) -> int:
            return await release_dead(tx, self._store)

        # Most looks find nobody dead, and a look needs no writer.
        return await self._store.run(script) if await self._store.read(look) else 0


def _parked(session_id: str) -> Query[ParkedTurnRow]:
    return Query(ParkedTurnRow, PARKED_TURN, session_id)


def _check_driver(claimed: ClaimedTurn, sessions: list[SessionRow]) -> SessionRow:
    check_current_lease(claimed.lease, sessions[0].lease if sessions else NO_LEASE)
    return sessions[0]


def _check_names(session_id: str, *others: str) -> None:
    check_session_id(session_id)
    for other in others:
        check_text(other, what="id")
