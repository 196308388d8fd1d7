"""`RuntimePersistence` on SQL: the halves put together, and the session that a handle is bound to."""

from __future__ import annotations

from collections.abc import Sequence

from lash.backends.sql.commit_preparation import prepare_commit
from lash.backends.sql.commits import apply_commit
from lash.backends.sql.engine import Tx
from lash.backends.sql.maintenance import hide_nodes, sweep_blobs, vacuum
from lash.backends.sql.manifest import AttachmentRows
from lash.backends.sql.queue import WorkQueue
from lash.backends.sql.reads import ONLY_HEADS, ONLY_METAS, read_node, read_path_since, read_session, resolve
from lash.backends.sql.session_rows import BodyRow, ensure_sid, find_session
from lash.backends.sql.store import Store
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.storable import storable_bytes
from lash.values import (
    ActivePath,
    DurabilityTier,
    GcReport,
    PersistedSessionRead,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    VacuumReport,
    decode_record,
)

READ_META = """SELECT body FROM session_meta
    WHERE sid = (SELECT sid FROM session WHERE session_id = ?)"""
PUT_META = """INSERT INTO session_meta (sid, body) VALUES (?, ?)
    ON CONFLICT (sid) DO UPDATE SET body = excluded.body"""


class SqlRuntimePersistence(WorkQueue, AttachmentRows):
    """One handle. All handles of a database, in all processes, see what any of them has committed."""

    durability_tier = DurabilityTier.DURABLE

    def __init__(self, store: Store, session_id: str | None) -> None:
        """Bind to a session, or to the first one that this handle commits.

        Raises:
            LashError: `invalid_argument` for what cannot be a session's id.
        """
        if session_id is not None:
            check_session_id(session_id)
        super().__init__(store)
        self._session_id = session_id

    async def load_session(self, scope: SessionReadScope) -> PersistedSessionRead | None:
        """Return the session as of one moment, or None before its first commit."""
        if isinstance(scope, ActivePath):
            check_text(scope.leaf_node_id or "", what="node id")
        session_id = self._session_id

        async def script(tx: Tx) -> PersistedSessionRead | None:
            return await read_session(tx, session_id, scope)

        return await self._store.read(script)

    async def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """Return a live node, or None."""
        check_text(node_id, what="node id")
        session_id = self._session_id

        async def script(tx: Tx) -> SessionNodeRecord | None:
            return await read_node(tx, session_id, node_id)

        return await self._store.read(script)

    async def load_path_since(self, known_leaf_node_id: str) -> tuple[SessionNodeRecord, ...] | None:
        """Return what the active path has after a node of it, or None if the node is not on it."""
        check_text(known_leaf_node_id, what="node id")
        session_id = self._session_id

        async def script(tx: Tx) -> tuple[SessionNodeRecord, ...] | None:
            return await read_path_since(tx, session_id, known_leaf_node_id)

        return await self._store.read(script)

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Apply a commit whole, or not at all; the first one binds this handle."""
        prepared = prepare_commit(commit, self._session_id)

        async def script(tx: Tx) -> RuntimeCommitResult:
            return await apply_commit(tx, prepared)

        result = await self._store.run(script)
        self._session_id = commit.session_id
        return result

    async def save_session_meta(self, meta: SessionMeta) -> None:
        """Store the session's meta; the last write wins."""
        check_session_id(meta.session_id)
        body = storable_bytes(meta, what=f"meta of session {meta.session_id!r}")

        async def script(tx: Tx) -> None:
            session = await find_session(tx, meta.session_id)
            await tx.write(PUT_META, await ensure_sid(tx, session, meta.session_id), body)

        await self._store.run(script)

    async def load_session_meta(self) -> SessionMeta | None:
        """Return the stored meta, or None; one that was saved before any commit counts (ruling 15)."""
        bound = self._session_id

        async def script(tx: Tx) -> SessionMeta | None:
            session_id = await resolve(tx, bound, ONLY_HEADS) or await resolve(tx, None, ONLY_METAS)
            row = None if session_id is None else await tx.fetch_one(BodyRow, READ_META, session_id)
            what = f"table session_meta: session {session_id!r}"
            return None if row is None else decode_record(SessionMeta, row.body, what=what)

        return await self._store.read(script)

    async def tombstone_nodes(self, node_ids: Sequence[str]) -> None:
        """Hide nodes from every read."""
        for node_id in node_ids:
            check_text(node_id, what="node id")
        session_id, hidden = self._session_id, list(node_ids)

        async def script(tx: Tx) -> None:
            await hide_nodes(tx, session_id, hidden)

        await self._store.run(script)

    async def vacuum(self) -> VacuumReport:
        """Delete tombstoned nodes that have no live descendant."""
        session_id = self._session_id

        async def script(tx: Tx) -> VacuumReport:
            return await vacuum(tx, session_id)

        return await self._store.run(script)

    async def gc_unreachable(self) -> GcReport:
        """Delete blobs that no head or frame refers to."""
        return await self._store.run(sweep_blobs)
