"""Laws of the graph (R-28, R-33, R-39 to R-41) over random trees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.rules.graph import (
    ChainNode,
    chain_from,
    check_delta,
    check_explicit_leaf,
    ids_named_by,
    vacuumable,
    visible_leaf,
    visible_path,
)
from lash.values import (
    EventNode,
    GraphAppend,
    GraphReplaceFull,
    GraphUnchanged,
    ProtocolEvent,
    SessionGraph,
    SessionNodeRecord,
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, ChainNode]:
    """A stored forest: parents come before their children, any node may be tombstoned."""
    nodes: dict[str, ChainNode] = {}
    for number in range(draw(st.integers(1, 10))):
        parent = draw(st.sampled_from([None, *nodes]))
        nodes[f"n{number}"] = ChainNode(f"n{number}", parent, draw(st.booleans()) or draw(st.booleans()))
    return nodes


def _record(node_id: str, parent: str | None) -> SessionNodeRecord:
    payload = EventNode(event=ProtocolEvent(plugin_id="p"))
    return SessionNodeRecord(node_id=node_id, parent_node_id=parent, payload=payload, timestamp="")


def _code(delta: object, known: dict[str, bool]) -> str:
    try:
        check_delta(delta, known)  # type: ignore[arg-type]  # each caller passes a delta
    except LashError as problem:
        return problem.code
    return "ok"


def _known(nodes: dict[str, ChainNode], delta: object) -> dict[str, bool]:
    asked = ids_named_by(delta)  # type: ignore[arg-type]  # each caller passes a delta
    return {node_id: nodes[node_id].is_live for node_id in asked if node_id in nodes}


@given(trees(), st.data())
def test_append_below_live_nodes_is_accepted_and_below_others_refused(
    nodes: dict[str, ChainNode], data: st.DataObject
) -> None:
    parent = data.draw(st.sampled_from([None, "nowhere", *nodes]))
    delta = GraphAppend(nodes=(_record("x", parent), _record("y", "x")), leaf_node_id="y")
    is_legal = parent is None or (parent in nodes and nodes[parent].is_live)
    assert _code(delta, _known(nodes, delta)) == ("ok" if is_legal else "invalid_graph_parent")


@given(trees(), st.data())
def test_stored_ids_are_taken_tombstoned_ones_too(nodes: dict[str, ChainNode], data: st.DataObject) -> None:
    taken = data.draw(st.sampled_from(list(nodes)))
    delta = GraphAppend(nodes=(_record(taken, None),), leaf_node_id=taken)
    assert _code(delta, _known(nodes, delta)) == "node_id_collision"


@given(trees(), st.data())
def test_leaf_must_be_live_or_none(nodes: dict[str, ChainNode], data: st.DataObject) -> None:
    leaf = data.draw(st.sampled_from([None, "nowhere", *nodes]))
    is_legal = leaf is None or (leaf in nodes and nodes[leaf].is_live)
    expected = "ok" if is_legal else "invalid_graph_leaf"
    for delta in (GraphUnchanged(leaf_node_id=leaf), GraphAppend(nodes=(), leaf_node_id=leaf)):
        assert _code(delta, _known(nodes, delta)) == expected


@given(trees(), st.data())
def test_replacement_is_a_forest_in_any_order(nodes: dict[str, ChainNode], data: st.DataObject) -> None:
    records = [_record(node.node_id, node.parent_node_id) for node in nodes.values()]
    shuffled = data.draw(st.permutations(records))
    leaf = data.draw(st.sampled_from([None, *nodes]))
    good = GraphReplaceFull(graph=SessionGraph.from_nodes(shuffled, leaf))
    assert _code(good, {}) == "ok"
    # A root that is hung below any node of its own tree closes a ring.
    victim = data.draw(st.sampled_from([r for r in shuffled if r.parent_node_id is None]))
    below = [n for n in nodes if chain_from(n, nodes)[-1].node_id == victim.node_id]
    ring = victim.replace(parent_node_id=data.draw(st.sampled_from(below)))
    bad = [ring if record is victim else record for record in shuffled]
    assert _code(GraphReplaceFull(graph=SessionGraph.from_nodes(bad, leaf)), {}) == "invalid_graph_cycle"


@given(trees(), st.data())
def test_path_is_the_chain_without_tombstones_and_ends_at_the_visible_leaf(
    nodes: dict[str, ChainNode], data: st.DataObject
) -> None:
    leaf = data.draw(st.sampled_from(list(nodes)))
    chain = chain_from(leaf, nodes)
    path = visible_path(chain)
    assert [node.node_id for node in reversed(chain) if node.node_id in path] == path
    assert set(path) == {node.node_id for node in chain if nodes[node.node_id].is_live}
    assert visible_leaf(chain) == (path[-1] if path else None)
    assert chain[0].node_id == leaf
    assert chain[-1].parent_node_id is None


@given(trees(), st.data())
def test_hiding_a_node_takes_only_that_node_out_of_a_path(
    nodes: dict[str, ChainNode], data: st.DataObject
) -> None:
    leaf = data.draw(st.sampled_from(list(nodes)))
    hidden = data.draw(st.sampled_from(list(nodes)))
    before = visible_path(chain_from(leaf, nodes))
    after_nodes = nodes | {hidden: ChainNode(hidden, nodes[hidden].parent_node_id, False)}
    assert visible_path(chain_from(leaf, after_nodes)) == [n for n in before if n != hidden]


@given(trees())
def test_vacuum_keeps_every_live_path_and_a_second_one_finds_nothing(nodes: dict[str, ChainNode]) -> None:
    gone = vacuumable(nodes.values())
    kept = {node_id: node for node_id, node in nodes.items() if node_id not in gone}
    assert not any(nodes[node_id].is_live for node_id in gone)
    for node_id, node in kept.items():
        if node.is_live:
            assert chain_from(node_id, kept) == chain_from(node_id, nodes)
        else:
            assert any(other.is_live and node in chain_from(other.node_id, nodes) for other in kept.values())
    assert vacuumable(kept.values()) == []


@given(trees(), st.data())
def test_explicit_leaf_must_be_live(nodes: dict[str, ChainNode], data: st.DataObject) -> None:
    leaf = data.draw(st.sampled_from(list(nodes)))
    if nodes[leaf].is_live:
        check_explicit_leaf(leaf, chain_from(leaf, nodes))
        return
    with pytest.raises(LashError) as problem:
        check_explicit_leaf(leaf, chain_from(leaf, nodes))
    assert problem.value.code == "invalid_graph_leaf"


@pytest.mark.parametrize(
    "nodes",
    [
        {"a": ChainNode("a", "gone", True)},
        {"a": ChainNode("a", "a", True)},
        {"a": ChainNode("a", "b", True), "b": ChainNode("b", "a", True)},
    ],
)
def test_broken_chain_is_corruption(nodes: dict[str, ChainNode]) -> None:
    with pytest.raises(LashError) as problem:
        chain_from("a", nodes)
    assert problem.value.code == "stored_data_corrupt"
