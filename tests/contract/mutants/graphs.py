"""Wrong graphs: deltas, tombstones, vacuum."""

from __future__ import annotations

from typing import Any

from lash.errors import LashError
from lash.values import GraphReplaceFull

from .mutant import answers, mutant

STORE = "lash.backends.memory.persistence"
COMMIT = "lash.backends.memory.commit"
RULES = "lash.rules.commits"
GRAPH = "lash.rules.graph"
MANIFEST = "lash.backends.memory.manifest"
LOAD = f"{STORE}:MemoryRuntimePersistence.load_session"
COMMITS = f"{STORE}:MemoryRuntimePersistence.commit_runtime_state"

mutant(
    "tombstones are shown by load_node",
    "tombstone_vacuum_and_gc_are_minimally_consistent",
    (f"{STORE}:MemoryRuntimePersistence.load_node", lambda original: _shows_tombstones(original)),
)


def _shows_tombstones(original: Any) -> Any:
    async def load_node(self: Any, node_id: str) -> Any:
        session_id = self._resolve()
        stored = None if session_id is None else self._tables.nodes.get(session_id, {}).get(node_id)
        return None if stored is None else stored.record()

    return load_node


mutant(
    "the newest node comes first",
    "appends_keep_what_is_there",
    (
        f"{COMMIT}:_apply",
        lambda original: _newest_first(original),
    ),
)


def _newest_first(original: Any) -> Any:
    def apply(tables: Any, commit: Any, prepared: Any, *rest: Any) -> None:
        before = dict(tables.nodes.get(commit.session_id, {}))
        original(tables, commit, prepared, *rest)
        if before and not isinstance(commit.graph, GraphReplaceFull):
            now = tables.nodes[commit.session_id]
            fresh = {node_id: node for node_id, node in now.items() if node_id not in before}
            tables.nodes[commit.session_id] = fresh | before

    return apply


def _keeps_replaced(original: Any) -> Any:
    def apply(tables: Any, commit: Any, prepared: Any, *rest: Any) -> None:
        before = dict(tables.nodes.get(commit.session_id, {}))
        original(tables, commit, prepared, *rest)
        if isinstance(commit.graph, GraphReplaceFull):
            tables.nodes[commit.session_id] = before | tables.nodes[commit.session_id]

    return apply


mutant(
    "a replacement keeps the old nodes",
    "replacements_leave_nothing_behind",
    (f"{COMMIT}:_apply", _keeps_replaced),
)


def _without(code: str) -> Any:
    """Let pass what is refused with a code."""

    def around(original: Any) -> Any:
        def check(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            except LashError as error:
                if error.code != code:
                    raise
                return None

        return check

    return around


mutant(
    "taken ids are taken again",
    "taken_node_ids_collide",
    (f"{RULES}:check_delta", _without("node_id_collision")),
)
mutant(
    "parents need not be there",
    "parents_must_be_there",
    (f"{RULES}:check_delta", _without("invalid_graph_parent")),
)
mutant("cycles are stored", "cycles_are_refused", (f"{RULES}:check_delta", _without("invalid_graph_cycle")))
mutant(
    "a tombstone may be the leaf",
    "leaves_must_be_live",
    (
        f"{RULES}:check_delta",
        lambda original: (
            lambda delta, known: (
                original(delta, dict.fromkeys(known, True))
                if type(delta).__name__ == "GraphUnchanged"
                else original(delta, known)
            )
        ),
    ),
)


def _one_root(original: Any) -> Any:
    def check(delta: Any, known: Any) -> None:
        original(delta, known)
        roots = [node for node in getattr(delta, "nodes", ()) if node.parent_node_id is None]
        if isinstance(delta, GraphReplaceFull):
            roots = [node for node in delta.graph.nodes if node.parent_node_id is None]
        if len(roots) > 1:
            raise LashError("invalid_graph_parent", "a graph has one root")

    return check


mutant("a graph has one root", "several_roots_are_legal", (f"{RULES}:check_delta", _one_root))
mutant(
    "a tombstoned leaf reads as none",
    "a_tombstoned_leaf_reads_as_its_nearest_live_ancestor",
    (
        f"{STORE}:visible_leaf",
        lambda original: lambda chain: original(chain) if chain and chain[0].is_live else None,
    ),
)


def _cut_path(original: Any) -> Any:
    def visible(chain: Any) -> list[str]:
        cut = next((at for at, node in enumerate(chain) if not node.is_live), len(chain))
        return list(original(chain[:cut]))

    return visible


mutant("a tombstone cuts the path", "a_path_goes_through_tombstones", (f"{STORE}:visible_path", _cut_path))
mutant(
    "vacuum reports at most one node",
    "vacuum_keeps_tombstones_that_paths_need",
    (
        f"{STORE}:MemoryRuntimePersistence.vacuum",
        answers(lambda report, *_: report.replace(removed_node_count=min(report.removed_node_count, 1))),
    ),
)


def _strict_tombstones(original: Any) -> Any:
    async def tombstone(self: Any, node_ids: Any) -> None:
        for node_id in node_ids:
            if await self.load_node(node_id) is None:
                raise LashError("invalid_argument", f"there is no node {node_id!r}")
        await original(self, node_ids)

    return tombstone


mutant(
    "hiding an unknown node is an error",
    "tombstoning_is_a_set",
    (f"{STORE}:MemoryRuntimePersistence.tombstone_nodes", _strict_tombstones),
)
