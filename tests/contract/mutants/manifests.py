"""Wrong attachment manifests."""

from __future__ import annotations

from typing import Any

from lash.errors import LashError

from .mutant import mutant, skipped

STORE = "lash.backends.memory.persistence"
COMMIT = "lash.backends.memory.commit"
RULES = "lash.rules.commits"
GRAPH = "lash.rules.graph"
MANIFEST = "lash.backends.memory.manifest"
LOAD = f"{STORE}:MemoryRuntimePersistence.load_session"
COMMITS = f"{STORE}:MemoryRuntimePersistence.commit_runtime_state"

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


def _uncommitted_only(original: Any) -> Any:
    async def find(self: Any, attachment_ids: Any) -> Any:
        waiting = {row.attachment_id for row in await self.list_uncommitted(2**62)}
        return sorted(waiting.intersection(attachment_ids))

    return find


mutant(
    "only what waits for a commit is named",
    "attachments_that_any_session_names_are_told",
    (f"{MANIFEST}:MemoryManifest.find_named", _uncommitted_only),
)
