"""How turns enter and are taken up: the runtime's own door to the queue (contract 5, B-13 and B-4).

One way in: every turn, even one that the caller waits for, is a durable acceptance row first. One driver a
session: the session lease, whose generation every claim raises. A turn that was interrupted is claimed
again with exactly its old composition (contract 5, B-28).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lash.values import (
    CancelAnswer,
    ClaimedTurn,
    ClaimTurnAnswer,
    QueuedWorkClaim,
    ReadySession,
    SessionLease,
    TurnAcceptance,
    TurnDraft,
    TurnReceipt,
    TurnStatus,
)


class TurnIngress(Protocol):
    """Accepts turns, hands them to drivers, knows what became of them."""

    async def accept_turn(
        self, draft: TurnDraft, *, claim_owner_id: str | None = None, lease_ttl_ms: int = 30_000
    ) -> TurnAcceptance:
        """Accept input durably; in the same transaction take it up, if asked to and if its turn has come.

        Args:
            draft: The input. Its turn id is an idempotency key: the same content again is answered with
                what became of the first.
            claim_owner_id: Who would drive it now, or None to only accept.
            lease_ttl_ms: How long the session lease lasts unless renewed.

        Raises:
            LashError: `session_unknown` when the session was never admitted; `session_deleted`;
                `idempotency_conflict` when the turn id was used for other content; `session_busy` when
                `on_busy` is `refuse` and work is running or waiting; `agent_mismatch` when the session
                belongs to another agent.
        """
        ...

    async def claim_turn(
        self,
        session_id: str,
        *,
        owner_id: str,
        agents: Sequence[str],
        lease_ttl_ms: int,
        max_batches: int = 64,
    ) -> ClaimTurnAnswer:
        """Take up a session's next turn: its lease, its input, where the session stands, what is recorded.

        An interrupted turn comes first, with the batches that it had. Otherwise the group that
        `claim_ready_queued_work` would give at idle. Only work of `agents` is given. A session whose turn is
        parked answers `ClaimRefused("parked")`.
        """
        ...

    async def claim_injections(
        self, claimed: ClaimedTurn, *, effect_id: str, lease_ttl_ms: int, max_batches: int = 64
    ) -> QueuedWorkClaim | None:
        """Claim work that may enter the running turn at the checkpoint `effect_id`, or None.

        Asked again for the same checkpoint after a restart, it gives what it gave before, and what has
        come since.

        Raises:
            LashError: `session_lease_lost`.
        """
        ...

    async def renew_turn(self, claimed: ClaimedTurn, *, lease_ttl_ms: int) -> ClaimedTurn:
        """Extend the lease and every queue claim of the turn; also tells whether a cancel was requested.

        Raises:
            LashError: `session_lease_lost` when another driver has the session: stop the work.
        """
        ...

    async def abandon_turn(self, claimed: ClaimedTurn) -> None:
        """Give the lease back without a commit. The turn stays accepted and keeps its composition."""
        ...

    async def park_turn(self, claimed: ClaimedTurn, wait_keys: Sequence[str]) -> bool:
        """Give a turn back until one of the waits is resolved, unless there is nothing to wait for.

        In one transaction: when one of the waits is resolved already, the process that a `process:{id}` key
        names is over, or a cancel of the turn is requested, nothing changes and the answer is False: the
        caller goes on driving. Otherwise lease and claims are given back, and the turn keeps its composition
        and is noted as parked. Nobody is given the session's work until a wait is resolved or the turn's
        cancel is requested; the claim after that is no restart.

        Args:
            claimed: The turn that the caller drives.
            wait_keys: The waits of which one is enough. They need not be open.

        Raises:
            LashError: `session_lease_lost`; `invalid_argument` without a key, or for a blank one.
        """
        ...

    async def find_turn(self, session_id: str, turn_id: str) -> TurnStatus:
        """Return what has become of a turn, and what it is parked on."""
        ...

    async def list_receipts(
        self, session_id: str, *, after_revision: int, limit: int = 100
    ) -> list[TurnReceipt]:
        """Return what driven turns have committed after a revision of the head, in that order.

        A watcher that knows a revision misses nothing: every turn's commit raises it (ruling 21). Commits
        that were no turn of a driver have no receipt.
        """
        ...

    async def request_cancel(self, session_id: str, turn_id: str) -> CancelAnswer:
        """Cancel a turn, from any process. A waiting one is taken out of the queue; a running one is told.

        The commit wins: a turn that is committed already answers `too_late`.
        """
        ...

    async def is_cancel_requested(self, session_id: str, turn_id: str) -> bool:
        """Whether somebody asked the running turn to stop."""
        ...

    async def list_ready_sessions(self, agents: Sequence[str], *, limit: int = 100) -> list[ReadySession]:
        """Return sessions of these agents with unsettled work and no live lease, oldest work first.

        Those with a parked turn are left out. Those whose work becomes available later are included with that
        time, after the ready ones.
        """
        ...

    async def list_unserved(self, agents: Sequence[str]) -> dict[str, int]:
        """Return how many unsettled batches wait for each agent that is not among `agents`."""
        ...

    async def prune_settled_work(self, *, settled_before_ms: int, limit: int = 1000) -> int:
        """Delete up to `limit` batches, oldest first, that were completed or cancelled before that time.

        Returns how many; fewer than `limit` when nothing is left. Unsettled work always stays, and so do turn
        stamps: the id of a committed turn is answered with its receipt for all time. What ends with a batch is
        the promise that its own source key makes (contract 2.D.4, ruling 2), the check that the same turn id
        brings the same content, and the answer for a turn whose input another turn took in.
        """
        ...

    async def release_dead_owners(self) -> int:
        """Expire what owners hold that are known to be dead (same host, process gone); return how many.

        Time-to-live is the fallback where that cannot be known.
        """
        ...


class SessionLeases(Protocol):
    """The session lease by itself, for work on a session that is no turn."""

    async def claim_session_lease(self, session_id: str, *, owner_id: str, ttl_ms: int) -> SessionLease:
        """Take a session's lease with a new generation.

        Raises:
            LashError: `session_lease_held` (facts `owner_id`, `expires_at_ms`) when another live lease exists.
        """
        ...

    async def renew_session_lease(self, lease: SessionLease, *, ttl_ms: int) -> SessionLease:
        """Extend the current lease.

        Raises:
            LashError: `session_lease_lost` when token, owner or generation is not the current one, or the
                lease has expired.
        """
        ...

    async def release_session_lease(self, lease: SessionLease) -> None:
        """Give a lease back; a superseded one is left alone. The generation is kept."""
        ...

    async def find_session_lease(self, session_id: str) -> SessionLease | None:
        """Return the live lease of a session, or None."""
        ...
