"""Wrong checkpoints and sweeps."""

from __future__ import annotations

from typing import Any

from .mutant import answers, mutant, read_with

STORE = "lash.backends.memory.persistence"
COMMIT = "lash.backends.memory.commit"
RULES = "lash.rules.commits"
GRAPH = "lash.rules.graph"
MANIFEST = "lash.backends.memory.manifest"
LOAD = f"{STORE}:MemoryRuntimePersistence.load_session"
COMMITS = f"{STORE}:MemoryRuntimePersistence.commit_runtime_state"

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
        read_with(
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
