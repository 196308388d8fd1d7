"""Who holds what, and until when: the session lease, and the arithmetic of every expiry (R-4, R-5, B-4).

Two questions must be kept apart. A lease is *live* while its time lasts: that decides whether somebody else
may claim. A lease is *current* until somebody else has claimed: that decides whether its holder may still
write. An expired lease that nobody took over is current (rule R-32).
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from lash.errors import LashError
from lash.values import SessionLease

TIME_MAX_MS = 2**63 - 1  # the largest integer that every store can keep

NOBODY: Collection[str] = frozenset()


class LeaseRow(msgspec.Struct, frozen=True):
    """A session's lease as stored. The generation outlives every holder and is never reused."""

    generation: int = 0
    owner_id: str | None = None
    lease_token: str | None = None
    claimed_at_ms: int = 0
    expires_at_ms: int = 0


NO_LEASE = LeaseRow()


def expires_at(now_ms: int, ttl_ms: int) -> int:
    """Return when something granted now ends; a huge time to live clamps (contract 0.2).

    Raises:
        LashError: `invalid_argument` for a negative time to live. Zero is legal: already expired (R-5).
    """
    if ttl_ms < 0:
        raise LashError(
            "invalid_argument", f"a time to live must not be negative, got {ttl_ms}", ttl_ms=ttl_ms
        )
    return min(now_ms + ttl_ms, TIME_MAX_MS)


def is_live(
    owner_id: str | None, expires_at_ms: int, now_ms: int, dead_owners: Collection[str] = NOBODY
) -> bool:
    """Whether a lease or claim keeps others out: it has a living owner and `expires_at > now` (R-4)."""
    return owner_id is not None and expires_at_ms > now_ms and owner_id not in dead_owners


def lease_is_live(row: LeaseRow, now_ms: int, dead_owners: Collection[str] = NOBODY) -> bool:
    """Whether somebody drives the session now."""
    return is_live(row.owner_id, row.expires_at_ms, now_ms, dead_owners)


def check_lease_free(
    session_id: str, row: LeaseRow, now_ms: int, dead_owners: Collection[str] = NOBODY
) -> None:
    """Refuse a claim while any lease of the session is live, the claimant's own included.

    One owner is one handle on the database; two pieces of its work on one session exclude each other too.

    Raises:
        LashError: `session_lease_held`.
    """
    if lease_is_live(row, now_ms, dead_owners):
        raise LashError(
            "session_lease_held",
            f"session {session_id!r} is held by {row.owner_id!r} until {row.expires_at_ms} ms; "
            "wait for its release or its expiry",
            retryable=True,
            session_id=session_id,
            owner_id=row.owner_id,
            expires_at_ms=row.expires_at_ms,
        )


def granted_lease(
    session_id: str, row: LeaseRow, *, owner_id: str, lease_token: str, now_ms: int, ttl_ms: int
) -> SessionLease:
    """Return the lease of the next generation after `row`."""
    return SessionLease(
        session_id=session_id,
        owner_id=owner_id,
        lease_token=lease_token,
        generation=row.generation + 1,
        claimed_at_ms=now_ms,
        expires_at_ms=expires_at(now_ms, ttl_ms),
    )


def lease_row(lease: SessionLease) -> LeaseRow:
    """Return what is stored for a granted lease."""
    return LeaseRow(
        generation=lease.generation,
        owner_id=lease.owner_id,
        lease_token=lease.lease_token,
        claimed_at_ms=lease.claimed_at_ms,
        expires_at_ms=lease.expires_at_ms,
    )


def released(row: LeaseRow) -> LeaseRow:
    """Return the row after a release: nobody's, its generation kept."""
    return LeaseRow(generation=row.generation)


def is_current_lease(lease: SessionLease, row: LeaseRow) -> bool:
    """Whether nobody has claimed or released since `lease` was granted."""
    return row.lease_token is not None and (lease.owner_id, lease.lease_token, lease.generation) == (
        row.owner_id,
        row.lease_token,
        row.generation,
    )


def check_current_lease(lease: SessionLease, row: LeaseRow) -> None:
    """Refuse a write under a lease that was superseded or released; expiry alone does not void it.

    Raises:
        LashError: `session_lease_lost`.
    """
    if not is_current_lease(lease, row):
        raise _lost(lease, "was released" if row.owner_id is None else f"is held by {row.owner_id!r} now")


def check_renewable_lease(lease: SessionLease, row: LeaseRow, now_ms: int) -> None:
    """Refuse to renew a lease that is not current, or whose time is over.

    Raises:
        LashError: `session_lease_lost`.
    """
    check_current_lease(lease, row)
    if not lease_is_live(row, now_ms):
        raise _lost(lease, f"expired at {row.expires_at_ms} ms")


def _lost(lease: SessionLease, why: str) -> LashError:
    return LashError(
        "session_lease_lost",
        f"session {lease.session_id!r}: the lease of generation {lease.generation} {why}; "
        "stop the work and claim again",
        session_id=lease.session_id,
        owner_id=lease.owner_id,
        generation=lease.generation,
    )
