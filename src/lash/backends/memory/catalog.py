"""The session catalog (contract 5, B-5): a session id is used once for all time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.memory.ingress import agent_mismatch
from lash.backends.memory.session_edges import cut_edges
from lash.backends.memory.tables import StoredSession, Tables
from lash.errors import LashError
from lash.rules.commits import session_deleted
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.journal import turn_scopes_prefix
from lash.rules.leases import lease_is_live
from lash.rules.queue import is_claimed
from lash.values import SessionDeletion, SessionHead, SessionInfo


class MemorySessionCatalog:
    """See `SessionCatalog` for the contract."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def admit_session(
        self, session_id: str, *, agent: str, labels: Sequence[str] | None = None, title: str | None = None
    ) -> tuple[SessionInfo, bool]:
        """Create a session, or reopen it; the flag tells whether it was created."""
        tables, now_ms = self._tables, self._tables.clock.now_ms()
        check_session_id(session_id)
        for text in (agent, *(labels or ()), title or ""):
            check_text(text, what=f"agent, title or label of session {session_id!r}")
        if session_id in tables.deleted:
            raise session_deleted(session_id)
        known = tables.sessions.get(session_id)
        if known is not None and known.agent != agent:
            raise agent_mismatch(session_id, known.agent, agent)
        session = known or StoredSession(
            session_id=session_id, agent=agent, created_at_ms=now_ms, updated_at_ms=now_ms
        )
        changed = msgspec.structs.replace(
            session,
            labels=session.labels if labels is None else tuple(dict.fromkeys(labels)),
            title=session.title if title is None else title,
        )
        if changed != session:
            changed = msgspec.structs.replace(changed, updated_at_ms=now_ms)
        tables.sessions[session_id] = changed
        return self._info(changed, now_ms), known is None

    async def find_session(self, session_id: str) -> SessionInfo | None:
        """Return a session's line, or None."""
        session = self._tables.sessions.get(session_id)
        return None if session is None else self._info(session, self._tables.clock.now_ms())

    async def list_sessions(
        self,
        *,
        label: str | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[SessionInfo]:
        """Return sessions by id, after the id `after`."""
        wanted = [
            session
            for session_id, session in sorted(self._tables.sessions.items())
            if (after is None or session_id > after)
            and (label is None or label in session.labels)
            and (search is None or _is_found(session, search))
        ]
        now_ms = self._tables.clock.now_ms()
        return [self._info(session, now_ms) for session in wanted[: max(limit, 0)]]

    async def find_head(self, session_id: str) -> SessionHead:
        """Return where a session stands; revision 0 for one that was never committed."""
        return self._tables.head(session_id)

    async def delete_session(self, session_id: str) -> SessionDeletion:
        """Remove what a session owns and keep its id as a tombstone."""
        tables = self._tables
        if session_id not in tables.sessions and session_id not in tables.heads:
            raise LashError("session_unknown", f"there is no session {session_id!r}", session_id=session_id)
        lease = tables.lease(session_id)
        if lease_is_live(lease, tables.clock.now_ms(), tables.dead_owners):
            raise LashError(
                "session_busy",
                f"session {session_id!r} is driven by {lease.owner_id!r}; cancel its turn, then delete it",
                retryable=True,
                session_id=session_id,
                owner_id=lease.owner_id,
            )
        cut_edges(tables, session_id)
        orphaned = self._remove_manifest(session_id)
        deletion = SessionDeletion(
            session_id=session_id,
            node_count=len(tables.nodes.pop(session_id, {})),
            queued_count=tables.queue.remove_session(session_id),
            effect_count=self._remove_effects(session_id),
            attachment_count=sum(
                tables.attachments.pop(attachment_id, None) is not None for attachment_id in orphaned
            ),
            orphaned_attachment_ids=orphaned,
        )
        self._remove_rows(session_id)
        tables.deleted.add(session_id)
        tables.announce(session_id)
        return deletion

    def _info(self, session: StoredSession, now_ms: int) -> SessionInfo:
        tables, session_id = self._tables, session.session_id
        return SessionInfo(
            session_id=session_id,
            agent=session.agent,
            created_at_ms=session.created_at_ms,
            updated_at_ms=session.updated_at_ms,
            labels=session.labels,
            title=session.title,
            head_revision=tables.head(session_id).revision,
            pending=sum(
                not is_claimed(row, now_ms, tables.dead_owners) for row in tables.queue.open_rows(session_id)
            ),
            running=lease_is_live(tables.lease(session_id), now_ms, tables.dead_owners),
        )

    def _remove_effects(self, session_id: str) -> int:
        prefix = turn_scopes_prefix(session_id)
        lines = self._tables.effects.all_lines()
        return self._tables.effects.remove(line for line in lines if line.scope_key.startswith(prefix))

    def _remove_manifest(self, session_id: str) -> tuple[str, ...]:
        """Remove a session's rows; return the attachments that no session names any more."""
        tables = self._tables
        mine = {key[1] for key in tables.manifest if key[0] == session_id}
        tables.manifest = {key: row for key, row in tables.manifest.items() if key[0] != session_id}
        return tuple(sorted(mine - {key[1] for key in tables.manifest}))

    def _remove_rows(self, session_id: str) -> None:
        tables, prefix = self._tables, turn_scopes_prefix(session_id)
        for by_session in (
            tables.sessions,
            tables.heads,
            tables.usage,
            tables.counted,
            tables.metas,
            tables.leases,
        ):
            by_session.pop(session_id, None)
        tables.stamps = {key: stamp for key, stamp in tables.stamps.items() if key[0] != session_id}
        tables.waits.remove(lambda wait: wait.scope_key.startswith(prefix))
        parked = tables.parking.turn_of(session_id)
        if parked is not None:
            tables.parking.unpark(parked)
        for scope in [scope for scope in tables.processes.observed if scope.session_id == session_id]:
            del tables.processes.observed[scope]


def _is_found(session: StoredSession, search: str) -> bool:
    text = search.casefold()
    return text in session.session_id.casefold() or text in (session.title or "").casefold()
