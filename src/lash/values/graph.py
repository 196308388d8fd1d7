"""The session graph: an append-only tree of nodes, of which one leaf selects the active path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from lash.errors import LashError
from lash.values.invocations import CausalRef
from lash.values.messages import ConversationRecord
from lash.values.record import Json, JsonRecord, Record


class EventNode(Record, frozen=True, tag="event", tag_field="kind"):
    """A message, or a record of the turn protocol."""

    event: ConversationRecord


class PluginNode(JsonRecord, frozen=True, tag="plugin", tag_field="kind", eq=False):
    """Something that a plugin keeps in the history."""

    plugin_type: str
    body: Json = None


SessionNodePayload: TypeAlias = EventNode | PluginNode


class SessionNodeRecord(Record, frozen=True, kw_only=True):
    """One node. `timestamp` is RFC 3339 text and never enters a hash."""

    node_id: str
    payload: SessionNodePayload
    timestamp: str
    parent_node_id: str | None = None
    caused_by: CausalRef | None = None
    agent_frame_id: str | None = None


class SessionGraph(Record, frozen=True, kw_only=True):
    """Nodes in insertion order, and the leaf that selects the active path (None: an empty one)."""

    nodes: tuple[SessionNodeRecord, ...] = ()
    leaf_node_id: str | None = None

    @classmethod
    def from_nodes(cls, nodes: Iterable[SessionNodeRecord], leaf_node_id: str | None) -> SessionGraph:
        return cls(nodes=tuple(nodes), leaf_node_id=leaf_node_id)

    def find(self, node_id: str) -> SessionNodeRecord | None:
        """Return the node with that id, or None."""
        return next((node for node in self.nodes if node.node_id == node_id), None)

    def path(self, leaf: str | None = None) -> tuple[SessionNodeRecord, ...]:
        """Return the nodes from the root to `leaf` (or to the graph's own leaf), root first.

        Raises:
            LashError: `invalid_graph_leaf` when the leaf is no node of the graph; `invalid_graph_parent`
                or `invalid_graph_cycle` when the walk to the root does not end at one.
        """
        start = leaf if leaf is not None else self.leaf_node_id
        if start is None:
            return ()
        by_id = {node.node_id: node for node in self.nodes}
        if start not in by_id:
            raise LashError("invalid_graph_leaf", f"leaf {start!r} is no node of this graph", node_id=start)
        path: list[SessionNodeRecord] = []
        seen: set[str] = set()
        at: str | None = start
        while at is not None:
            if at in seen:
                raise LashError("invalid_graph_cycle", f"node {at!r} is its own ancestor", node_id=at)
            node = by_id.get(at)
            if node is None:
                raise LashError("invalid_graph_parent", f"parent {at!r} is no node of this graph", node_id=at)
            seen.add(at)
            path.append(node)
            at = node.parent_node_id
        return tuple(reversed(path))
