"""What a load shows: scopes, paths, the usage ledger (contracts 2.D.1 and 2.D.2)."""

from __future__ import annotations

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal, expect_present, refused
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
    used,
)
from lash.testing.conformance.trial import Trial
from lash.values import ActivePath, GraphUnchanged


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def active_path_read_scope_selects_only_requested_ancestry(trial: Trial[RuntimePersistence]) -> None:
    """The full graph has every branch in insertion order; a path has one branch, root first."""
    commit = commit_of("branchy", session_graph=branchy().graph, graph_replace_required=True)
    await trial.subject.commit_runtime_state(commit)
    full = await load(trial.subject)
    expect_equal(
        node_ids(full), ["root-node", "left-node", "left-leaf", "right-leaf"], "every branch, as inserted"
    )
    persisted = await load(trial.subject, ActivePath())
    expect_equal(node_ids(persisted), ["root-node", "left-node", "left-leaf"], "the persisted leaf's path")
    expect_equal(persisted.graph.leaf_node_id, "left-leaf", "the persisted leaf")
    right = await load(trial.subject, ActivePath(leaf_node_id="right-leaf"))
    expect_equal(node_ids(right), ["root-node", "right-leaf"], "the path of the leaf that was asked for")
    expect_equal(right.graph.leaf_node_id, "right-leaf", "the leaf that was asked for")


@case(Contract.RUNTIME_PERSISTENCE)
async def asking_for_a_leaf_moves_nothing(trial: Trial[RuntimePersistence]) -> None:
    """An explicit leaf changes the view; the stored leaf stays."""
    await committed(trial.subject, branchy())
    await path(trial.subject, "right-leaf")
    read = await load(trial.subject, ActivePath())
    expect_equal(read.graph.leaf_node_id, "left-leaf", "the stored leaf after a read of another one")
    expect_equal(read.head_revision, 1, "the revision after reads")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-28")
async def unknown_leaves_are_refused(trial: Trial[RuntimePersistence]) -> None:
    """A path of a node that is not there, or hidden, is an error and not an empty graph."""
    await committed(trial.subject, branchy())
    with refused("invalid_graph_leaf", "a path of an unknown leaf"):
        await trial.subject.load_session(ActivePath(leaf_node_id="nowhere"))
    await trial.subject.tombstone_nodes(["right-leaf"])
    with refused("invalid_graph_leaf", "a path of a tombstoned leaf"):
        await trial.subject.load_session(ActivePath(leaf_node_id="right-leaf"))


@case(Contract.RUNTIME_PERSISTENCE)
async def an_empty_path_is_legal(trial: Trial[RuntimePersistence]) -> None:
    """A leaf of None means an empty active path; the nodes stay."""
    await committed(trial.subject, branchy())
    await trial.subject.commit_runtime_state(next_commit(1, GraphUnchanged(leaf_node_id=None)))
    expect_equal(await path(trial.subject), [], "the active path of no leaf")
    expect_equal(len(node_ids(await load(trial.subject))), 4, "the nodes of the full graph")


@case(Contract.RUNTIME_PERSISTENCE)
async def nodes_load_by_id(trial: Trial[RuntimePersistence]) -> None:
    """A node comes back as it was committed; an unknown id is None."""
    await committed(trial.subject, append(node("n1"), node("n2", "n1")))
    expect_equal(await trial.subject.load_node("n2"), node("n2", "n1"), "the node")
    expect_equal(await trial.subject.load_node("nowhere"), None, "an unknown node")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-29")
async def the_ledger_adds_up_by_source_and_model(trial: Trial[RuntimePersistence]) -> None:
    """Deltas of one label add up in first-seen order; only what is all zero is dropped."""
    first = (used(0), used(1), used(2, source="subagent"), used(0, source="cache", cached_input_tokens=4))
    await committed(trial.subject, usage_deltas=first)
    await trial.subject.commit_runtime_state(
        next_commit(1, usage_deltas=(used(10, output_tokens=3, reasoning_tokens=2),))
    )
    ledger = (await load(trial.subject)).token_ledger
    shown = [
        (entry.source, entry.usage.input_tokens, entry.usage.output_tokens, entry.usage.cached_input_tokens)
        for entry in ledger
    ]
    expect_equal(shown, [("turn", 11, 3, 0), ("subagent", 2, 0, 0), ("cache", 0, 0, 4)], "the ledger")


@case(Contract.RUNTIME_PERSISTENCE, rule="B-15")
async def usage_under_a_key_counts_once(trial: Trial[RuntimePersistence]) -> None:
    """An effect that was paid for once is counted once, however many commits name it."""
    await committed(trial.subject, usage_deltas=(used(5, key="k1"), used(5, key="k1")))
    await trial.subject.commit_runtime_state(next_commit(1, usage_deltas=(used(5, key="k1"), used(2))))
    ledger = (await load(trial.subject)).token_ledger
    expect_equal([entry.usage.input_tokens for entry in ledger], [7], "the tokens counted")


@case(Contract.RUNTIME_PERSISTENCE)
async def a_load_is_of_one_moment(trial: Trial[RuntimePersistence]) -> None:
    """Head, graph, checkpoint and usage of a read belong to the same commit."""
    for revision in range(1, 4):
        parent = f"n{revision - 1}" if revision > 1 else None
        commit = next_commit(revision - 1, append(node(f"n{revision}", parent)), usage_deltas=(used(1),))
        turn_state = commit.checkpoint.turn_state.replace(turn_index=revision)
        await trial.subject.commit_runtime_state(
            commit.replace(checkpoint=commit.checkpoint.replace(turn_state=turn_state))
        )
        read = await load(trial.subject)
        checkpoint = expect_present(read.checkpoint, "a session has a checkpoint")
        shown = (read.head_revision, len(node_ids(read)), checkpoint.turn_state.turn_index)
        expect_equal(shown, (revision, revision, revision), "the parts of one read")
