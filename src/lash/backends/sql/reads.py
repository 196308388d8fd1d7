"""Reading a session: head, path and checkpoint of one snapshot (contract 2.D.1, 2.D.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import msgspec

from lash.backends.sql.commits import decode_ledger
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.node_rows import (
    ENDS_OF_ACTIVE_PATH,
    ENDS_OF_PATH_TO,
    PLACE_OF,
    READ_BEFORE,
    READ_NODE,
    READ_RANGE,
    NodePlace,
    NodeRow,
    Run,
    decode_node,
    decode_nodes,
    node_key,
    parent_missing,
    run_query,
    runs_to,
    session_range,
    whole,
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
    """Return a session as of this snapshot: its head and where its path goes, then all that they name.

    Raises:
        LashError: see `RuntimePersistence.load_session`.
    """
    session_id = await resolve(tx, bound_session_id)
    if session_id is None:
        return None
    asked = scope.leaf_node_id if isinstance(scope, ActivePath) else None
    heads, ends = await tx.read(Query(HeadRow, FIND_HEAD, session_id), _ends(session_id, asked))
    if not heads:
        return None
    head = heads[0]
    if head.manifest is None or head.config is None or head.frames is None:
        raise corrupt("session", f"session {head.session_id!r}", "its head is not whole")
    what = f"table session_setup: session {head.session_id!r}"
    manifest = decode_record(
        SessionCheckpoint, head.manifest, what=f"table session: checkpoint manifest of session {session_id!r}"
    )
    refs = json_list(component_refs(manifest))
    match scope:
        case FullGraph():
            rows, blobs = await tx.read(
                Query(NodeRow, READ_RANGE, *session_range(head.sid)), Query(BlobRow, READ_BLOBS, refs)
            )
            graph = SessionGraph(
                nodes=decode_nodes(head.session_id, rows), leaf_node_id=_visible_leaf(head, ends, rows)
            )
        case ActivePath(leaf_node_id=named):
            runs = _path(head, ends, named)
            queries: list[Query[Any]] = [run_query(head.sid, run) for run in runs]  # and one of other rows
            *parts, blobs = await tx.read(*queries, Query(BlobRow, READ_BLOBS, refs))
            nodes = decode_nodes(head.session_id, _root_first(head, runs, parts))
            graph = SessionGraph(nodes=nodes, leaf_node_id=nodes[-1].node_id if nodes else None)
        case _:
            assert_never(scope)
    return PersistedSessionRead(
        session_id=head.session_id,
        head_revision=head.revision,
        config=decode_record(SessionConfig, head.config, what=what),
        agent_frames=decode_record(tuple[AgentFrameRecord, ...], head.frames, what=what),
        current_agent_frame_id=head.current_agent_frame_id,
        graph=graph,
        checkpoint_ref=head.checkpoint_ref,
        checkpoint=hydrated(manifest, {row.ref: row.body for row in blobs}),
        token_ledger=decode_ledger(head.session_id, head.ledger),
    )


async def read_node(tx: Tx, bound_session_id: str | None, node_id: str) -> SessionNodeRecord | None:
    """Return a live node, or None."""
    session_id = await resolve(tx, bound_session_id)
    if session_id is None:
        return None
    rows, before = await tx.read(
        Query(NodeRow, READ_NODE, session_id, node_id), Query(NodeRow, READ_BEFORE, session_id, node_id)
    )
    if not rows or rows[0].hidden:
        return None
    row, parent = rows[0], before[0] if before else None
    if not row.follows_its_parent:
        return decode_node(session_id, row, None)
    if parent is None:
        raise parent_missing(session_id, row)
    return decode_node(session_id, row, parent.node_id)


async def read_path_since(
    tx: Tx, bound_session_id: str | None, known_leaf_node_id: str
) -> tuple[SessionNodeRecord, ...] | None:
    """Return the live nodes of the active path after a node of it, or None if it is no live node of it."""
    session_id = await resolve(tx, bound_session_id)
    if session_id is None:
        return None
    heads, found, ends = await tx.read(
        Query(HeadRow, FIND_HEAD, session_id),
        Query(NodePlace, PLACE_OF, session_id, known_leaf_node_id),
        _ends(session_id, None),
    )
    leaf_node_id = heads[0].leaf_node_id if heads else None
    if leaf_node_id is None or not found or found[0].hidden:
        return None
    head, known = heads[0], found[0]
    newer: list[Run] = []
    for run in _runs(head, ends, leaf_node_id):
        if run.first <= known.seq <= run.last:
            runs = [*newer, Run(known.seq, run.last)]
            parts = await tx.read(*(run_query(head.sid, run) for run in runs))
            first, *rows = _root_first(head, runs, parts)
            return decode_nodes(head.session_id, rows, before=first)
        newer.append(run)
    return None


def _ends(session_id: str, leaf_node_id: str | None) -> Query[NodePlace]:
    """Return the read of where the runs of a path end: the active one, or the one to a leaf."""
    if leaf_node_id is None:
        return Query(NodePlace, ENDS_OF_ACTIVE_PATH, session_id)
    return Query(NodePlace, ENDS_OF_PATH_TO, session_id, leaf_node_id)


def _path(head: HeadRow, ends: Sequence[NodePlace], named: str | None) -> list[Run]:
    """Return the runs of a path, the leaf's first: it goes through hidden nodes (R-40)."""
    if named is None:
        return [] if head.leaf_node_id is None else _runs(head, ends, head.leaf_node_id)
    if not any(place.node_id == named and not place.hidden for place in ends):
        check_explicit_leaf(named, ())
    return _runs(head, ends, named)


def _runs(head: HeadRow, ends: Sequence[NodePlace], leaf_node_id: str) -> list[Run]:
    return runs_to(f"session {head.session_id!r}", ends, _leaf_of(head, ends, leaf_node_id))


def _leaf_of(head: HeadRow, ends: Sequence[NodePlace], leaf_node_id: str) -> NodePlace:
    for place in ends:
        if place.node_id == leaf_node_id:
            return place
    raise corrupt(
        "node", f"node {leaf_node_id!r} of session {head.session_id!r}", "the head names it as leaf"
    )


def _visible_leaf(head: HeadRow, ends: Sequence[NodePlace], rows: Sequence[NodeRow]) -> str | None:
    """Return the nearest live node at or above the leaf (R-39).

    Args:
        head: The session.
        ends: Where the runs of its active path end.
        rows: All nodes of the session.
    """
    if head.leaf_node_id is None:
        return None
    leaf = _leaf_of(head, ends, head.leaf_node_id)
    if not leaf.hidden:
        return leaf.node_id
    by_key = {row.key: row for row in rows}
    for run in _runs(head, ends, leaf.node_id):
        keys = range(node_key(head.sid, run.first), node_key(head.sid, run.last) + 1)
        stored = [by_key[key] for key in keys if key in by_key]
        for row in reversed(whole(f"session {head.session_id!r}", run, stored)):
            if not row.hidden:
                return row.node_id
    return None


def _root_first(head: HeadRow, runs: Sequence[Run], parts: Sequence[list[NodeRow]]) -> list[NodeRow]:
    """Return the rows of runs that are given leaf first, root first."""
    what = f"session {head.session_id!r}"
    whole_parts = [whole(what, run, rows) for run, rows in zip(runs, parts, strict=True)]
    return [row for rows in reversed(whole_parts) for row in rows]
