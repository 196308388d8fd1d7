"""Hiding nodes, deleting those that nobody needs, sweeping blobs (contract 2.D.13 to 2.D.15)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.sql.engine import Tx
from lash.backends.sql.node_rows import LIST_PLACES, NodePlace, find_place, session_range
from lash.backends.sql.reads import resolve, visible_leaf_of
from lash.backends.sql.session_rows import SessionRow, find_session
from lash.backends.sql.store import json_list
from lash.rules.blobs import blob_roots
from lash.rules.graph import ChainNode, vacuumable
from lash.values import AgentFrameRecord, GcReport, SessionCheckpoint, VacuumReport, decode_record


class HeadBodies(msgspec.Struct, frozen=True, gc=False):
    """What a head keeps alive."""

    session_id: str
    manifest: bytes
    frames: bytes


HIDE_NODES = """UPDATE node SET hidden = 1 WHERE key >> 32 = ?
    AND node_id IN (SELECT value FROM json_each(?)) AND hidden = 0"""
HIDDEN_IN = "SELECT count(*) FROM node WHERE hidden = 1 AND key BETWEEN ? AND ?"
SESSIONS_WITH_HEADS = "SELECT session_id FROM session WHERE revision > 0 AND deleted_at_ms IS NULL"
DELETE_NODES = "DELETE FROM node WHERE key IN (SELECT value FROM json_each(?))"
SET_LEAF = "UPDATE session SET leaf_node_id = ? WHERE sid = ?"
HEAD_BODIES = """SELECT session_id, manifest, frames FROM session JOIN session_setup USING (sid)
    WHERE revision > 0 AND deleted_at_ms IS NULL"""
COUNT_BLOBS = "SELECT count(*) FROM blob"
DELETE_OTHER_BLOBS = "DELETE FROM blob WHERE ref NOT IN (SELECT value FROM json_each(?))"


async def hide_nodes(tx: Tx, bound_session_id: str | None, node_ids: Sequence[str]) -> None:
    """Tombstone nodes; unknown ids are ignored."""
    session_id = await resolve(tx, bound_session_id)
    session = None if session_id is None else await find_session(tx, session_id)
    if session is not None:
        await tx.write(HIDE_NODES, session.sid, json_list(node_ids))


async def vacuum(tx: Tx, bound_session_id: str | None) -> VacuumReport:
    """Delete hidden nodes without live descendants: the handle's session's, or all of an unbound handle's."""
    session_ids = [bound_session_id] if bound_session_id is not None else None
    removed = 0
    for session_id in session_ids or await tx.fetch_all(str, SESSIONS_WITH_HEADS):
        session = await find_session(tx, session_id)
        if session is not None:
            removed += await _vacuum_session(tx, session)
    return VacuumReport(removed_node_count=removed)


async def sweep_blobs(tx: Tx) -> GcReport:
    """Delete the blobs that no head needs. Every head is decoded before anything is deleted: all or nothing.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    roots: set[str] = set()
    for head in await tx.fetch_all(HeadBodies, HEAD_BODIES):
        what = f"head of session {head.session_id!r}"
        manifest = decode_record(SessionCheckpoint, head.manifest, what=f"table session: {what}")
        frames = decode_record(tuple[AgentFrameRecord, ...], head.frames, what=f"table session_setup: {what}")
        roots |= blob_roots(manifest, frames)
    deleted = await tx.write_counted(DELETE_OTHER_BLOBS, json_list(sorted(roots)))
    retained = await tx.fetch_one(int, COUNT_BLOBS)
    return GcReport(root_count=len(roots), retained_blob_count=retained or 0, deleted_blob_count=deleted)


async def _vacuum_session(tx: Tx, session: SessionRow) -> int:
    bounds = session_range(session.sid)
    if not await tx.fetch_one(int, HIDDEN_IN, *bounds):
        return 0
    places = await tx.fetch_all(NodePlace, LIST_PLACES, *bounds)
    gone = set(vacuumable(_chain_nodes(places)))
    if session.leaf_node_id in gone:  # the leaf moves to what it read as
        leaf = await find_place(tx, session.sid, session.leaf_node_id)
        assert leaf is not None
        await tx.write(SET_LEAF, await visible_leaf_of(tx, session.sid, leaf), session.sid)
    await tx.write(DELETE_NODES, json_list(place.key for place in places if place.node_id in gone))
    return len(gone)


def _chain_nodes(places: Sequence[NodePlace]) -> list[ChainNode]:
    ids = {place.seq: place.node_id for place in places}
    return [
        ChainNode(
            place.node_id,
            None if place.parent_seq is None else ids.get(place.parent_seq),
            not place.hidden,
        )
        for place in places
    ]
