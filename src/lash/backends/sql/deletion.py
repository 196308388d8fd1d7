"""Deleting a session: everything that it owns goes, its id stays (ruling 30)."""

from __future__ import annotations

from collections.abc import Sequence

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.holders import SESSION_HOLDER
from lash.backends.sql.node_rows import DELETE_RANGE, session_range
from lash.backends.sql.session_edges import cut_edges
from lash.backends.sql.session_rows import announce, locked_session
from lash.backends.sql.store import Store, json_list
from lash.errors import LashError
from lash.rules.journal import turn_scopes_prefix
from lash.rules.leases import lease_is_live
from lash.values import SessionDeletion

_SID = "(SELECT sid FROM session WHERE session_id = ?1)"
COUNT_NODES = f"""SELECT count(*) FROM node WHERE key BETWEEN {_SID} << 32
    AND ({_SID} << 32) + 4294967295"""  # noqa: S608  # constants only
COUNT_QUEUE = f"SELECT count(*) FROM queue WHERE sid = {_SID}"  # noqa: S608
COUNT_EFFECTS = f"SELECT count(*) FROM effect WHERE sid = {_SID} AND scope_type = 'turn'"  # noqa: S608
DELETE_ITEMS = "DELETE FROM queue_items WHERE enqueue_seq IN (SELECT enqueue_seq FROM queue WHERE sid = ?)"
DELETE_QUEUE = "DELETE FROM queue WHERE sid = ?"
_TURN_EFFECTS = "sid = ? AND scope_type = 'turn'"
DELETE_OUTCOMES = f"""DELETE FROM effect_outcome WHERE effect_seq IN
    (SELECT effect_seq FROM effect WHERE {_TURN_EFFECTS})"""  # noqa: S608
DELETE_EFFECTS = f"DELETE FROM effect WHERE {_TURN_EFFECTS}"  # noqa: S608
DELETE_WAITS = "DELETE FROM wait WHERE scope_key >= ? AND scope_key < ? AND scope_key <> ''"
OWN_ATTACHMENTS = f"SELECT attachment_id FROM attachment_manifest WHERE sid = {_SID}"  # noqa: S608
DELETE_MANIFEST = "DELETE FROM attachment_manifest WHERE sid = ?"
STILL_NAMED = (
    "SELECT attachment_id FROM attachment_manifest WHERE attachment_id IN (SELECT value FROM json_each(?))"
)
DELETE_DESCRIPTIONS = """DELETE FROM attachment_description
    WHERE attachment_id IN (SELECT value FROM json_each(?)) AND NOT EXISTS (SELECT 1
    FROM attachment_manifest m WHERE m.attachment_id = attachment_description.attachment_id)"""
DELETE_ATTACHMENTS = """DELETE FROM attachment
    WHERE attachment_id IN (SELECT value FROM json_each(?)) AND NOT EXISTS (SELECT 1
    FROM attachment_manifest m WHERE m.attachment_id = attachment.attachment_id) RETURNING attachment_id"""
SIMPLE_DELETES = (
    DELETE_ITEMS,
    DELETE_QUEUE,
    DELETE_OUTCOMES,
    DELETE_EFFECTS,
    "DELETE FROM stamp WHERE sid = ?",
    "DELETE FROM usage_counted WHERE sid = ?",
    "DELETE FROM session_setup WHERE sid = ?",
    "DELETE FROM session_meta WHERE sid = ?",
)
DELETE_EDGES = "DELETE FROM process_observer WHERE session_id = ?"
DELETE_PARKING = "DELETE FROM parking WHERE park_id = (SELECT park_id FROM session WHERE sid = ?)"
DELETE_LABELS = "DELETE FROM session_label WHERE session_id = ?"
ENTOMB = """UPDATE session SET agent = NULL, title = NULL, labels = '[]', search_text = '', deleted_at_ms = ?,
    updated_at_ms = ?, lease_owner_id = NULL, lease_token = NULL, lease_claimed_at_ms = 0,
    lease_expires_at_ms = 0, revision = 0, leaf_node_id = NULL, path_digest = '',
    current_agent_frame_id = '', checkpoint_ref = NULL, manifest = NULL, ledger = '[]', setup_hash = '',
    park_id = NULL, parked_turn_id = NULL, parked_on = NULL WHERE sid = ?"""


async def delete_session(tx: Tx, store: Store, session_id: str) -> SessionDeletion:
    """Delete a session's rows and leave its tombstone.

    Raises:
        LashError: `session_unknown`, `session_busy`.
    """
    store.foresee_owners(tx, SESSION_HOLDER, session_id)
    sessions, nodes, queued, effects, attachments = await tx.read(
        locked_session(session_id),
        Query(int, COUNT_NODES, session_id),
        Query(int, COUNT_QUEUE, session_id),
        Query(int, COUNT_EFFECTS, session_id),
        Query(str, OWN_ATTACHMENTS, session_id),
    )
    session = sessions[0] if sessions else None
    if session is None or session.is_deleted or (session.agent is None and session.revision == 0):
        raise LashError("session_unknown", f"there is no session {session_id!r}", session_id=session_id)
    dead = await store.dead_among(tx, [session.lease_owner_id])
    if lease_is_live(session.lease, tx.now_ms, dead):
        raise LashError(
            "session_busy",
            f"session {session_id!r} is driven by {session.lease_owner_id!r}; cancel its turn, then delete it",
            retryable=True,
            session_id=session_id,
            owner_id=session.lease_owner_id,
        )
    await _delete_rows(tx, session.sid, session_id)
    deleted, orphaned = await _delete_attachments(tx, session.sid, attachments)
    await tx.write(ENTOMB, tx.now_ms, tx.now_ms, session.sid)
    announce(tx, session_id)
    return SessionDeletion(
        session_id=session_id,
        node_count=nodes[0],
        queued_count=queued[0],
        effect_count=effects[0],
        attachment_count=deleted,
        orphaned_attachment_ids=orphaned,
    )


async def _delete_rows(tx: Tx, sid: int, session_id: str) -> None:
    await tx.write(DELETE_RANGE, *session_range(sid))
    await cut_edges(tx, sid, session_id)
    prefix = turn_scopes_prefix(session_id)
    await tx.write(DELETE_WAITS, prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))
    for statement in SIMPLE_DELETES:
        await tx.write(statement, sid)
    await tx.write(DELETE_LABELS, session_id)
    await tx.write(DELETE_EDGES, session_id)
    await tx.write(DELETE_PARKING, sid)


async def _delete_attachments(tx: Tx, sid: int, own: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Delete the bytes that no other session's manifest names; return how many attachments had bytes here, and
    all that nobody names any more.
    """
    if not own:
        return 0, ()
    ids = json_list(own)
    await tx.write(DELETE_MANIFEST, sid)
    await tx.write(DELETE_DESCRIPTIONS, ids)
    deleted, named = await tx.read(Query(str, DELETE_ATTACHMENTS, ids), Query(str, STILL_NAMED, ids))
    return len(deleted), tuple(sorted({*own}.difference(named)))
