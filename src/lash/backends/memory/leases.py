"""The session lease by itself (contract 5, B-4)."""

from __future__ import annotations

from lash.backends.memory.tables import Tables
from lash.rules.leases import (
    check_lease_free,
    check_renewable_lease,
    expires_at,
    granted_lease,
    is_current_lease,
    lease_is_live,
    lease_row,
    released,
)
from lash.values import SessionLease


class MemorySessionLeases:
    """See `SessionLeases` for the contract."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def claim_session_lease(self, session_id: str, *, owner_id: str, ttl_ms: int) -> SessionLease:
        """Take a session's lease with a new generation."""
        now_ms, row = self._tables.clock.now_ms(), self._tables.lease(session_id)
        expires_at(now_ms, ttl_ms)  # refuses a negative time to live, held or not
        check_lease_free(session_id, row, now_ms, self._tables.dead_owners)
        lease = granted_lease(
            session_id,
            row,
            owner_id=owner_id,
            lease_token=self._tables.ids.new("token"),
            now_ms=now_ms,
            ttl_ms=ttl_ms,
        )
        self._tables.leases[session_id] = lease_row(lease)
        return lease

    async def renew_session_lease(self, lease: SessionLease, *, ttl_ms: int) -> SessionLease:
        """Extend the current lease."""
        now_ms = self._tables.clock.now_ms()
        expiry = expires_at(now_ms, ttl_ms)
        check_renewable_lease(lease, self._tables.lease(lease.session_id), now_ms)
        renewed = lease.replace(expires_at_ms=expiry)
        self._tables.leases[lease.session_id] = lease_row(renewed)
        return renewed

    async def release_session_lease(self, lease: SessionLease) -> None:
        """Give a lease back; a superseded one is left alone."""
        row = self._tables.lease(lease.session_id)
        if is_current_lease(lease, row):
            self._tables.leases[lease.session_id] = released(row)
            self._tables.announce(lease.session_id, queue=True)

    async def find_session_lease(self, session_id: str) -> SessionLease | None:
        """Return the live lease of a session, or None."""
        row = self._tables.lease(session_id)
        if not lease_is_live(row, self._tables.clock.now_ms(), self._tables.dead_owners):
            return None
        return SessionLease(
            session_id=session_id,
            owner_id=row.owner_id or "",
            lease_token=row.lease_token or "",
            generation=row.generation,
            claimed_at_ms=row.claimed_at_ms,
            expires_at_ms=row.expires_at_ms,
        )
