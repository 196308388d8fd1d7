"""Wrong commits: head, binding, stamps."""

from __future__ import annotations

from typing import Any

from lash.backends.memory import MemoryDatabase
from lash.errors import LashError
from lash.testing.conformance import KitClock, Reopenable
from lash.values import DurabilityTier

from .mutant import gives, mutant, read_with, recoded, skipped, value

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


mutant(
    "frames lose their execution state",
    "commit_increments_head_and_round_trips_agent_frames",
    (
        LOAD,
        read_with(
            agent_frames=lambda r: tuple(f.replace(execution_state_snapshot=None) for f in r.agent_frames)
        ),
    ),
)
mutant(
    "the first revision is zero",
    "the_first_revision_is_one",
    (LOAD, read_with(head_revision=lambda r: r.head_revision - 1)),
)
mutant(
    "a handle takes any session", "commit_rejects_a_different_session_id", (f"{RULES}:check_binding", skipped)
)


mutant(
    "a binding mismatch has another code",
    "binding_refusals_are_coded_and_leave_no_trace",
    (f"{RULES}:check_binding", recoded("session_binding_mismatch", "invalid_argument")),
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
