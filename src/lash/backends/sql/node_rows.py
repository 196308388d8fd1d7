"""Nodes as rows, and paths as runs of neighbouring rows.

A run is an unbroken line: consecutive numbers, each the parent of the next. A node's row names the first
number of its run and the parent of that first node. So a path is read from its leaf as one range for each
run, and a history without branches is one range whatever its length. Inserting keeps this true with what is
known of the parent alone, and the parent of every node but a run's first is the row before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from lash.backends.sql.engine import Query, Value
from lash.backends.sql.node_bodies import NodeBody, node_json, spelled_out, timed_body
from lash.backends.sql.session_rows import corrupt
from lash.backends.sql.store import json_list
from lash.errors import LashError
from lash.values import SessionNodeRecord, decode_record

_SEQ_BITS = 32
_SEQ_MASK = (1 << _SEQ_BITS) - 1


def node_key(sid: int, seq: int) -> int:
    """Return the key of a session's `seq`-th node."""
    return sid << _SEQ_BITS | seq


class NodePlace(msgspec.Struct, frozen=True, gc=False):
    """Where a node stands, without what it holds."""

    key: int
    node_id: str
    run_seq: int
    run_parent: int | None
    hidden: int

    @property
    def seq(self) -> int:
        return self.key & _SEQ_MASK

    @property
    def parent_seq(self) -> int | None:
        """The number of the parent, None for a root."""
        return self.seq - 1 if self.seq > self.run_seq else self.run_parent


class NodeRow(msgspec.Struct, frozen=True, gc=False):
    """A node as a reader needs it."""

    key: int
    node_id: str
    run_seq: int
    hidden: int
    at_ms: int | None
    body: bytes

    @property
    def follows_its_parent(self) -> bool:
        """Whether the row before this one is the parent."""
        return self.key & _SEQ_MASK > self.run_seq


class PreparedNode(msgspec.Struct, frozen=True, gc=False):
    """A node that is about to be stored, encoded but for its place."""

    node_id: str
    parent_node_id: str | None
    at_ms: int | None
    content: NodeBody
    body: bytes

    @classmethod
    def of(cls, node: SessionNodeRecord) -> PreparedNode:
        """Encode a node.

        Raises:
            LashError: `json_not_representable`.
        """
        at_ms, content = timed_body(node)
        return cls(node.node_id, node.parent_node_id, at_ms, content, content.stored())

    def body_with_parent(self) -> bytes:
        """Return the body of a node that begins a run below another one."""
        return msgspec.structs.replace(self.content, parent_node_id=self.parent_node_id).stored()


class Run(msgspec.Struct, frozen=True, gc=False):
    """The numbers of an unbroken line of nodes, both ends included."""

    first: int
    last: int


PLACE = "key, node_id, run_seq, run_parent, hidden"
# The plus takes the column's type away: compared with a typed value, the expression would not use its index.
FIND_PLACES = f"""SELECT {PLACE} FROM node
    WHERE key >> 32 = (SELECT +sid FROM session WHERE session_id = ?)
    AND node_id IN (SELECT value FROM json_each(?))"""  # noqa: S608
_HEAD = "FROM session WHERE session_id = ?1 AND revision > 0 AND deleted_at_ms IS NULL"
# Where the runs of a path end, from a leaf up. What leads in a circle ends where it began: a row comes once only.
_CLIMB = f"""WITH RECURSIVE run_end (key, node_id, run_seq, run_parent, hidden) AS (
        SELECT {PLACE} FROM node WHERE key >> 32 = (SELECT +sid {_HEAD}) AND node_id = %s
        UNION
        SELECT n.key, n.node_id, n.run_seq, n.run_parent, n.hidden
        FROM run_end r JOIN node n ON n.key = (r.key >> 32 << 32) + r.run_parent
    ) SELECT {PLACE} FROM run_end"""  # noqa: S608  # constants only
ENDS_OF_ACTIVE_PATH = _CLIMB % f"(SELECT leaf_node_id {_HEAD})"
ENDS_OF_PATH_TO = _CLIMB % "?2"
PLACE_OF = f"SELECT {PLACE} FROM node WHERE key >> 32 = (SELECT +sid {_HEAD}) AND node_id = ?2"  # noqa: S608
_ROW = "key, node_id, run_seq, hidden, at_ms, body"
READ_RANGE = f"SELECT {_ROW} FROM node WHERE key BETWEEN ? AND ? ORDER BY key"  # noqa: S608
READ_NODE = f"SELECT {_ROW} FROM node WHERE key >> 32 = (SELECT +sid {_HEAD}) AND node_id = ?2"  # noqa: S608
# The node before it, which is its parent if it follows its parent.
READ_BEFORE = f"""SELECT {_ROW} FROM node WHERE key = (SELECT n.key - 1 FROM node n
    WHERE n.key >> 32 = (SELECT +sid {_HEAD}) AND n.node_id = ?2)"""  # noqa: S608
INSERT_NODE = "INSERT INTO node (key, node_id, run_seq, run_parent, at_ms, body) VALUES (?, ?, ?, ?, ?, ?)"
DELETE_RANGE = "DELETE FROM node WHERE key BETWEEN ? AND ?"


def places(session_id: str, node_ids: Iterable[str]) -> Query[NodePlace]:
    """Return the read of where some nodes stand; those that are not stored are left out."""
    return Query(NodePlace, FIND_PLACES, session_id, json_list(node_ids))


def session_range(sid: int) -> tuple[int, int]:
    """Return the first and the last key that a session's nodes can have."""
    return node_key(sid, 0), node_key(sid, _SEQ_MASK)


def placed_rows(
    sid: int,
    next_seq: int,
    nodes: Sequence[PreparedNode],
    known: Mapping[str, NodePlace],
) -> list[tuple[Value, ...]]:
    """Return the rows that store new nodes, in the order of `INSERT_NODE`'s parameters.

    Args:
        sid: The session's number.
        next_seq: The number of the first of them.
        nodes: The nodes; a parent may be any of them, or known.
        known: Where the parents stand that are stored already, by id.
    """
    numbers = {node.node_id: next_seq + index for index, node in enumerate(nodes)}
    runs: dict[int, tuple[int, int | None]] = {
        place.seq: (place.run_seq, place.run_parent) for place in known.values()
    }
    rows: list[tuple[Value, ...]] = []
    for seq, node in enumerate(nodes, start=next_seq):
        parent_id = node.parent_node_id
        if parent_id is None:
            run: tuple[int, int | None] = (seq, None)
        else:
            parent = numbers.get(parent_id)
            if parent is None:
                parent = known[parent_id].seq
            run = runs[parent] if parent == seq - 1 else (seq, parent)
        runs[seq] = run
        body = node.body if run[1] is None or run[0] < seq else node.body_with_parent()
        rows.append((node_key(sid, seq), node.node_id, *run, node.at_ms, body))
    return rows


def runs_to(what: str, places: Sequence[NodePlace], leaf: NodePlace) -> list[Run]:
    """Return the runs from a leaf to its root, the leaf's first.

    Args:
        what: Whose they are, for the error.
        places: Where the runs end, in any order (see `ENDS_OF_ACTIVE_PATH`).
        leaf: Where to begin.

    Raises:
        LashError: `stored_data_corrupt` when a parent is not stored or a node is its own ancestor.
    """
    by_seq = {place.seq: place for place in places}
    runs: list[Run] = []
    met: set[int] = set()
    place = leaf
    while True:
        if place.run_seq in met or place.run_seq > place.seq:
            raise corrupt("node", f"{what}, node {place.node_id!r}", "it is its own ancestor")
        met.add(place.run_seq)
        runs.append(Run(place.run_seq, place.seq))
        if place.run_parent is None:
            return runs
        parent = by_seq.get(place.run_parent)
        if parent is None:
            raise corrupt("node", f"{what}, seq {place.run_parent}", "a node names it as parent")
        place = parent


def run_query(sid: int, run: Run) -> Query[NodeRow]:
    """Return the read of the rows of a run, hidden ones included."""
    return Query(NodeRow, READ_RANGE, node_key(sid, run.first), node_key(sid, run.last))


def whole(what: str, run: Run, rows: list[NodeRow]) -> list[NodeRow]:
    """Return the rows of a run if none is missing.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    if len(rows) != run.last - run.first + 1:
        raise corrupt(
            "node",
            f"{what}, seq {run.first} to {run.last}",
            f"the path needs {run.last - run.first + 1} nodes and {len(rows)} are stored",
        )
    return rows


def decode_nodes(
    session_id: str, rows: Sequence[NodeRow], *, before: NodeRow | None = None
) -> tuple[SessionNodeRecord, ...]:
    """Return the live nodes of rows. All at once where that works: it is several times faster than one by one.

    Args:
        session_id: Whose they are.
        rows: Runs, or the rest of one, hidden rows included: they are parents, too.
        before: The row before the first one, when that is the first one's parent.

    Raises:
        LashError: `stored_data_corrupt`, naming the first node that cannot be read.
    """
    texts: list[bytes] = []
    last_key, last_id = (0, b"") if before is None else (before.key, _encode(before.node_id))
    for row in rows:
        node_id = _encode(row.node_id)
        parent_id = None
        if row.key & _SEQ_MASK > row.run_seq:  # spelled out here: this runs for every node of a history
            if last_key != row.key - 1:
                raise parent_missing(session_id, row)
            parent_id = last_id
        if not row.hidden:
            texts.append(_json_of(session_id, row, node_id, parent_id))
        last_key, last_id = row.key, node_id
    nodes: list[SessionNodeRecord] = []
    try:
        for at in range(0, len(texts), _AT_ONCE):
            nodes += _node_list.decode(spelled_out(b"[" + b",".join(texts[at : at + _AT_ONCE]) + b"]"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        nodes = []
    if len(nodes) == len(texts):
        return tuple(nodes)
    live = (row for row in rows if not row.hidden)
    return tuple(_decoded(session_id, row, text) for row, text in zip(live, texts, strict=True))


def decode_node(session_id: str, row: NodeRow, parent_id: str | None) -> SessionNodeRecord:
    """Return the node of a row, given the id of the row before it if that is its parent.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    parent = None if parent_id is None else _encode(parent_id)
    return _decoded(session_id, row, _json_of(session_id, row, _encode(row.node_id), parent))


def parent_missing(session_id: str, row: NodeRow) -> LashError:
    """Return the error for a row whose parent should be the row before it, and is not there."""
    what = f"node {row.node_id!r} of session {session_id!r}"
    return corrupt("node", what, "the node before it is its parent, and is not stored")


def _json_of(session_id: str, row: NodeRow, node_id: bytes, parent_id: bytes | None) -> bytes:
    try:
        return node_json(node_id, row.at_ms, parent_id, row.body)
    except ValueError as problem:
        raise corrupt("node", f"node {row.node_id!r} of session {session_id!r}", problem) from problem


def _decoded(session_id: str, row: NodeRow, text: bytes) -> SessionNodeRecord:
    try:
        return decode_record(
            SessionNodeRecord,
            spelled_out(text),
            what=f"table node: node {row.node_id!r} of session {session_id!r}",
        )
    except LashError as problem:
        problem.facts.update(table="node", session_id=session_id, node_id=row.node_id)
        raise


_AT_ONCE = 128  # nodes; so many texts stay in the processor's cache
_encode = msgspec.json.Encoder().encode
_node_list = msgspec.json.Decoder(list[SessionNodeRecord])
