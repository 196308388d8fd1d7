"""The session's line: who it is, who drives it, where its head stands. Every script begins with it."""

from __future__ import annotations

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.errors import LashError
from lash.rules.commits import session_deleted
from lash.rules.leases import LeaseRow
from lash.values import SessionHead, SessionLease


class SessionRow(msgspec.Struct, frozen=True, gc=False):
    """The columns that decisions need, in the order in which they are selected."""

    sid: int
    session_id: str
    agent: str | None
    deleted_at_ms: int | None
    lease_generation: int
    lease_owner_id: str | None
    lease_token: str | None
    lease_claimed_at_ms: int
    lease_expires_at_ms: int
    revision: int
    leaf_node_id: str | None
    path_digest: str
    next_seq: int
    setup_hash: str
    ledger: bytes
    park_id: str | None

    @property
    def lease(self) -> LeaseRow:
        """The lease as decisions see it."""
        return LeaseRow(
            generation=self.lease_generation,
            owner_id=self.lease_owner_id,
            lease_token=self.lease_token,
            claimed_at_ms=self.lease_claimed_at_ms,
            expires_at_ms=self.lease_expires_at_ms,
        )

    @property
    def head(self) -> SessionHead:
        """Where the session stands."""
        return SessionHead(
            session_id=self.session_id,
            revision=self.revision,
            leaf_node_id=self.leaf_node_id,
            path_digest=self.path_digest,
        )

    @property
    def is_deleted(self) -> bool:
        """Whether only the tombstone is left."""
        return self.deleted_at_ms is not None


class BodyRow(msgspec.Struct, frozen=True, gc=False):
    """One stored record. What it really is shows when it is decoded."""

    body: bytes


_COLUMNS = """sid, session_id, agent, deleted_at_ms, lease_generation, lease_owner_id, lease_token,
    lease_claimed_at_ms, lease_expires_at_ms, revision, leaf_node_id, path_digest, next_seq, setup_hash,
    ledger, park_id"""

FIND_SESSION = f"SELECT {_COLUMNS} FROM session WHERE session_id = ?"  # noqa: S608  # constants only
LOCK_SESSION = FIND_SESSION  # where several transactions write at once, the name is locked by this
FIND_SID = "SELECT sid FROM session WHERE session_id = ?"  # for what does not depend on the session's state
ADD_SESSION = "INSERT INTO session (session_id, created_at_ms, updated_at_ms) VALUES (?, ?, ?)"
INSERT_SESSION = f"{ADD_SESSION} RETURNING sid"
SET_LEASE = """UPDATE session SET lease_generation = ?, lease_owner_id = ?, lease_token = ?,
    lease_claimed_at_ms = ?, lease_expires_at_ms = ? WHERE sid = ?"""
PARK_SESSION = "UPDATE session SET park_id = ?, parked_turn_id = ?, parked_on = ? WHERE sid = ?"


def locked_session(session_id: str) -> Query[SessionRow]:
    """Return the read with which a script that writes begins."""
    return Query(SessionRow, LOCK_SESSION, session_id)


async def find_session(tx: Tx, session_id: str) -> SessionRow | None:
    """Return the row of a session, admitted or not, deleted or not."""
    return await tx.fetch_one(SessionRow, FIND_SESSION, session_id)


async def ensure_sid(tx: Tx, row: SessionRow | None, session_id: str) -> int:
    """Return the number that a session's rows carry, giving it one if need be.

    Raises:
        LashError: `session_deleted`.
    """
    if row is not None:
        if row.is_deleted:
            raise session_deleted(session_id)
        return row.sid
    sid = await tx.fetch_one(int, INSERT_SESSION, session_id, tx.now_ms, tx.now_ms)
    assert sid is not None
    return sid


async def ensure_session(tx: Tx, row: SessionRow | None, session_id: str) -> None:
    """Give a session its row if need be, for scripts that then name it by its id.

    Raises:
        LashError: `session_deleted`.
    """
    if row is None:
        await tx.write(ADD_SESSION, session_id, tx.now_ms, tx.now_ms)
    elif row.is_deleted:
        raise session_deleted(session_id)


async def write_lease(tx: Tx, sid: int, lease: LeaseRow | SessionLease) -> None:
    """Store who drives a session."""
    await tx.write(
        SET_LEASE,
        lease.generation,
        lease.owner_id,
        lease.lease_token,
        lease.claimed_at_ms,
        lease.expires_at_ms,
        sid,
    )


def announce(tx: Tx, session_id: str, *, queue: bool = False) -> None:
    """Wake who waits for a session and, if asked to, who looks for work."""
    tx.notify(f"session:{session_id}")
    if queue:
        tx.notify("queue")


def corrupt(table: str, what: str, problem: object) -> LashError:
    """Return the error for a row that cannot be what lash wrote (rule R-30)."""
    return LashError(
        "stored_data_corrupt",
        f"table {table}: {what}: {problem}. Restore it from a backup; nothing was changed.",
        table=table,
        what=what,
    )
