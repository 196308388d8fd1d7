"""Paths read as runs of neighbours are the paths that the parents say (rules R-28, R-39 to R-41)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import apsw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lash.backends.sql import SqliteDatabase
from lash.values import ActivePath, FullGraph, GraphReplaceFull, SessionGraph, SessionNodeRecord

from .turns import append, note


class Model:
    """A graph as the contract describes it: parents, hidden nodes, a leaf."""

    def __init__(self) -> None:
        self.nodes: dict[str, SessionNodeRecord] = {}
        self.hidden: set[str] = set()
        self.leaf: str | None = None
        self.revision = 0

    def chain(self, leaf: str | None) -> list[str]:
        chain = []
        while leaf is not None:
            chain.append(leaf)
            leaf = self.nodes[leaf].parent_node_id
        return chain[::-1]

    def path(self, leaf: str | None) -> list[str]:
        return [node_id for node_id in self.chain(leaf) if node_id not in self.hidden]

    def live(self) -> list[str]:
        return [node_id for node_id in self.nodes if node_id not in self.hidden]

    def vacuum(self) -> int:
        needed = {ancestor for node_id in self.live() for ancestor in self.chain(node_id)}
        gone = [node_id for node_id in self.nodes if node_id not in needed]
        if self.leaf in gone:
            path = self.path(self.leaf)
            self.leaf = path[-1] if path else None
        for node_id in gone:
            del self.nodes[node_id]
            self.hidden.discard(node_id)
        return len(gone)


step = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 4), st.integers(0, 99), st.integers(0, 99)),
    st.tuples(st.just("hide"), st.integers(0, 99), st.just(0), st.just(0)),
    st.tuples(st.just("vacuum"), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("replace"), st.integers(0, 6), st.integers(0, 99), st.just(0)),
)


async def play(
    database: SqliteDatabase, model: Model, action: tuple[str, int, int, int], number: int
) -> None:
    store = database.runtime_persistence("s")
    kind, a, b, c = action
    live = model.live()
    if kind == "append":
        parent = live[b % len(live)] if live and b % 7 else (model.leaf if model.leaf in live else None)
        made = []
        for ordinal in range(a):
            made.append(note(f"n{number}.{ordinal}", parent))
            # Mostly a line, sometimes a fan.
            parent = made[-1].node_id if (c + ordinal) % 4 else parent
        choices = [*live, *(node.node_id for node in made)]
        leaf = made[-1].node_id if made and c % 5 else (choices[c % len(choices)] if choices else None)
        await store.commit_runtime_state(
            append("s", model.revision, *made).replace(
                graph=append("s", 0, *made).graph.replace(leaf_node_id=leaf)
            )
        )
        model.nodes.update({node.node_id: node for node in made})
        model.leaf, model.revision = leaf, model.revision + 1
    elif kind == "hide" and model.revision:
        ids = list(model.nodes)
        target = ids[a % len(ids)] if ids else "unknown"
        await store.tombstone_nodes([target])
        model.hidden |= {target} & set(model.nodes)
    elif kind == "vacuum" and model.revision:
        assert (await store.vacuum()).removed_node_count == model.vacuum()
    elif kind == "replace":
        # Children may come before their parents in a graph that is given whole.
        ids = [f"r{number}.{ordinal}" for ordinal in range(a)]
        nodes = [note(ids[i], ids[(i * b) % i] if i and b % 3 else None) for i in range(a)]
        nodes = nodes[::-1] if b % 2 else nodes
        leaf = ids[b % a] if a else None
        graph = SessionGraph.from_nodes(nodes, leaf)
        await store.commit_runtime_state(
            append("s", model.revision).replace(graph=GraphReplaceFull(graph=graph))
        )
        model.nodes, model.hidden = {node.node_id: node for node in nodes}, set()
        model.leaf, model.revision = leaf, model.revision + 1


async def check(database: SqliteDatabase, model: Model) -> None:
    store = database.runtime_persistence("s")
    read = await store.load_session(ActivePath())
    if read is None:
        assert model.revision == 0
        return
    path = model.path(model.leaf)
    assert [node.node_id for node in read.graph.nodes] == path
    assert read.graph.leaf_node_id == (path[-1] if path else None)
    whole = await store.load_session(FullGraph())
    assert whole is not None
    assert [node.node_id for node in whole.graph.nodes] == model.live()
    assert whole.graph.nodes == tuple(model.nodes[node_id] for node_id in model.live())
    assert whole.graph.leaf_node_id == read.graph.leaf_node_id
    for node_id in model.live():
        explicit = await store.load_session(ActivePath(leaf_node_id=node_id))
        assert explicit is not None
        assert [node.node_id for node in explicit.graph.nodes] == model.path(node_id)
    for node_id in [*model.nodes, "unknown"]:
        newer = await store.load_path_since(node_id)
        expected = path[path.index(node_id) + 1 :] if node_id in path else None
        assert (None if newer is None else [node.node_id for node in newer]) == expected


@given(steps=st.lists(step, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_runs_say_what_parents_say(
    tmp_path_factory: object, steps: list[tuple[str, int, int, int]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("paths")  # type: ignore[attr-defined]  # pytest's factory
    database = SqliteDatabase(folder / "paths.db")
    model = Model()
    try:
        for number, action in enumerate(steps):
            await play(database, model, action, number)
        await check(database, model)
    finally:
        await database.close()


async def test_a_history_without_branches_is_one_range(
    database: SqliteDatabase, another: Callable[[], SqliteDatabase], tamper: Callable[..., list[tuple[int]]]
) -> None:
    store = database.runtime_persistence("s")
    parent = None
    for revision in range(20):
        made = [note(f"{revision}.0", parent), note(f"{revision}.1", f"{revision}.0")]
        await store.commit_runtime_state(append("s", revision, *made))
        parent = made[-1].node_id
    assert tamper("SELECT count(DISTINCT run_seq) FROM node") == [(1,)]


async def test_what_is_new_is_read_without_what_is_old(database: SqliteDatabase, path: Path) -> None:
    store = database.runtime_persistence("s")
    old = [note(f"{n:05}", f"{n - 1:05}" if n else None) for n in range(2_000)]
    await store.commit_runtime_state(append("s", 0, *old))
    await store.commit_runtime_state(append("s", 1, note("new", "01999")))
    read: list[str] = []

    def keep(_: object, row: tuple[object, ...]) -> tuple[object, ...]:
        read.append(str(row[1]))
        return row

    from lash.backends.sql.engine.sqlite.drive import drive
    from lash.backends.sql.engine.sqlite.transaction import ReadOnlyTx
    from lash.backends.sql.reads import read_path_since

    connection = apsw.Connection(str(path))
    connection.row_trace = keep
    newer = drive(lambda tx: read_path_since(tx, "s", "01999"), ReadOnlyTx(connection, 0))
    connection.close()
    assert newer is not None
    assert [node.node_id for node in newer] == ["new"]
    assert not [node_id for node_id in read if re.fullmatch(r"0[01]\d{3}", node_id) and node_id != "01999"]
