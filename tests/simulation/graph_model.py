"""A session's graph in a page, written from contracts 2.D.1 to 2.D.3, 2.D.13 and 2.D.14 alone.

Rules R-20, R-28, R-33, R-39, R-40 and R-41 are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

NewNode = tuple[str, str | None]  # id, parent


@dataclass
class Node:
    parent: str | None
    is_live: bool = True


@dataclass
class Graph:
    """Nodes in insertion order, hidden ones included, and the leaf as it was committed."""

    nodes: dict[str, Node] = field(default_factory=dict)
    leaf: str | None = None
    revision: int = 0

    def live(self) -> list[str]:
        return [node_id for node_id, node in self.nodes.items() if node.is_live]

    def path(self, leaf: str | None) -> list[str]:
        """The live nodes from the root to a leaf; the way leads through hidden ones."""
        path = []
        while leaf is not None:
            if self.nodes[leaf].is_live:
                path.append(leaf)
            leaf = self.nodes[leaf].parent
        return path[::-1]

    def append_faults(self, new: Sequence[NewNode], leaf: str | None) -> set[str]:
        """Every code with which the append may be refused; none when it must be accepted."""
        faults, there = set(), set(self.live())
        taken = set(self.nodes)
        for node_id, parent in new:
            if node_id in taken:
                faults.add("node_id_collision")
            if parent is not None and parent not in there:
                faults.add("invalid_graph_parent")
            taken.add(node_id)
            there.add(node_id)
        if leaf is not None and leaf not in there:
            faults.add("invalid_graph_leaf")
        return faults

    def replace_faults(self, new: Sequence[NewNode], leaf: str | None) -> set[str]:
        faults, parents = set(), dict(new)
        if len(parents) < len(new):
            faults.add("node_id_collision")
        if any(parent is not None and parent not in parents for parent in parents.values()):
            faults.add("invalid_graph_parent")
        for start in parents:
            at, steps = parents[start], 0
            while at in parents and steps <= len(parents):
                at, steps = parents[at], steps + 1
            if steps > len(parents):
                faults.add("invalid_graph_cycle")
        if leaf is not None and leaf not in parents:
            faults.add("invalid_graph_leaf")
        return faults

    def add(self, new: Sequence[NewNode], leaf: str | None) -> None:
        for node_id, parent in new:
            self.nodes[node_id] = Node(parent)
        self.leaf = leaf
        self.revision += 1

    def replace(self, new: Sequence[NewNode], leaf: str | None) -> None:
        """Nothing of what was stays, hidden or not."""
        self.nodes.clear()
        self.add(new, leaf)

    def hide(self, node_ids: Sequence[str]) -> None:
        for node_id in node_ids:
            if node_id in self.nodes:
                self.nodes[node_id].is_live = False

    def vacuum(self) -> int:
        """Delete the hidden nodes that no live node descends from; what the leaf reads as does not change."""
        needed = set()
        for start in self.live():
            at: str | None = start
            while at is not None:
                needed.add(at)
                at = self.nodes[at].parent
        while self.leaf is not None and self.leaf not in needed:
            self.leaf = self.nodes[self.leaf].parent
        gone = set(self.nodes) - needed
        for node_id in gone:
            del self.nodes[node_id]
        return len(gone)
