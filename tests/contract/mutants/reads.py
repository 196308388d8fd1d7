"""Wrong reads of sessions and their meta."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.values import ActivePath, FullGraph

from .mutant import answers, mutant, read_with, skipped, value

STORE = "lash.backends.memory.persistence"
COMMIT = "lash.backends.memory.commit"
RULES = "lash.rules.commits"
GRAPH = "lash.rules.graph"
MANIFEST = "lash.backends.memory.manifest"
LOAD = f"{STORE}:MemoryRuntimePersistence.load_session"
COMMITS = f"{STORE}:MemoryRuntimePersistence.commit_runtime_state"


def _ignores_leaf(original: Any) -> Any:
    async def load(self: Any, scope: Any) -> Any:
        asked = isinstance(scope, ActivePath) and scope.leaf_node_id is not None
        if asked:
            await original(self, scope)  # an unknown leaf is refused all the same
        return await original(self, ActivePath() if asked else scope)

    return load


mutant(
    "a leaf that is asked for is ignored",
    "active_path_read_scope_selects_only_requested_ancestry",
    (LOAD, _ignores_leaf),
)


def _moves_leaf(original: Any) -> Any:
    async def load(self: Any, scope: Any) -> Any:
        read = await original(self, scope)
        if isinstance(scope, ActivePath) and scope.leaf_node_id is not None:
            head = self._tables.heads[read.session_id]
            self._tables.heads[read.session_id] = msgspec.structs.replace(
                head, leaf_node_id=scope.leaf_node_id
            )
        return read

    return load


mutant("reading a leaf moves the head to it", "asking_for_a_leaf_moves_nothing", (LOAD, _moves_leaf))
mutant(
    "an unknown leaf has an empty path",
    "unknown_leaves_are_refused",
    (f"{STORE}:check_explicit_leaf", skipped),
)


def _last_node_is_leaf(original: Any) -> Any:
    async def load(self: Any, scope: Any) -> Any:
        read = await original(self, scope)
        if (
            read is not None
            and scope == ActivePath()
            and self._tables.heads[read.session_id].leaf_node_id is None
        ):
            full = await original(self, FullGraph())
            return read.replace(graph=full.graph)
        return read

    return load


mutant("no leaf means the whole graph", "an_empty_path_is_legal", (LOAD, _last_node_is_leaf))
mutant(
    "a node loads without its parent",
    "nodes_load_by_id",
    (
        f"{STORE}:MemoryRuntimePersistence.load_node",
        answers(lambda node, *_: node and node.replace(parent_node_id=None)),
    ),
)


def _drops_cached(original: Any) -> Any:
    def merge(entries: Any) -> Any:
        return tuple(entry for entry in original(entries) if entry.usage.total)

    return merge


mutant(
    "usage of cached input is dropped",
    "the_ledger_adds_up_by_source_and_model",
    (f"{COMMIT}:merge_ledger", _drops_cached),
)
mutant(
    "usage is counted whenever it is named",
    "usage_under_a_key_counts_once",
    (f"{COMMIT}:fresh_deltas", value(lambda deltas, counted: list(deltas))),
)
mutant(
    "the turn state stops at the second turn",
    "a_load_is_of_one_moment",
    (LOAD, read_with(checkpoint=lambda r: _of_two(r.checkpoint))),
)


def _of_two(checkpoint: Any) -> Any:
    turn_index = min(checkpoint.turn_state.turn_index, 2)
    return checkpoint.replace(turn_state=checkpoint.turn_state.replace(turn_index=turn_index))


mutant(
    "meta loses its folder",
    "session_metadata_round_trips",
    (
        f"{STORE}:MemoryRuntimePersistence.load_session_meta",
        answers(lambda meta, *_: meta and meta.replace(cwd=None)),
    ),
)


def _first_meta(original: Any) -> Any:
    async def save(self: Any, meta: Any) -> None:
        if meta.session_id not in self._tables.metas:
            await original(self, meta)

    return save


mutant(
    "the first meta stays",
    "the_last_meta_wins",
    (f"{STORE}:MemoryRuntimePersistence.save_session_meta", _first_meta),
)
