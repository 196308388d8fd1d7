"""The stored graph: what a delta may do, tombstones, vacuum (rules R-33, R-39 to R-41)."""

from __future__ import annotations

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_present, refused
from lash.testing.conformance.samples.sessions import (
    append,
    branchy,
    commit_of,
    committed,
    load,
    next_commit,
    node,
    node_ids,
    path,
    replacement,
)
from lash.testing.conformance.trial import Trial
from lash.values import GraphUnchanged


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def tombstone_vacuum_and_gc_are_minimally_consistent(trial: Trial[RuntimePersistence]) -> None:
    """A tombstoned leaf is hidden from every read; vacuum reports what it removed; a sweep is safe."""
    store = trial.subject
    graph = replacement(node("node-live"), node("node-delete", "node-live"), leaf="node-delete").graph
    await store.commit_runtime_state(commit_of(session_graph=graph, graph_replace_required=True))
    expect_present(await store.load_node("node-delete"), "the node before its tombstone")
    await store.tombstone_nodes(["node-delete"])
    expect_equal(await store.load_node("node-delete"), None, "the node after its tombstone")
    expect("node-delete" not in node_ids(await load(store)), "tombstoned nodes are hidden from loads")
    report = await store.vacuum()
    expect(report.removed_node_count <= 1, f"vacuum reports what this call removed, got {report}")
    await store.gc_unreachable()


@case(Contract.RUNTIME_PERSISTENCE)
async def appends_keep_what_is_there(trial: Trial[RuntimePersistence]) -> None:
    """An append adds its nodes behind the others and moves the leaf."""
    await committed(trial.subject, append(node("n1"), node("n2", "n1")))
    await trial.subject.commit_runtime_state(next_commit(1, append(node("n3", "n1"))))
    read = await load(trial.subject)
    expect_equal(node_ids(read), ["n1", "n2", "n3"], "the nodes in insertion order")
    expect_equal(read.graph.leaf_node_id, "n3", "the leaf")
    expect_equal(await path(trial.subject), ["n1", "n3"], "the active path")


@case(Contract.RUNTIME_PERSISTENCE)
async def replacements_leave_nothing_behind(trial: Trial[RuntimePersistence]) -> None:
    """A full replacement removes what was there, tombstones too; their ids are free again."""
    await committed(trial.subject, append(node("n1"), node("n2", "n1")))
    await trial.subject.tombstone_nodes(["n2"])
    await trial.subject.commit_runtime_state(next_commit(1, replacement(node("n2"), leaf="n2")))
    expect_equal(node_ids(await load(trial.subject)), ["n2"], "the graph after a replacement")
    expect_equal(await trial.subject.load_node("n1"), None, "a replaced node")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-33")
async def taken_node_ids_collide(trial: Trial[RuntimePersistence]) -> None:
    """An id is taken by a stored node, by a hidden one, and by an earlier one of the same delta."""
    await committed(trial.subject, append(node("n1"), node("n2", "n1")))
    await trial.subject.tombstone_nodes(["n2"])
    for graph in (
        append(node("n1")),
        append(node("n2", "n1")),
        append(node("n3"), node("n3")),
        replacement(node("n4"), node("n4"), leaf="n4"),
    ):
        with refused("node_id_collision", "a node id that is taken"):
            await trial.subject.commit_runtime_state(next_commit(1, graph))
    expect_equal((await load(trial.subject)).head_revision, 1, "the revision after refusals")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-33")
async def parents_must_be_there(trial: Trial[RuntimePersistence]) -> None:
    """A parent is a live stored node or an earlier one of the delta."""
    await committed(trial.subject, append(node("n1"), node("n2", "n1")))
    await trial.subject.tombstone_nodes(["n2"])
    for graph in (
        append(node("n3", "nowhere")),
        append(node("n3", "n2")),
        append(node("n3", "n4"), node("n4", "n1")),
        replacement(node("n3", "n1"), leaf="n3"),
    ):
        with refused("invalid_graph_parent", "a parent that is not there"):
            await trial.subject.commit_runtime_state(next_commit(1, graph))


@case(Contract.RUNTIME_PERSISTENCE, rule="R-33")
async def cycles_are_refused(trial: Trial[RuntimePersistence]) -> None:
    """No node is its own ancestor."""
    for graph in (
        replacement(node("a", "a"), leaf="a"),
        replacement(node("a", "b"), node("b", "a"), leaf="a"),
    ):
        with refused("invalid_graph_cycle", "a graph with a cycle"):
            await trial.subject.commit_runtime_state(next_commit(0, graph))


@case(Contract.RUNTIME_PERSISTENCE, rule="R-33")
async def leaves_must_be_live(trial: Trial[RuntimePersistence]) -> None:
    """The leaf after a commit is a live node, or None."""
    await committed(trial.subject, append(node("n1"), node("n2", "n1")))
    await trial.subject.tombstone_nodes(["n2"])
    for graph in (
        GraphUnchanged(leaf_node_id="nowhere"),
        GraphUnchanged(leaf_node_id="n2"),
        append(node("n3", "n1"), leaf="nowhere"),
        replacement(node("n5"), leaf="n1"),
    ):
        with refused("invalid_graph_leaf", "a leaf that is not live"):
            await trial.subject.commit_runtime_state(next_commit(1, graph))


@case(Contract.RUNTIME_PERSISTENCE, rule="R-33")
async def several_roots_are_legal(trial: Trial[RuntimePersistence]) -> None:
    """A graph may have more than one root."""
    await committed(trial.subject, replacement(node("a"), node("b"), leaf="b"))
    await trial.subject.commit_runtime_state(next_commit(1, append(node("c"))))
    expect_equal(await path(trial.subject), ["c"], "the path of the third root")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-39")
async def a_tombstoned_leaf_reads_as_its_nearest_live_ancestor(trial: Trial[RuntimePersistence]) -> None:
    """Hiding the leaf, and its parent too, moves what is read, not the revision."""
    await committed(trial.subject, branchy())
    await trial.subject.tombstone_nodes(["left-leaf"])
    expect_equal((await load(trial.subject)).graph.leaf_node_id, "left-node", "the leaf as read")
    await trial.subject.tombstone_nodes(["left-node", "root-node"])
    read = await load(trial.subject)
    expect_equal((read.graph.leaf_node_id, read.head_revision), (None, 1), "no live ancestor is left")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-40")
async def a_path_goes_through_tombstones(trial: Trial[RuntimePersistence]) -> None:
    """An interior tombstone hides its node and cuts nothing."""
    await committed(trial.subject, branchy())
    await trial.subject.tombstone_nodes(["left-node"])
    expect_equal(await path(trial.subject), ["root-node", "left-leaf"], "the path around the tombstone")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-41")
async def vacuum_keeps_tombstones_that_paths_need(trial: Trial[RuntimePersistence]) -> None:
    """A tombstone with a live descendant stays; without one it goes, once."""
    store = trial.subject
    await committed(store, branchy())
    await store.tombstone_nodes(["left-node", "right-leaf"])
    expect_equal((await store.vacuum()).removed_node_count, 1, "the nodes that a vacuum removes")
    expect_equal(await path(store), ["root-node", "left-leaf"], "the path after a vacuum")
    expect_equal((await store.vacuum()).removed_node_count, 0, "a second vacuum")
    await store.tombstone_nodes(["left-leaf"])
    expect_equal((await store.vacuum()).removed_node_count, 2, "the chain without a live end")


@case(Contract.RUNTIME_PERSISTENCE)
async def tombstoning_is_a_set(trial: Trial[RuntimePersistence]) -> None:
    """Unknown ids, repeats and no ids at all are fine."""
    await committed(trial.subject, branchy())
    for ids in (["nowhere"], ["right-leaf"], ["right-leaf"], []):
        await trial.subject.tombstone_nodes(ids)
    expect_equal(
        node_ids(await load(trial.subject)), ["root-node", "left-node", "left-leaf"], "the nodes left"
    )
