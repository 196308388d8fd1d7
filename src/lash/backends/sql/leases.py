"""The session lease by itself, for work on a session that is no turn (contract 5, B-4)."""

from __future__ import annotations

from lash.backends.sql.engine import Tx
from lash.backends.sql.holders import SESSION_HOLDER
from lash.backends.sql.session_rows import announce, ensure_sid, find_session, write_lease
from lash.backends.sql.store import Store
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.leases import (
    NO_LEASE,
    check_lease_free,
    check_renewable_lease,
    expires_at,
    granted_lease,
    is_current_lease,
    lease_is_live,
    released,
)
from lash.values import SessionLease


class SqlSessionLeases:
    """See `SessionLeases` for the contract. Leases need visibility, not durability."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def claim_session_lease(self, session_id: str, *, owner_id: str, ttl_ms: int) -> SessionLease:
        """Take a session's lease with a new generation."""
        check_session_id(session_id)
        check_text(owner_id, what="owner id")
        expires_at(0, ttl_ms)  # refuses a negative time to live, held or not
        token = self._store.new_id("token")

        async def script(tx: Tx) -> SessionLease:
            self._store.foresee_owners(tx, SESSION_HOLDER, session_id)
            session = await find_session(tx, session_id)
            row = NO_LEASE if session is None else session.lease
            dead = await self._store.dead_among(tx, [row.owner_id])
            check_lease_free(session_id, row, tx.now_ms, dead)
            lease = granted_lease(
                session_id, row, owner_id=owner_id, lease_token=token, now_ms=tx.now_ms, ttl_ms=ttl_ms
            )
            await write_lease(tx, await ensure_sid(tx, session, session_id), lease)
            return lease

        return await self._store.run(script, durable=False)

    async def renew_session_lease(self, lease: SessionLease, *, ttl_ms: int) -> SessionLease:
        """Extend the current lease."""
        expires_at(0, ttl_ms)  # refuses a negative time to live

        async def script(tx: Tx) -> SessionLease:
            session = await find_session(tx, lease.session_id)
            check_renewable_lease(lease, NO_LEASE if session is None else session.lease, tx.now_ms)
            assert session is not None
            renewed = lease.replace(expires_at_ms=expires_at(tx.now_ms, ttl_ms))
            await write_lease(tx, session.sid, renewed)
            return renewed

        return await self._store.run(script, durable=False)

    async def release_session_lease(self, lease: SessionLease) -> None:
        """Give a lease back; a superseded one is left alone."""

        async def script(tx: Tx) -> None:
            session = await find_session(tx, lease.session_id)
            if session is not None and is_current_lease(lease, session.lease):
                await write_lease(tx, session.sid, released(session.lease))
                announce(tx, lease.session_id, queue=True)

        await self._store.run(script, durable=False)

    async def find_session_lease(self, session_id: str) -> SessionLease | None:
        """Return the live lease of a session, or None."""
        check_text(session_id, what="session id")

        async def script(tx: Tx) -> SessionLease | None:
            self._store.foresee_owners(tx, SESSION_HOLDER, session_id)
            session = await find_session(tx, session_id)
            row = NO_LEASE if session is None else session.lease
            dead = await self._store.dead_among(tx, [row.owner_id])
            if not lease_is_live(row, tx.now_ms, dead):
                return None
            return SessionLease(
                session_id=session_id,
                owner_id=row.owner_id or "",
                lease_token=row.lease_token or "",
                generation=row.generation,
                claimed_at_ms=row.claimed_at_ms,
                expires_at_ms=row.expires_at_ms,
            )

        return await self._store.read(script)
