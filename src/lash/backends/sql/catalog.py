"""The session catalog (contract 5, B-5): a session id is used once for all time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.sql.acceptance import agent_mismatch
from lash.backends.sql.deletion import delete_session
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.holders import QUEUE_HOLDERS
from lash.backends.sql.queue_rows import COUNT_OPEN
from lash.backends.sql.session_rows import SessionRow, ensure_sid, find_session, locked_session
from lash.backends.sql.store import Store, json_list
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
HOLDERS_OF_SESSION = """SELECT sid, claim_owner_id, claim_expires_at_ms FROM queue
    WHERE sid = (SELECT sid FROM session WHERE session_id = ?) AND taken = 1 AND settled_at_ms IS NULL
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
            self._store.foresee_owners(tx, QUEUE_HOLDERS, session_id)
            sessions, infos, holders, counts = await tx.read(
                locked_session(session_id),
                Query(InfoRow, FIND_INFO, session_id),
                Query(ClaimHolder, HOLDERS_OF_SESSION, session_id),
                Query(int, COUNT_OPEN, session_id),
            )
            session, known = sessions[0] if sessions else None, infos[0] if infos else None
            if session is not None and session.is_deleted:
                raise session_deleted(session_id)
            if known is not None and known.agent != agent:
                raise agent_mismatch(session_id, known.agent, agent)
            sid = await ensure_sid(tx, session, session_id)
            line = known or _new_line(sid, session_id, agent, session, counts[0], tx.now_ms)
            row = await _write_line(tx, line, wanted, title, is_new=known is None)
            return (await self._infos(tx, [row], holders))[0], known is None

        return await self._store.run(script)

    async def find_session(self, session_id: str) -> SessionInfo | None:
        """Return a session's line, or None."""
        check_text(session_id, what="session id")

        async def script(tx: Tx) -> SessionInfo | None:
            self._store.foresee_owners(tx, QUEUE_HOLDERS, session_id)
            rows, holders = await tx.read(
                Query(InfoRow, FIND_INFO, session_id), Query(ClaimHolder, HOLDERS_OF_SESSION, session_id)
            )
            return (await self._infos(tx, rows, holders))[0] if rows else None

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
            sids = json_list([row.sid for row in rows])
            holders = await tx.fetch_all(ClaimHolder, CLAIM_HOLDERS, sids) if rows else []
            return await self._infos(tx, rows, holders)

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

    async def _infos(
        self, tx: Tx, rows: Sequence[InfoRow], holders: Sequence[ClaimHolder]
    ) -> list[SessionInfo]:
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


def _new_line(
    sid: int, session_id: str, agent: str, session: SessionRow | None, open_count: int, now_ms: int
) -> InfoRow:
    """Return the line of a session that is admitted now; work may wait for it, and a commit may have made it."""
    return InfoRow(
        sid=sid,
        session_id=session_id,
        agent=agent,
        title=None,
        labels=b"[]",
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        revision=0 if session is None else session.revision,
        lease_owner_id=None if session is None else session.lease_owner_id,
        lease_expires_at_ms=0 if session is None else session.lease_expires_at_ms,
        open_count=open_count,
    )


async def _write_line(
    tx: Tx, line: InfoRow, labels: tuple[str, ...] | None, title: str | None, *, is_new: bool
) -> InfoRow:
    """Store a session's line if it is new or changed; return it as it is then."""
    had = _labels(line)
    has = had if labels is None else labels
    shown = title if title is not None else line.title
    if not is_new and has == had and shown == line.title:
        return line
    session_id = line.session_id
    search_text = f"{session_id.casefold()}\n{(shown or '').casefold()}"
    body = encode_record(has)
    await tx.write(SET_LINE, line.agent, shown, body, search_text, line.created_at_ms, tx.now_ms, line.sid)
    if has != had:
        await tx.write(DROP_LABELS, session_id, json_list(had))
        await tx.write_many(ADD_LABEL, [(label, session_id) for label in has])
    return msgspec.structs.replace(line, title=shown, labels=body, updated_at_ms=tx.now_ms)


def _labels(row: InfoRow) -> tuple[str, ...]:
    what = f"table session: labels of session {row.session_id!r}"
    return decode_record(tuple[str, ...], row.labels, what=what)
