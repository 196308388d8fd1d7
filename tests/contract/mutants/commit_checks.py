"""Commits that are not checked, or not refused whole."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.errors import LashError

from .mutant import mutant, recoded

STORE = "lash.backends.memory.persistence"
COMMIT = "lash.backends.memory.commit"
RULES = "lash.rules.commits"
GRAPH = "lash.rules.graph"
MANIFEST = "lash.backends.memory.manifest"
LOAD = f"{STORE}:MemoryRuntimePersistence.load_session"
COMMITS = f"{STORE}:MemoryRuntimePersistence.commit_runtime_state"

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
    (f"{RULES}:check_revision", recoded("head_revision_conflict", "store_busy")),
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
                    held = tables.queue.held(session_id, claim_id, token)
                    tables.queue.settle(held, QueuedWorkState.COMPLETED, tables.clock.now_ms())
            raise

    return commit
