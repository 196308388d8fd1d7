"""Checkpoint components: bodies, references, and what a sweep may delete (R-34, R-42)."""

from __future__ import annotations

import hashlib

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_present, refused
from lash.testing.conformance.samples.sessions import commit_of, committed, load, next_commit, state
from lash.testing.conformance.trial import Trial
from lash.values import (
    AgentFrameRecord,
    HydratedSessionCheckpoint,
    PersistedTurnState,
    RuntimeCommit,
    ToolState,
)


def _checkpoint(**parts: object) -> HydratedSessionCheckpoint:
    return HydratedSessionCheckpoint(turn_state=PersistedTurnState(), **parts)  # type: ignore[arg-type]
    # the parts are the record's own fields; msgspec has no keyword types to name


async def _stored(store: RuntimePersistence) -> HydratedSessionCheckpoint:
    return expect_present((await load(store)).checkpoint, "a session has a checkpoint")


@case(Contract.RUNTIME_PERSISTENCE)
async def components_are_addressed_by_their_content(trial: Trial[RuntimePersistence]) -> None:
    """The reference of execution bytes is their SHA-256, and equal manifests share one reference."""
    first = await committed(trial.subject, checkpoint=_checkpoint(execution_state=b"vm"))
    digest = hashlib.sha256(b"vm").hexdigest()
    expect_equal((await _stored(trial.subject)).execution_state_ref, digest, "the reference of the bytes")
    second = await trial.subject.commit_runtime_state(
        next_commit(1, checkpoint=_checkpoint(execution_state=b"vm"))
    )
    expect_equal(second.checkpoint_ref, first.checkpoint_ref, "the reference of an equal manifest")


@case(Contract.RUNTIME_PERSISTENCE)
async def a_reference_alone_means_unchanged(trial: Trial[RuntimePersistence]) -> None:
    """A commit may carry the reference of what is stored in place of the body."""
    tools = ToolState().with_generation(4)
    await committed(trial.subject, checkpoint=_checkpoint(tool_state=tools))
    ref = (await _stored(trial.subject)).tool_state_ref
    await trial.subject.commit_runtime_state(next_commit(1, checkpoint=_checkpoint(tool_state_ref=ref)))
    kept = await _stored(trial.subject)
    expect_equal((kept.tool_state, kept.tool_state_ref), (tools, ref), "the component that did not change")


@case(Contract.RUNTIME_PERSISTENCE)
async def a_body_wins_over_a_reference(trial: Trial[RuntimePersistence]) -> None:
    """With both, the body is stored under its own reference; with neither, the component is gone."""
    both = _checkpoint(execution_state=b"new", execution_state_ref="0" * 64)
    await committed(trial.subject, checkpoint=both)
    stored = await _stored(trial.subject)
    expect_equal(stored.execution_state, b"new", "the body")
    expect_equal(stored.execution_state_ref, hashlib.sha256(b"new").hexdigest(), "its reference")
    await trial.subject.commit_runtime_state(next_commit(1, checkpoint=_checkpoint()))
    gone = await _stored(trial.subject)
    expect_equal((gone.execution_state, gone.execution_state_ref), (None, None), "the absent component")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-34")
async def references_must_resolve(trial: Trial[RuntimePersistence]) -> None:
    """A reference to a body that is not stored is refused, for each component."""
    for name in ("tool_state_ref", "plugin_snapshot_ref", "execution_state_ref"):
        commit = next_commit(0, checkpoint=_checkpoint(**{name: "0" * 64}))
        with refused("checkpoint_component_missing", f"a {name} that resolves to nothing"):
            await trial.subject.commit_runtime_state(commit)


@case(Contract.RUNTIME_PERSISTENCE)
async def a_sweep_deletes_what_nothing_refers_to(trial: Trial[RuntimePersistence]) -> None:
    """Bodies of earlier checkpoints go, the current ones stay, and a second sweep finds nothing."""
    store = trial.subject
    await committed(store, checkpoint=_checkpoint(execution_state=b"old"))
    await store.commit_runtime_state(next_commit(1, checkpoint=_checkpoint(execution_state=b"new")))
    first, second = await store.gc_unreachable(), await store.gc_unreachable()
    expect(first.deleted_blob_count >= 1, f"the old body is deleted, got {first}")
    expect_equal(second.deleted_blob_count, 0, "what a second sweep deletes")
    expect_equal((await _stored(store)).execution_state, b"new", "the current body after a sweep")
    old = next_commit(2, checkpoint=_checkpoint(execution_state_ref=hashlib.sha256(b"old").hexdigest()))
    with refused("checkpoint_component_missing", "a reference to what the sweep deleted"):
        await store.commit_runtime_state(old)


@case(Contract.RUNTIME_PERSISTENCE, rule="R-42")
async def a_sweep_keeps_what_frames_refer_to(trial: Trial[RuntimePersistence]) -> None:
    """Execution state of a superseded frame stays: the frame may become current again."""
    store, ref = trial.subject, hashlib.sha256(b"frame").hexdigest()
    await committed(store, checkpoint=_checkpoint(execution_state=b"frame"))
    frames = (
        AgentFrameRecord(frame_id="f1", session_id="root", status="superseded", execution_state_ref=ref),
        AgentFrameRecord(frame_id="f2", session_id="root", previous_frame_id="f1"),
    )
    moved = state(agent_frames=frames, current_agent_frame_id="f2", head_revision=1)
    await store.commit_runtime_state(RuntimeCommit.persisted_state(moved))
    await store.gc_unreachable()
    back = next_commit(2, checkpoint=_checkpoint(execution_state_ref=ref))
    await store.commit_runtime_state(back)
    expect_equal((await _stored(store)).execution_state, b"frame", "the frame's state after a sweep")


@case(Contract.RUNTIME_PERSISTENCE)
async def frames_of_another_session_name_are_stored_verbatim(trial: Trial[RuntimePersistence]) -> None:
    """A store does not judge frames: those of a default state say `root` in any session."""
    frame = AgentFrameRecord(frame_id="root:frame:initial", session_id="root", created_at="1970-01-01")
    await trial.subject.commit_runtime_state(commit_of("alpha", agent_frames=(frame,)))
    expect_equal((await load(trial.subject)).agent_frames, (frame,), "the frames as they were committed")
