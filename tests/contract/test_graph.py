"""The graph: what may be appended, what is read, tombstones, vacuum (R-28, R-33, R-39 to R-41)."""

from __future__ import annotations

import pytest

from lash.contracts import Database
from lash.values import (
    ActivePath,
    FullGraph,
    GraphCommitDelta,
    GraphUnchanged,
    PersistedSessionRead,
    SessionReadScope,
)

from .samples import append, commit, node, refused, replace

TREE = append(node("a"), node("b", "a"), node("c", "b"), node("d", "b"), leaf="c")
"""a - b - c, and d beside c."""


async def _tree(db: Database) -> None:
    await db.runtime_persistence("root").commit_runtime_state(commit(graph=TREE))


async def _read(db: Database, scope: SessionReadScope) -> PersistedSessionRead:
    read = await db.runtime_persistence("root").load_session(scope)
    assert read is not None
    return read


async def _path(db: Database, leaf: str | None = None) -> tuple[list[str], str | None]:
    read = await _read(db, ActivePath(leaf_node_id=leaf))
    return [n.node_id for n in read.graph.nodes], read.graph.leaf_node_id


async def test_full_graph_comes_in_insertion_order_and_a_path_root_first(db: Database) -> None:
    await _tree(db)
    full = await _read(db, FullGraph())
    assert [n.node_id for n in full.graph.nodes] == ["a", "b", "c", "d"]
    assert full.graph.leaf_node_id == "c"
    assert await _path(db) == (["a", "b", "c"], "c")


async def test_explicit_leaf_changes_the_view_and_not_the_store(db: Database) -> None:
    await _tree(db)
    assert await _path(db, "d") == (["a", "b", "d"], "d")
    assert await _path(db, "a") == (["a"], "a")
    assert await _path(db) == (["a", "b", "c"], "c")


async def test_unknown_explicit_leaf_is_an_error(db: Database) -> None:
    await _tree(db)
    with refused("invalid_graph_leaf"):
        await _path(db, "nowhere")


async def test_insertion_order_runs_across_commits(db: Database) -> None:
    store = db.runtime_persistence("root")
    await store.commit_runtime_state(commit(graph=append(node("z"))))
    await store.commit_runtime_state(commit(expected=1, graph=append(node("y", "z"), node("b", "y"))))
    await store.commit_runtime_state(commit(expected=2, graph=append(node("a", "z"))))
    full = await _read(db, FullGraph())
    assert [n.node_id for n in full.graph.nodes] == ["z", "y", "b", "a"]
    assert await _path(db) == (["z", "a"], "a")


async def test_leaf_of_none_reads_as_an_empty_path(db: Database) -> None:
    await _tree(db)
    await db.runtime_persistence("root").commit_runtime_state(
        commit(expected=1, graph=GraphUnchanged(leaf_node_id=None))
    )
    assert await _path(db) == ([], None)
    assert len((await _read(db, FullGraph())).graph.nodes) == 4


async def test_leaf_moves_to_any_live_node_and_new_roots_are_legal(db: Database) -> None:
    await _tree(db)
    store = db.runtime_persistence("root")
    await store.commit_runtime_state(commit(expected=1, graph=GraphUnchanged(leaf_node_id="d")))
    assert await _path(db) == (["a", "b", "d"], "d")
    await store.commit_runtime_state(commit(expected=2, graph=append(node("root2"), node("e", "root2"))))
    assert await _path(db) == (["root2", "e"], "e")
    await store.commit_runtime_state(commit(expected=3, graph=append(node("f", "e"), leaf="c")))
    assert await _path(db) == (["a", "b", "c"], "c")


BAD_DELTAS: list[tuple[str, GraphCommitDelta]] = [
    ("node_id_collision", append(node("a"))),
    ("node_id_collision", append(node("n"), node("n"))),
    ("node_id_collision", append(node("hidden", "a"))),
    ("invalid_graph_parent", append(node("n", "nowhere"))),
    ("invalid_graph_parent", append(node("n", "n"))),
    ("invalid_graph_parent", append(node("n", "m"), node("m", "a"))),
    ("invalid_graph_parent", append(node("n", "hidden"))),
    ("invalid_graph_leaf", append(node("n", "a"), leaf="nowhere")),
    ("invalid_graph_leaf", append(node("n", "a"), leaf="hidden")),
    ("invalid_graph_leaf", GraphUnchanged(leaf_node_id="nowhere")),
    ("invalid_graph_leaf", GraphUnchanged(leaf_node_id="hidden")),
    ("node_id_collision", replace(node("n"), node("n"), leaf="n")),
    ("invalid_graph_parent", replace(node("n", "a"), leaf="n")),
    ("invalid_graph_cycle", replace(node("n", "n"), leaf="n")),
    ("invalid_graph_cycle", replace(node("r"), node("n", "m"), node("m", "n"), leaf="r")),
    ("invalid_graph_leaf", replace(node("n"), leaf="a")),
    ("invalid_graph_leaf", replace(leaf="a")),
]


@pytest.mark.parametrize(("code", "delta"), BAD_DELTAS, ids=lambda value: str(value)[:60])
async def test_delta_that_breaks_the_graph_is_refused_and_changes_nothing(
    db: Database, code: str, delta: GraphCommitDelta
) -> None:
    store = db.runtime_persistence("root")
    await store.commit_runtime_state(commit(graph=append(node("a"), node("hidden", "a"), leaf="a")))
    await store.tombstone_nodes(["hidden"])
    before = await _read(db, FullGraph())
    with refused(code):
        await store.commit_runtime_state(commit(expected=1, graph=delta))
    assert await _read(db, FullGraph()) == before


async def test_replacement_may_name_parents_in_any_order_and_drops_what_was(db: Database) -> None:
    await _tree(db)
    store = db.runtime_persistence("root")
    await store.tombstone_nodes(["d"])
    await store.commit_runtime_state(
        commit(expected=1, graph=replace(node("y", "x"), node("x"), node("d"), leaf="y"))
    )
    full = await _read(db, FullGraph())
    assert [n.node_id for n in full.graph.nodes] == ["y", "x", "d"], "a replaced tombstone lives again"
    assert await _path(db) == (["x", "y"], "y")
    assert await store.load_node("a") is None
    await store.commit_runtime_state(commit(expected=2, graph=append(node("a", "y"))))
    assert await _path(db) == (["x", "y", "a"], "a")


async def test_tombstoned_node_is_hidden_everywhere_and_keeps_the_revision(db: Database) -> None:
    await _tree(db)
    store = db.runtime_persistence("root")
    await store.tombstone_nodes([])
    await store.tombstone_nodes(["d", "nowhere"])
    await store.tombstone_nodes(["d"])
    assert await store.load_node("d") is None
    full = await _read(db, FullGraph())
    assert [n.node_id for n in full.graph.nodes] == ["a", "b", "c"]
    assert full.head_revision == 1
    with refused("invalid_graph_leaf"):
        await _path(db, "d")


async def test_tombstoned_leaf_reads_as_its_nearest_live_ancestor(db: Database) -> None:
    await _tree(db)
    store = db.runtime_persistence("root")
    await store.tombstone_nodes(["c"])
    assert await _path(db) == (["a", "b"], "b")
    assert (await _read(db, FullGraph())).graph.leaf_node_id == "b"
    await store.tombstone_nodes(["b"])
    assert await _path(db) == (["a"], "a")
    await store.tombstone_nodes(["a"])
    assert await _path(db) == ([], None)
    assert (await _read(db, FullGraph())).graph.leaf_node_id is None


async def test_path_walks_through_a_tombstone(db: Database) -> None:
    await _tree(db)
    await db.runtime_persistence("root").tombstone_nodes(["b"])
    assert await _path(db) == (["a", "c"], "c")
    assert await _path(db, "d") == (["a", "d"], "d")


async def test_vacuum_keeps_tombstones_that_live_nodes_descend_from(db: Database) -> None:
    await _tree(db)
    store = db.runtime_persistence("root")
    await store.tombstone_nodes(["b", "d"])
    assert (await store.vacuum()).removed_node_count == 1
    assert (await store.vacuum()).removed_node_count == 0
    assert await _path(db) == (["a", "c"], "c")
    await store.tombstone_nodes(["c"])
    assert await _path(db) == (["a"], "a")
    assert (await store.vacuum()).removed_node_count == 2
    assert await _path(db) == (["a"], "a")
    await store.commit_runtime_state(commit(expected=1, graph=append(node("b", "a"))))
    assert await _path(db) == (["a", "b"], "b")


async def test_tombstoned_id_stays_taken_until_a_vacuum(db: Database) -> None:
    await _tree(db)
    store = db.runtime_persistence("root")
    await store.tombstone_nodes(["d"])
    with refused("node_id_collision"):
        await store.commit_runtime_state(commit(expected=1, graph=append(node("d", "c"))))
    await store.vacuum()
    await store.commit_runtime_state(commit(expected=1, graph=append(node("d", "c"))))
    assert await _path(db) == (["a", "b", "c", "d"], "d")


async def test_same_node_id_in_two_sessions_is_two_nodes(db: Database) -> None:
    one, two = db.runtime_persistence("one"), db.runtime_persistence("two")
    await one.commit_runtime_state(commit("one", graph=append(node("a", body=1))))
    await two.commit_runtime_state(commit("two", graph=append(node("a", body=2))))
    await one.tombstone_nodes(["a"])
    assert await one.load_node("a") is None
    assert await two.load_node("a") == node("a", body=2)


async def test_long_history_is_read_whole(db: Database) -> None:
    store = db.runtime_persistence("root")
    chain = [node(f"n{i}", f"n{i - 1}" if i else None) for i in range(1500)]
    await store.commit_runtime_state(commit(graph=append(*chain)))
    path, leaf = await _path(db)
    assert (path, leaf) == ([f"n{i}" for i in range(1500)], "n1499")
