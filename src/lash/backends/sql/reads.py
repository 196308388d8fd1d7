"""Reading a session: head, path and checkpoint of one snapshot (contract 2.D.1, 2.D.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from lash.backends.sql.commits import decode_ledger
from lash.backends.sql.engine import Tx
from lash.backends.sql.node_rows import (
    PLACE_AT,
    READ_NODE,
    READ_RANGE,
    NodePlace,
    NodeRow,
    Run,
    decode_node,
    decode_nodes,
    find_place,
    parent_missing,
    read_run,
    runs_to,
    session_range,
)
from lash.backends.sql.session_rows import corrupt
from lash.backends.sql.store import json_list
from lash.errors import LashError
from lash.rules.blobs import component_refs, hydrated
from lash.rules.graph import check_explicit_leaf
from lash.values import (
    ActivePath,
    AgentFrameRecord,
    FullGraph,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    SessionCheckpoint,
    SessionConfig,
    SessionGraph,
    SessionNodeRecord,
    SessionReadScope,
    decode_record,
)


class HeadRow(msgspec.Struct, frozen=True, gc=False):
    """A head with its bodies."""

    sid: int
    session_id: str
    revision: int
    leaf_node_id: str | None
    current_agent_frame_id: str
    checkpoint_ref: str | None
    manifest: bytes | None
    ledger: bytes
    config: bytes | None
    frames: bytes | None


class BlobRow(msgspec.Struct, frozen=True, gc=False):
    """A checkpoint component."""

    ref: str
    body: bytes


FIND_HEAD = """SELECT sid, session_id, revision, leaf_node_id, current_agent_frame_id, checkpoint_ref, manifest,
    ledger, config, frames FROM session LEFT JOIN session_setup USING (sid)
    WHERE session_id = ? AND revision > 0 AND deleted_at_ms IS NULL"""
ONLY_HEADS = "SELECT session_id FROM session WHERE revision > 0 AND deleted_at_ms IS NULL LIMIT 2"
ONLY_METAS = "SELECT session_id FROM session_meta JOIN session USING (sid) LIMIT 2"
READ_BLOBS = "SELECT ref, body FROM blob WHERE ref IN (SELECT value FROM json_each(?))"


async def resolve(tx: Tx, bound_session_id: str | None, candidates: str = ONLY_HEADS) -> str | None:
    """Return the session that a handle reads: its own, or the only one that was committed (ruling 15).

    Raises:
        LashError: `session_ambiguous`.
    """
    if bound_session_id is not None:
        return bound_session_id
    found = await tx.fetch_all(str, candidates)
    if len(found) > 1:
        raise LashError(
            "session_ambiguous",
            "this handle has no session and the database holds more than one; open it with a session id",
        )
    return found[0] if found else None


async def read_session(
    tx: Tx, bound_session_id: str | None, scope: SessionReadScope
) -> PersistedSessionRead | None:
    """Return a session as of this snapshot.

    Raises:
        LashError: see `RuntimePersistence.load_session`.
    """
    session_id = await resolve(tx, bound_session_id)
    head = None if session_id is None else await tx.fetch_one(HeadRow, FIND_HEAD, session_id)
    if head is None:
        return None
    if head.manifest is None or head.config is None or head.frames is None:
        raise corrupt("session", f"session {head.session_id!r}", "its head is not whole")
    what = f"table session_setup: session {head.session_id!r}"
    return PersistedSessionRead(
        session_id=head.session_id,
        head_revision=head.revision,
        config=decode_record(SessionConfig, head.config, what=what),
        agent_frames=decode_record(tuple[AgentFrameRecord, ...], head.frames, what=what),
        current_agent_frame_id=head.current_agent_frame_id,
        graph=await _read_graph(tx, head, scope),
        checkpoint_ref=head.checkpoint_ref,
        checkpoint=await _read_checkpoint(tx, head.session_id, head.manifest),
        token_ledger=decode_ledger(head.session_id, head.ledger),
    )


async def read_node(tx: Tx, bound_session_id: str | None, node_id: str) -> SessionNodeRecord | None:
    """Return a live node, or None."""
    session_id = await resolve(tx, bound_session_id)
    head = None if session_id is None else await tx.fetch_one(HeadRow, FIND_HEAD, session_id)
    row = None if head is None else await tx.fetch_one(NodeRow, READ_NODE, head.sid, node_id)
    if head is None or row is None or row.hidden:
        return None
    parent = await tx.fetch_one(NodePlace, PLACE_AT, row.key - 1) if row.follows_its_parent else None
    if parent is None and row.follows_its_parent:
        raise parent_missing(head.session_id, row)
    return decode_node(head.session_id, row, None if parent is None else parent.node_id)


async def read_path_since(
    tx: Tx, bound_session_id: str | None, known_leaf_node_id: str
) -> tuple[SessionNodeRecord, ...] | None:
    """Return the live nodes of the active path after a node of it, or None if it is no live node of it."""
    session_id = await resolve(tx, bound_session_id)
    head = None if session_id is None else await tx.fetch_one(HeadRow, FIND_HEAD, session_id)
    if head is None or head.leaf_node_id is None:
        return None
    known = await find_place(tx, head.sid, known_leaf_node_id)
    if known is None or known.hidden:
        return None
    newer: list[Run] = []
    for run in await runs_to(tx, head.sid, await _leaf_of(tx, head, head.leaf_node_id)):
        if run.first <= known.seq <= run.last:
            first, *rows = await _rows(tx, head.sid, [*newer, Run(known.seq, run.last)])
            return decode_nodes(head.session_id, rows, before=first)
        newer.append(run)
    return None


async def visible_leaf_of(tx: Tx, sid: int, leaf: NodePlace) -> str | None:
    """Return the nearest live node at or above a leaf (R-39)."""
    if not leaf.hidden:
        return leaf.node_id
    for run in await runs_to(tx, sid, leaf):
        for row in reversed(await read_run(tx, sid, run)):
            if not row.hidden:
                return row.node_id
    return None


async def _read_graph(tx: Tx, head: HeadRow, scope: SessionReadScope) -> SessionGraph:
    match scope:
        case FullGraph():
            leaf = None
            if head.leaf_node_id is not None:
                place = await _leaf_of(tx, head, head.leaf_node_id)
                leaf = await visible_leaf_of(tx, head.sid, place)
            rows = await tx.fetch_all(NodeRow, READ_RANGE, *session_range(head.sid))
            return SessionGraph(nodes=decode_nodes(head.session_id, rows), leaf_node_id=leaf)
        case ActivePath(leaf_node_id=asked):
            if asked is None and head.leaf_node_id is None:
                return SessionGraph()
            nodes = decode_nodes(head.session_id, await _path(tx, head, asked))
            return SessionGraph(nodes=nodes, leaf_node_id=nodes[-1].node_id if nodes else None)
    assert_never(scope)


async def _path(tx: Tx, head: HeadRow, asked: str | None) -> list[NodeRow]:
    """Return the rows of a path, root first: it goes through hidden nodes (R-40)."""
    if asked is None:
        leaf = await _leaf_of(tx, head, head.leaf_node_id or "")
    else:
        place = await find_place(tx, head.sid, asked)
        if place is None or place.hidden:
            check_explicit_leaf(asked, ())
        assert place is not None
        leaf = place
    return await _rows(tx, head.sid, await runs_to(tx, head.sid, leaf))


async def _rows(tx: Tx, sid: int, runs: Sequence[Run]) -> list[NodeRow]:
    """Return the rows of runs that are given leaf first, root first."""
    rows: list[NodeRow] = []
    for run in reversed(runs):
        rows += await read_run(tx, sid, run)
    return rows


async def _leaf_of(tx: Tx, head: HeadRow, leaf_node_id: str) -> NodePlace:
    place = await find_place(tx, head.sid, leaf_node_id)
    if place is None:
        raise corrupt(
            "node", f"node {leaf_node_id!r} of session {head.session_id!r}", "the head names it as leaf"
        )
    return place


async def _read_checkpoint(tx: Tx, session_id: str, body: bytes) -> HydratedSessionCheckpoint:
    manifest = decode_record(
        SessionCheckpoint, body, what=f"table session: checkpoint manifest of session {session_id!r}"
    )
    refs = component_refs(manifest)
    rows = await tx.fetch_all(BlobRow, READ_BLOBS, json_list(refs)) if refs else []
    return hydrated(manifest, {row.ref: row.body for row in rows})
