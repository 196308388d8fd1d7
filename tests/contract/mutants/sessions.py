"""Wrong persistence: commits, reads, graphs, checkpoints, meta, manifests."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.backends.memory import MemoryDatabase
from lash.errors import LashError
from lash.testing.conformance import KitClock, Reopenable
from lash.values import ActivePath, DurabilityTier, FullGraph, GraphReplaceFull

from .mutant import answers, gives, mutant, skipped, value

STORE = "lash.backends.memory.persistence"
COMMIT = "lash.backends.memory.commit"
RULES = "lash.rules.commits"
GRAPH = "lash.rules.graph"
MANIFEST = "lash.backends.memory.manifest"
LOAD = f"{STORE}:MemoryRuntimePersistence.load_session"
COMMITS = f"{STORE}:MemoryRuntimePersistence.commit_runtime_state"

mutant(
    "the persistence says durable",
    "runtime_persistence_reports_declared_durability",
    (f"{STORE}:MemoryRuntimePersistence.durability_tier", value(DurabilityTier.DURABLE)),
)


def _read(**changes: Any) -> Any:
    """Change what a load returns, where it returns anything."""
    return answers(
        lambda read, *_: None if read is None else read.replace(**{k: f(read) for k, f in changes.items()})
    )


mutant(
    "frames lose their execution state",
    "commit_increments_head_and_round_trips_agent_frames",
    (
        LOAD,
        _read(agent_frames=lambda r: tuple(f.replace(execution_state_snapshot=None) for f in r.agent_frames)),
    ),
)
mutant(
    "the first revision is zero",
    "the_first_revision_is_one",
    (LOAD, _read(head_revision=lambda r: r.head_revision - 1)),
)
mutant(
    "a handle takes any session", "commit_rejects_a_different_session_id", (f"{RULES}:check_binding", skipped)
)


def _recoded(old: str, new: str) -> Any:
    """Raise another code in place of one."""

    def around(original: Any) -> Any:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            except LashError as error:
                raise LashError(new if error.code == old else error.code, error.message) from error

        return wrong

    return around


mutant(
    "a binding mismatch has another code",
    "binding_refusals_are_coded_and_leave_no_trace",
    (f"{RULES}:check_binding", _recoded("session_binding_mismatch", "invalid_argument")),
)
mutant(
    "the plugin revision is lost",
    "load_hydrates_checkpoint_and_usage",
    (f"{STORE}:hydrated", gives(lambda made, *_: made.replace(plugin_snapshot_revision=None))),
)


def _revision_in_hash(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        stamp = commit.turn_commit
        if stamp is not None and (commit.session_id, stamp.turn_id) in tables.stamps:
            raise LashError("runtime_turn_commit_conflict", "that turn is committed")
        return original(tables, commit, bound, keeps_manifest=keeps_manifest)

    return commit


mutant(
    "a stamp is used once",
    "final_commit_stamp_is_idempotent_and_conflicts_on_changed_hash",
    (f"{COMMIT}:commit", _revision_in_hash),
)


def _without_meta(clock: KitClock) -> Any:
    first = MemoryDatabase(clock=clock)
    second = MemoryDatabase(clock=clock)
    for name, port in vars(first).items():
        if name != "clock":
            setattr(second, name, port)
    hide = second.runtime_persistence

    def runtime_persistence(session_id: str | None = None) -> Any:
        store = hide(session_id)

        async def load_session_meta() -> None:
            return None

        store.load_session_meta = load_session_meta  # type: ignore[method-assign]  # the second handle only
        return store

    second.runtime_persistence = runtime_persistence  # type: ignore[method-assign]  # the second handle only
    return Reopenable(first, second)


mutant("a second handle has no meta", "runtime_persistence_survives_reopen", make=_without_meta)


def _cached_head(clock: KitClock) -> Any:
    first = MemoryDatabase(clock=clock)
    second = MemoryDatabase(clock=clock)
    for name, port in vars(first).items():
        if name != "clock":
            setattr(second, name, port)
    make = second.runtime_persistence

    def runtime_persistence(session_id: str | None = None) -> Any:
        store = make(session_id)
        commit = store.commit_runtime_state

        async def commit_runtime_state(commit_: Any) -> Any:
            if commit_.expected_head_revision == 0 and "root" in store._tables.heads:
                head = store._tables.heads["root"].revision  # what it believes is the head is not the head
                return await commit(commit_.replace(expected_head_revision=head))
            return await commit(commit_)

        store.commit_runtime_state = commit_runtime_state  # type: ignore[method-assign]  # the second handle only
        return store

    second.runtime_persistence = runtime_persistence  # type: ignore[method-assign]  # the second handle only
    return Reopenable(first, second)


mutant(
    "a second handle compares no revision",
    "commits_through_two_handles_compete_for_one_head",
    make=_cached_head,
)


def _meta_is_a_session(original: Any) -> Any:
    async def load_node(self: Any, node_id: str) -> Any:
        if not self._tables.heads:
            raise LashError("session_unknown", "there is no session")
        return await original(self, node_id)

    return load_node


mutant(
    "a node of no session is an error",
    "a_store_without_a_commit_has_no_session",
    (f"{STORE}:MemoryRuntimePersistence.load_node", _meta_is_a_session),
)

# checks of a commit

mutant(
    "revisions are compared from one on",
    "stale_revisions_are_refused",
    (
        f"{RULES}:check_revision",
        lambda original: (
            lambda commit, actual: (
                None if (commit.expected_head_revision or 0) > actual else original(commit, actual)
            )
        ),
    ),
)
mutant(
    "no expectation is not checked",
    "no_expectation_means_no_head",
    (
        f"{RULES}:check_revision",
        lambda original: (
            lambda commit, actual: None if commit.expected_head_revision is None else original(commit, actual)
        ),
    ),
)
mutant(
    "a revision conflict has another code",
    "of_concurrent_commits_one_wins",
    (f"{RULES}:check_revision", _recoded("head_revision_conflict", "store_busy")),
)


def _counts_again(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        result = original(tables, commit, bound, keeps_manifest=keeps_manifest)
        if result.replayed and commit.usage_deltas:
            from lash.rules.ledger import merge_ledger

            tables.usage[commit.session_id] = merge_ledger(
                [*tables.usage[commit.session_id], *commit.usage_deltas]
            )
        return result

    return commit


mutant(
    "a replayed commit counts its usage again",
    "recorded_stamps_answer_before_everything_else",
    (f"{COMMIT}:commit", _counts_again),
)


def _any_stamp(original: Any) -> Any:
    def is_recorded(commit: Any, recorded_hash: Any) -> bool:
        stamp = commit.turn_commit
        if stamp is not None and stamp.session_id != commit.session_id:
            return False
        return bool(original(commit, recorded_hash))

    return is_recorded


mutant(
    "a stamp may be of another session",
    "stamps_of_another_session_conflict",
    (f"{RULES}:is_recorded", _any_stamp),
)


def _stamps_first(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        stamp = commit.turn_commit
        tried = tables.__dict__.setdefault("tried", {})
        if stamp is not None and tried.get(stamp.turn_id, stamp.turn_commit_hash) != stamp.turn_commit_hash:
            raise LashError("runtime_turn_commit_conflict", "that turn was tried with another hash")
        try:
            return original(tables, commit, bound, keeps_manifest=keeps_manifest)
        except LashError:
            if stamp is not None:
                tried[stamp.turn_id] = stamp.turn_commit_hash
            raise

    return commit


mutant(
    "a refused commit leaves its stamp", "refused_commits_leave_no_stamp", (f"{COMMIT}:commit", _stamps_first)
)


def _hash_with_ids(original: Any) -> Any:
    return lambda self: original(self) + ":".join(node.node_id for node in self.nodes)


mutant(
    "node ids are part of the hash",
    "the_stamp_hash_ignores_clocks_and_topology",
    ("lash.values.commits:RuntimeCommit.turn_commit_hash", _hash_with_ids),
)


def _bends(original: Any) -> Any:
    def storable(record: Any, *, what: str) -> bytes:
        try:
            return bytes(original(record, what=what))
        except LashError:
            return msgspec.json.encode(record)  # NaN becomes null

    return storable


mutant("NaN is stored as null", "what_is_not_json_is_refused_whole", (f"{COMMIT}:storable_bytes", _bends))


def _floats(original: Any) -> Any:
    async def load(self: Any, scope: Any) -> Any:
        read = await original(self, scope)
        if read is None or read.checkpoint is None:
            return read
        options = {
            key: int(item) if isinstance(item, float) else item
            for key, item in read.checkpoint.turn_state.protocol_turn_options.items()
        }
        turn_state = read.checkpoint.turn_state.replace(protocol_turn_options=options)
        return read.replace(checkpoint=read.checkpoint.replace(turn_state=turn_state))

    return load


mutant("1.0 comes back as 1", "json_values_keep_their_kind", (LOAD, _floats))
mutant(
    "good completions of a refused commit count",
    "refused_completions_undo_the_whole_commit",
    (f"{COMMIT}:commit", lambda original: _half_completes(original)),
)


def _half_completes(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        try:
            return original(tables, commit, bound, keeps_manifest=keeps_manifest)
        except LashError as error:
            claims = {(c.claim_id, c.lease_token, c.session_id): c for c in commit.completed_queue_claims}
            if error.code == "queue_claim_expired" and len(claims) > 1:
                from lash.values import QueuedWorkState

                for claim_id, token, session_id in claims:
                    tables.queue.settle(
                        tables.queue.held(session_id, claim_id, token), QueuedWorkState.COMPLETED
                    )
            raise

    return commit


# reads


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
    (LOAD, _read(checkpoint=lambda r: _of_two(r.checkpoint))),
)


def _of_two(checkpoint: Any) -> Any:
    turn_index = min(checkpoint.turn_state.turn_index, 2)
    return checkpoint.replace(turn_state=checkpoint.turn_state.replace(turn_index=turn_index))


# the graph

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
    def apply(tables: Any, commit: Any, prepared: Any) -> None:
        before = dict(tables.nodes.get(commit.session_id, {}))
        original(tables, commit, prepared)
        if before and not isinstance(commit.graph, GraphReplaceFull):
            now = tables.nodes[commit.session_id]
            fresh = {node_id: node for node_id, node in now.items() if node_id not in before}
            tables.nodes[commit.session_id] = fresh | before

    return apply


def _keeps_replaced(original: Any) -> Any:
    def apply(tables: Any, commit: Any, prepared: Any) -> None:
        before = dict(tables.nodes.get(commit.session_id, {}))
        original(tables, commit, prepared)
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

# checkpoints

mutant(
    "references are made of the revision",
    "components_are_addressed_by_their_content",
    (
        COMMITS,
        answers(
            lambda made, *_: (
                made
                if made.head_revision == 1
                else made.replace(checkpoint_ref=f"{made.checkpoint_ref}:{made.head_revision}")
            )
        ),
    ),
)
mutant(
    "a reference alone drops the component",
    "a_reference_alone_means_unchanged",
    (
        LOAD,
        _read(
            checkpoint=lambda r: (
                r.checkpoint.replace(tool_state=None) if r.head_revision > 1 else r.checkpoint
            )
        ),
    ),
)
mutant(
    "a reference wins over a body",
    "a_body_wins_over_a_reference",
    (
        f"{COMMIT}:commit",
        lambda original: (
            lambda tables, commit, bound, *, keeps_manifest: original(
                tables, _ref_wins(commit), bound, keeps_manifest=keeps_manifest
            )
        ),
    ),
)


def _ref_wins(commit: Any) -> Any:
    checkpoint = commit.checkpoint
    if checkpoint.execution_state is not None and checkpoint.execution_state_ref is not None:
        checkpoint = checkpoint.replace(execution_state=None)
    return commit.replace(checkpoint=checkpoint)


mutant(
    "references of tool state need not resolve",
    "references_must_resolve",
    (
        f"{RULES}:check_components",
        lambda original: lambda checkpoint, stored: original(checkpoint.replace(tool_state_ref=None), stored),
    ),
)
mutant(
    "a sweep deletes nothing",
    "a_sweep_deletes_what_nothing_refers_to",
    (f"{STORE}:MemoryRuntimePersistence.gc_unreachable", lambda original: _lazy_sweep),
)


async def _lazy_sweep(self: Any) -> Any:
    from lash.values import GcReport

    return GcReport()


mutant(
    "a sweep forgets the frames",
    "a_sweep_keeps_what_frames_refer_to",
    (f"{STORE}:blob_roots", lambda original: lambda manifest, frames: original(manifest, ())),
)


def _own_frames(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        frames = tuple(frame.replace(session_id=commit.session_id) for frame in commit.agent_frames)
        return original(tables, commit.replace(agent_frames=frames), bound, keeps_manifest=keeps_manifest)

    return commit


mutant(
    "frames get the session's name",
    "frames_of_another_session_name_are_stored_verbatim",
    (f"{COMMIT}:commit", _own_frames),
)

# meta

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

# the manifest

mutant(
    "a commit stamps no attachments",
    "attachment_manifest_records_intent_and_commit_stamps",
    (f"{COMMIT}:stamp_attachments", skipped),
)


def _needs_intents(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        for attachment_id in commit.committed_attachment_ids:
            if not any(key[1] == attachment_id for key in tables.manifest):
                raise LashError("attachment_not_found", f"{attachment_id!r} has no intent")
        return original(tables, commit, bound, keeps_manifest=keeps_manifest)

    return commit


mutant(
    "a commit needs the intents of its attachments",
    "noop_attachment_manifest_is_explicit_and_empty",
    (f"{COMMIT}:commit", _needs_intents),
)


mutant(
    "a store that keeps its manifest says noop",
    "persistent_manifests_say_so",
    (
        "lash.testing.conformance.databases:_view",
        lambda original: lambda database, case, clock: _noop_sayer(original(database, case, clock), case),
    ),
)


class _SaysNoop:
    attachment_manifest = "noop"

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _noop_sayer(store: Any, case: Any) -> Any:
    return _SaysNoop(store) if case.contract == "runtime_persistence" else store


def _shared_rows(original: Any) -> Any:
    async def commit_refs(self: Any, session_id: str, attachment_ids: Any) -> None:
        for key in [key for key in self._tables.manifest if key[1] in attachment_ids]:
            await original(self, key[0], [key[1]])

    return commit_refs


mutant(
    "one session's commit stamps all",
    "sessions_do_not_share_manifest_rows",
    (f"{MANIFEST}:MemoryManifest.commit_refs", _shared_rows),
)
mutant(
    "the first intent's time stays",
    "an_intent_again_moves_its_time_forward",
    (f"{MANIFEST}:row_after_intent", lambda original: lambda row, intent: row or original(row, intent)),
)
mutant(
    "an intent undoes a commit",
    "an_intent_after_the_commit_changes_nothing",
    (
        f"{MANIFEST}:row_after_intent",
        lambda original: (
            lambda row, intent: original(None if row and row.committed_at_ms is not None else row, intent)
        ),
    ),
)
mutant(
    "the age bound is exclusive",
    "the_age_bound_of_the_manifest_is_inclusive",
    (
        f"{MANIFEST}:is_left_over",
        lambda original: lambda row, older_than_ms: original(row, older_than_ms - 1),
    ),
)
mutant(
    "a commit makes up rows",
    "commits_ignore_attachments_without_an_intent",
    (f"{MANIFEST}:MemoryManifest.commit_refs", _shared_rows),
    (
        f"{COMMIT}:stamp_attachments",
        lambda original: (
            lambda tables, session_id, ids, now_ms: (
                original(tables, "other", ids, now_ms) or original(tables, session_id, ids, now_ms)
            )
        ),
    ),
)


def _stamps_anyway(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        from lash.backends.memory.manifest import stamp_attachments

        stamp_attachments(tables, commit.session_id, commit.committed_attachment_ids, tables.clock.now_ms())
        return original(tables, commit, bound, keeps_manifest=keeps_manifest)

    return commit


mutant(
    "a refused commit stamps its attachments",
    "refused_commits_stamp_no_attachments",
    (f"{COMMIT}:commit", _stamps_anyway),
)
