"""Random histories of a session's graph, on every backend, against a model of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from lash.errors import LashError
from lash.values import (
    ActivePath,
    AgentFrameRecord,
    FullGraph,
    GraphAppend,
    GraphCommitDelta,
    GraphReplaceFull,
    GraphUnchanged,
    HydratedSessionCheckpoint,
    PersistedTurnState,
    PluginNode,
    RuntimeCommit,
    SessionConfig,
    SessionGraph,
    SessionNodeRecord,
)

from .graph_model import Graph, NewNode
from .running import KINDS, WorldMachine, run_machine

SESSION = "s"
NAMES = tuple("abcdefgh")
names = st.sampled_from(NAMES)
maybe_names = st.none() | names
# A commit is mostly made by who has seen the head; now and then by who is late, or early.
lateness = st.sampled_from([0, 0, 0, 0, 0, -1, 1])


class GraphMachine(WorldMachine):
    """Few names, so that collisions, branches and returns to hidden nodes are common."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Graph()
        self.count = 0

    @rule(length=st.integers(1, 4), branch=st.none() | st.integers(0, 7), late=lateness, data=st.data())
    def grow(self, length: int, branch: int | None, late: int, data: st.DataObject) -> None:
        """Append a line of new nodes: to the leaf, or to any other live node."""
        live, path = self.model.live(), self.model.path(self.model.leaf)
        parent = path[-1] if path else None
        if branch is not None and live:
            parent = live[branch % len(live)]
        new: list[NewNode] = []
        for _ in range(length):
            self.count += 1
            new.append((f"{data.draw(names)}{self.count}", parent))
            parent = new[-1][0]
        self._commit_append(new, parent, late)

    @rule(
        new=st.lists(st.tuples(names, maybe_names), max_size=3),
        leaf=maybe_names,
        names_last=st.booleans(),
        late=lateness,
    )
    def append(self, new: list[NewNode], leaf: str | None, names_last: bool, late: int) -> None:
        """Append anything, right or wrong."""
        self._commit_append(new, new[-1][0] if new and names_last else leaf, late)

    @rule(index=st.none() | st.integers(0, 9), wild=st.none() | names, late=lateness)
    def move_the_leaf(self, index: int | None, wild: str | None, late: int) -> None:
        known = list(self.model.nodes)
        leaf = wild if wild is not None or index is None or not known else known[index % len(known)]
        faults = set() if leaf is None or leaf in self.model.live() else {"invalid_graph_leaf"}
        if self._commit(GraphUnchanged(leaf_node_id=leaf), faults, late):
            self.model.add([], leaf)

    @rule(new=st.lists(st.tuples(names, maybe_names), max_size=4), leaf=maybe_names, late=lateness)
    def replace_with_anything(self, new: list[NewNode], leaf: str | None, late: int) -> None:
        self._commit_replacement(new, leaf, late)

    @rule(order=st.permutations(NAMES[:4]), roots=st.integers(1, 2), late=lateness)
    def replace(self, order: list[str], roots: int, late: int) -> None:
        """Replace the graph by a legal one, parents in any place."""
        new = [(name, None if number < roots else order[number - roots]) for number, name in enumerate(order)]
        self._commit_replacement(sorted(new, key=lambda one: one[0]), order[-1], late)

    @rule(indexes=st.lists(st.integers(0, 9), max_size=3), wild=st.booleans())
    def hide(self, indexes: list[int], wild: bool) -> None:
        known = list(self.model.nodes)
        hidden = [known[index % len(known)] for index in indexes if known] + ["nowhere"] * wild
        self.world.run(self._store().tombstone_nodes(hidden))
        self.model.hide(hidden)

    @rule()
    def vacuum(self) -> None:
        report = self.world.run(self._store().vacuum())
        assert report.removed_node_count == self.model.vacuum()

    @rule(index=st.integers(0, 9), wild=st.booleans())
    def read_from(self, index: int, wild: bool) -> None:
        """Read the path of a leaf that is named; hidden and unknown ones are refused."""
        known = list(self.model.nodes)
        leaf = "nowhere" if wild or not known else known[index % len(known)]
        work = self._store().load_session(ActivePath(leaf_node_id=leaf))
        if self.model.revision == 0:
            assert self.world.run(work) is None
        elif leaf not in self.model.live():
            with pytest.raises(LashError) as refused:
                self.world.run(work)
            assert refused.value.code == "invalid_graph_leaf"
        else:
            read = self.world.run(work)
            assert read is not None
            assert (_ids(read), read.graph.leaf_node_id) == (self.model.path(leaf), leaf)

    @rule(index=st.integers(0, 9))
    def read_since(self, index: int) -> None:
        """Read what the path has after a node: nothing can be told for one that is not on it."""
        known = list(self.model.nodes)
        if not known:
            return
        since, path = known[index % len(known)], self.model.path(self.model.leaf)
        rest = self.world.run(self._store().load_path_since(since))
        if since in path:
            assert rest is not None
            assert [node.node_id for node in rest] == path[path.index(since) + 1 :]
        else:
            assert rest is None

    @invariant()
    def graphs_agree(self) -> None:
        for handle in self.world.handles:
            store = handle.runtime_persistence(SESSION)
            full = self.world.run(store.load_session(FullGraph()))
            path = self.world.run(store.load_session(ActivePath()))
            if self.model.revision == 0:
                assert full is None
                assert path is None
                continue
            assert full is not None
            assert path is not None
            visible = self.model.path(self.model.leaf)
            leaf = visible[-1] if visible else None
            assert _ids(full) == self.model.live()
            assert _ids(path) == visible
            assert (full.graph.leaf_node_id, path.graph.leaf_node_id) == (leaf, leaf)
            assert (full.head_revision, path.head_revision) == (self.model.revision,) * 2
            for node in full.graph.nodes:
                assert node.parent_node_id == self.model.nodes[node.node_id].parent

    @invariant()
    def nodes_agree(self) -> None:
        for node_id, node in self.model.nodes.items():
            stored = self.world.run(self._store().load_node(node_id))
            assert (stored == _node(node_id, node.parent)) if node.is_live else stored is None

    def _commit_append(self, new: list[NewNode], leaf: str | None, late: int) -> None:
        delta = GraphAppend(nodes=tuple(_node(*one) for one in new), leaf_node_id=leaf)
        if self._commit(delta, self.model.append_faults(new, leaf), late):
            self.model.add(new, leaf)

    def _commit_replacement(self, new: list[NewNode], leaf: str | None, late: int) -> None:
        delta = GraphReplaceFull(graph=SessionGraph.from_nodes([_node(*one) for one in new], leaf))
        if self._commit(delta, self.model.replace_faults(new, leaf), late):
            self.model.replace(new, leaf)

    def _commit(self, delta: GraphCommitDelta, faults: set[str], late: int) -> bool:
        """Commit, and tell whether that was to be accepted, as it then was."""
        expected = max(self.model.revision + late, 0)
        commit = RuntimeCommit(
            session_id=SESSION,
            config=SessionConfig(),
            agent_frames=(AgentFrameRecord(frame_id="f", session_id=SESSION),),
            current_agent_frame_id="f",
            graph=delta,
            checkpoint=HydratedSessionCheckpoint(turn_state=PersistedTurnState()),
            expected_head_revision=expected or None,
        )
        if expected != self.model.revision:
            faults = {"head_revision_conflict"}
        work = self._store().commit_runtime_state(commit)
        if not faults:
            assert self.world.run(work).head_revision == self.model.revision + 1
            return True
        with pytest.raises(LashError) as refused:
            self.world.run(work)
        assert refused.value.code in faults
        return False

    def _store(self) -> Any:
        return self.world.db.runtime_persistence(SESSION)


def _node(node_id: str, parent: str | None) -> SessionNodeRecord:
    payload = PluginNode(plugin_type="t", body=node_id)
    return SessionNodeRecord(node_id=node_id, parent_node_id=parent, payload=payload, timestamp="t0")


def _ids(read: Any) -> list[str]:
    return [node.node_id for node in read.graph.nodes]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_random_histories_of_graphs_agree_with_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    run_machine(GraphMachine, kind, request, steps=30)
