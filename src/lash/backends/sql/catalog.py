"""The session catalog (contract 5, B-5): a session id is used once for all time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.sql.acceptance import agent_mismatch
from lash.backends.sql.deletion import delete_session
from lash.backends.sql.engine import Tx
from lash.backends.sql.session_rows import ensure_sid, find_session
from lash.backends.sql.store import Store
from lash.rules.commits import session_deleted
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.leases import is_live
from lash.values import SessionDeletion, SessionHead, SessionInfo, decode_record, encode_record


class InfoRow(msgspec.Struct, frozen=True, gc=False):
    """A line of the session list."""

    sid: int
    session_id: str
    agent: str
    title: str | None
    labels: bytes
    created_at_ms: int
    updated_at_ms: int
    revision: int
    lease_owner_id: str | None
    lease_expires_at_ms: int
    open_count: int


class ClaimHolder(msgspec.Struct, frozen=True, gc=False):
    """Who holds an unsettled batch, and until when."""

    sid: int
    claim_owner_id: str
    claim_expires_at_ms: int


_INFO = """SELECT sid, session_id, agent, title, labels, created_at_ms, updated_at_ms, revision, lease_owner_id,
    lease_expires_at_ms,
    (SELECT count(*) FROM queue q WHERE q.sid = session.sid AND q.settled_at_ms IS NULL) FROM session"""
_LISTED = "agent IS NOT NULL AND deleted_at_ms IS NULL"

FIND_INFO = f"{_INFO} WHERE session_id = ? AND {_LISTED}"
LIST_INFOS = f"""{_INFO} WHERE session_id > ? AND {_LISTED} AND (? = '' OR instr(search_text, ?) > 0)
    ORDER BY session_id LIMIT ?"""
LIST_LABELLED = f"""{_INFO} WHERE session_id IN (SELECT session_id FROM session_label
    WHERE label = ? AND session_id > ?) AND {_LISTED} AND (? = '' OR instr(search_text, ?) > 0)
    ORDER BY session_id LIMIT ?"""  # noqa: S608
CLAIM_HOLDERS = """SELECT sid, claim_owner_id, claim_expires_at_ms FROM queue
    WHERE sid IN (SELECT value FROM json_each(?)) AND taken = 1 AND settled_at_ms IS NULL
    AND claim_token IS NOT NULL AND claim_owner_id IS NOT NULL"""
SET_LINE = """UPDATE session SET agent = ?, title = ?, labels = ?, search_text = ?, created_at_ms = ?,
    updated_at_ms = ? WHERE sid = ?"""
DROP_LABELS = """DELETE FROM session_label WHERE session_id = ?
    AND label IN (SELECT value FROM json_each(?))"""
ADD_LABEL = "INSERT INTO session_label (label, session_id) VALUES (?, ?) ON CONFLICT DO NOTHING"


class SqlSessionCatalog:
    """See `SessionCatalog` for the contract."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def admit_session(
        self, session_id: str, *, agent: str, labels: Sequence[str] | None = None, title: str | None = None
    ) -> tuple[SessionInfo, bool]:
        """Create a session, or reopen it; the flag tells whether it was created."""
        check_session_id(session_id)
        for text in (agent, title or "", *(labels or ())):
            check_text(text, what=f"agent, title or label of session {session_id!r}")
        wanted = None if labels is None else tuple(dict.fromkeys(labels))

        async def script(tx: Tx) -> tuple[SessionInfo, bool]:
            session = await find_session(tx, session_id)
            if session is not None and session.is_deleted:
                raise session_deleted(session_id)
            known = await tx.fetch_one(InfoRow, FIND_INFO, session_id)
            if known is not None and known.agent != agent:
                raise agent_mismatch(session_id, known.agent, agent)
            sid = await ensure_sid(tx, session, session_id)
            await _write_line(tx, sid, session_id, agent, known, wanted, title)
            row = await tx.fetch_one(InfoRow, FIND_INFO, session_id)
            assert row is not None
            return (await self._infos(tx, [row]))[0], known is None

        return await self._store.run(script)

    async def find_session(self, session_id: str) -> SessionInfo | None:
        """Return a session's line, or None."""
        check_text(session_id, what="session id")

        async def script(tx: Tx) -> SessionInfo | None:
            row = await tx.fetch_one(InfoRow, FIND_INFO, session_id)
            return None if row is None else (await self._infos(tx, [row]))[0]

        return await self._store.read(script)

    async def list_sessions(
        self,
        *,
        label: str | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[SessionInfo]:
        """Return sessions by id, after the id `after`."""
        for text in (label or "", search or "", after or ""):
            check_text(text, what="search for sessions")
        wanted, start, most = (search or "").casefold(), after or "", max(limit, 0)

        async def script(tx: Tx) -> list[SessionInfo]:
            if label is None:
                rows = await tx.fetch_all(InfoRow, LIST_INFOS, start, wanted, wanted, most)
            else:
                rows = await tx.fetch_all(InfoRow, LIST_LABELLED, label, start, wanted, wanted, most)
            return await self._infos(tx, rows)

        return await self._store.read(script)

    async def find_head(self, session_id: str) -> SessionHead:
        """Return where a session stands; revision 0 for one that was never committed."""
        check_text(session_id, what="session id")

        async def script(tx: Tx) -> SessionHead:
            session = await find_session(tx, session_id)
            return SessionHead(session_id=session_id) if session is None else session.head

        return await self._store.read(script)

    async def delete_session(self, session_id: str) -> SessionDeletion:
        """Remove what a session owns and keep its id as a tombstone."""
        check_session_id(session_id)

        async def script(tx: Tx) -> SessionDeletion:
            return await delete_session(tx, self._store, session_id)

        return await self._store.run(script)

    async def _infos(self, tx: Tx, rows: Sequence[InfoRow]) -> list[SessionInfo]:
        sids = encode_record([row.sid for row in rows]).decode()
        holders = await tx.fetch_all(ClaimHolder, CLAIM_HOLDERS, sids) if rows else []
        owners = {holder.claim_owner_id for holder in holders} | {row.lease_owner_id for row in rows}
        dead = await self._store.dead_among(tx, owners)
        claimed: dict[int, int] = {}
        for holder in holders:
            live = is_live(holder.claim_owner_id, holder.claim_expires_at_ms, tx.now_ms, dead)
            claimed[holder.sid] = claimed.get(holder.sid, 0) + live
        return [
            SessionInfo(
                session_id=row.session_id,
                agent=row.agent,
                created_at_ms=row.created_at_ms,
                updated_at_ms=row.updated_at_ms,
                labels=_labels(row),
                title=row.title,
                head_revision=row.revision,
                pending=row.open_count - claimed.get(row.sid, 0),
                running=is_live(row.lease_owner_id, row.lease_expires_at_ms, tx.now_ms, dead),
            )
            for row in rows
        ]


async def _write_line(
    tx: Tx,
    sid: int,
    session_id: str,
    agent: str,
    known: InfoRow | None,
    labels: tuple[str, ...] | None,
    title: str | None,
) -> None:
    """Store a session's line if it is new or changed."""
    had = () if known is None else _labels(known)
    has = had if labels is None else labels
    shown = title if title is not None else None if known is None else known.title
    if known is not None and has == had and shown == known.title:
        return
    created = tx.now_ms if known is None else known.created_at_ms
    search_text = f"{session_id.casefold()}\n{(shown or '').casefold()}"
    await tx.write(SET_LINE, agent, shown, encode_record(has), search_text, created, tx.now_ms, sid)
    if has != had:
        await tx.write(DROP_LABELS, session_id, encode_record(had).decode())
        await tx.write_many(ADD_LABEL, [(label, session_id) for label in has])


def _labels(row: InfoRow) -> tuple[str, ...]:
    what = f"table session: labels of session {row.session_id!r}"
    return decode_record(tuple[str, ...], row.labels, what=what)
