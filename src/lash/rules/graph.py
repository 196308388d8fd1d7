"""What a graph delta may be, and how a path reads through hidden nodes (rules R-28, R-33, R-39 to R-41).

Nothing here needs a whole stored graph: a delta is checked against what is known of the few ids that it
names, and a path is judged from its own chain. A tombstoned node is present, keeps its id taken and its
place in every path, and is shown to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

import msgspec

from lash.errors import LashError
from lash.values import (
    GraphAppend,
    GraphCommitDelta,
    GraphReplaceFull,
    GraphUnchanged,
    SessionGraph,
)

KnownNodes = Mapping[str, bool]
"""Which nodes a session has, of those asked about: id to whether it is live (False: tombstoned)."""


class ChainNode(msgspec.Struct, frozen=True):
    """A node as a walk meets it."""

    node_id: str
    parent_node_id: str | None
    is_live: bool


def ids_named_by(delta: GraphCommitDelta) -> tuple[str, ...]:
    """Return the ids about which `check_delta` must know, each once."""
    match delta:
        case GraphUnchanged(leaf_node_id=leaf):
            return () if leaf is None else (leaf,)
        case GraphAppend(nodes=nodes, leaf_node_id=leaf):
            named = [node_id for node in nodes for node_id in (node.node_id, node.parent_node_id)]
            return tuple(dict.fromkeys(node_id for node_id in (*named, leaf) if node_id is not None))
        case GraphReplaceFull():
            return ()
    assert_never(delta)


def check_delta(delta: GraphCommitDelta, known: KnownNodes) -> None:
    """Refuse a delta that would leave a graph that cannot be read (R-33). Several roots are legal.

    Args:
        delta: What the commit does to the graph.
        known: What is stored of `ids_named_by(delta)`; an id that is missing is not stored.

    Raises:
        LashError: `node_id_collision`, `invalid_graph_parent`, `invalid_graph_cycle`, `invalid_graph_leaf`.
    """
    match delta:
        case GraphUnchanged(leaf_node_id=leaf):
            _check_leaf(leaf, known)
        case GraphAppend():
            _check_append(delta, known)
        case GraphReplaceFull(graph=graph):
            _check_replacement(graph)
        case _:
            assert_never(delta)


def chain_from(leaf: str | None, nodes: Mapping[str, ChainNode]) -> list[ChainNode]:
    """Return the nodes from `leaf` up to its root, tombstones included.

    Raises:
        LashError: `stored_data_corrupt` when the walk leaves the stored nodes or comes back to one (B-14).
    """
    chain: list[ChainNode] = []
    seen: set[str] = set()
    at = leaf
    while at is not None:
        node = nodes.get(at)
        if node is None or at in seen:
            why = "is not stored" if node is None else "is its own ancestor"
            raise LashError(
                "stored_data_corrupt",
                f"the path of node {leaf!r} is broken: node {at!r} {why}. Restore from a backup.",
                node_id=at,
            )
        seen.add(at)
        chain.append(node)
        at = node.parent_node_id
    return chain


def visible_path(chain: Sequence[ChainNode]) -> list[str]:
    """Return the live nodes of a leaf-first chain, root first: a path goes through tombstones (R-40)."""
    return [node.node_id for node in reversed(chain) if node.is_live]


def visible_leaf(chain: Sequence[ChainNode]) -> str | None:
    """Return the nearest live node of a leaf-first chain: what a tombstoned leaf reads as (R-39)."""
    return next((node.node_id for node in chain if node.is_live), None)


def check_explicit_leaf(leaf: str, chain: Sequence[ChainNode]) -> None:
    """Refuse a path that is asked for by an unknown or hidden leaf (R-28).

    Raises:
        LashError: `invalid_graph_leaf`.
    """
    if not chain or not chain[0].is_live:
        raise _bad_leaf(leaf)


def vacuumable(nodes: Iterable[ChainNode]) -> list[str]:
    """Return the tombstoned nodes that no live node descends from (R-41)."""
    by_id = {node.node_id: node for node in nodes}
    needed: set[str] = set()
    for node in by_id.values():
        at = node if node.is_live else None
        while at is not None and at.node_id not in needed:
            needed.add(at.node_id)
            at = by_id.get(at.parent_node_id) if at.parent_node_id is not None else None
    return [node_id for node_id in by_id if node_id not in needed]


def _check_append(delta: GraphAppend, known: KnownNodes) -> None:
    live = {node_id for node_id, is_live in known.items() if is_live}
    added: set[str] = set()
    for node in delta.nodes:
        if node.node_id in known or node.node_id in added:
            raise _collision(node.node_id)
        parent = node.parent_node_id
        if parent is not None and parent not in live and parent not in added:
            raise _bad_parent(node.node_id, parent)
        added.add(node.node_id)
    if delta.leaf_node_id is not None and delta.leaf_node_id not in live | added:
        raise _bad_leaf(delta.leaf_node_id)


def _check_replacement(graph: SessionGraph) -> None:
    parents: dict[str, str | None] = {}
    for node in graph.nodes:
        if node.node_id in parents:
            raise _collision(node.node_id)
        parents[node.node_id] = node.parent_node_id
    for node_id, parent in parents.items():
        if parent is not None and parent not in parents:
            raise _bad_parent(node_id, parent)
    _check_acyclic(parents)
    if graph.leaf_node_id is not None and graph.leaf_node_id not in parents:
        raise _bad_leaf(graph.leaf_node_id)


def _check_acyclic(parents: Mapping[str, str | None]) -> None:
    rooted: set[str] = set()
    for start in parents:
        walked: list[str] = []
        on_walk: set[str] = set()
        at: str | None = start
        while at is not None and at not in rooted:
            if at in on_walk:
                raise LashError("invalid_graph_cycle", f"node {at!r} is its own ancestor", node_id=at)
            on_walk.add(at)
            walked.append(at)
            at = parents[at]
        rooted.update(walked)


def _check_leaf(leaf: str | None, known: KnownNodes) -> None:
    if leaf is not None and not known.get(leaf, False):
        raise _bad_leaf(leaf)


def _collision(node_id: str) -> LashError:
    return LashError(
        "node_id_collision", f"node id {node_id!r} is taken; append under a new id", node_id=node_id
    )


def _bad_parent(node_id: str, parent: str) -> LashError:
    return LashError(
        "invalid_graph_parent",
        f"node {node_id!r} names the parent {parent!r}, which is no live node at that point",
        node_id=node_id,
        parent_node_id=parent,
    )


def _bad_leaf(leaf: str) -> LashError:
    return LashError("invalid_graph_leaf", f"leaf {leaf!r} is no live node of the session", node_id=leaf)
