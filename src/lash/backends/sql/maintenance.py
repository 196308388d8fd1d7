"""Hiding nodes, deleting those that nobody needs, sweeping blobs (contract 2.D.13 to 2.D.15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.node_rows import PLACE, NodePlace
from lash.backends.sql.reads import resolve
from lash.backends.sql.session_rows import SessionRow, find_session, locked_session
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
_SID = "(SELECT sid FROM session WHERE session_id = ?1)"
_BOUNDS = f"BETWEEN {_SID} << 32 AND ({_SID} << 32) + 4294967295"
# Of a session that has hidden ones; of any other, none.
PLACES_TO_VACUUM = f"""SELECT {PLACE} FROM node WHERE key {_BOUNDS}
    AND EXISTS (SELECT 1 FROM node h WHERE h.hidden = 1 AND h.key {_BOUNDS}) ORDER BY key"""  # noqa: S608
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
    bound = None if bound_session_id is None else [bound_session_id]
    session_ids = bound or await tx.fetch_all(str, SESSIONS_WITH_HEADS)
    if not session_ids:
        return VacuumReport(removed_node_count=0)
    asked: list[Query[Any]] = [  # rows of two types
        *(locked_session(session_id) for session_id in session_ids),
        *(Query(NodePlace, PLACES_TO_VACUUM, session_id) for session_id in session_ids),
    ]
    answers = await tx.read(*asked)
    sessions, places = answers[: len(session_ids)], answers[len(session_ids) :]
    removed = 0
    for found, nodes in zip(sessions, places, strict=True):
        if found and nodes:
            removed += await _vacuum_session(tx, found[0], nodes)
    return VacuumReport(removed_node_count=removed)


async def sweep_blobs(tx: Tx) -> GcReport:
    """Delete the blobs that no head needs. Every head is decoded before anything is deleted: all or nothing.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    roots: set[str] = set()
    heads, counts = await tx.read(Query(HeadBodies, HEAD_BODIES), Query(int, COUNT_BLOBS))
    for head in heads:
        what = f"head of session {head.session_id!r}"
        manifest = decode_record(SessionCheckpoint, head.manifest, what=f"table session: {what}")
        frames = decode_record(tuple[AgentFrameRecord, ...], head.frames, what=f"table session_setup: {what}")
        roots |= blob_roots(manifest, frames)
    deleted = await tx.write_counted(DELETE_OTHER_BLOBS, json_list(sorted(roots)))
    return GcReport(
        root_count=len(roots), retained_blob_count=counts[0] - deleted, deleted_blob_count=deleted
    )


async def _vacuum_session(tx: Tx, session: SessionRow, places: Sequence[NodePlace]) -> int:
    gone = set(vacuumable(_chain_nodes(places)))
    if session.leaf_node_id in gone:  # the leaf moves to what it read as
        by_seq = {place.seq: place for place in places}
        leaf = next((place for place in places if place.node_id == session.leaf_node_id), None)
        while leaf is not None and leaf.hidden:
            leaf = by_seq.get(leaf.parent_seq or 0)
        await tx.write(SET_LEAF, None if leaf is None else leaf.node_id, session.sid)
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
