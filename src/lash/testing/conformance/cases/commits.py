"""Commits: head, binding, checkpoint, usage, stamps (contract 2.D.3)."""

from __future__ import annotations

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_present, refused
from lash.testing.conformance.samples.queue import ALONE, EARLY, batch_text, queued_turn_input_draft
from lash.testing.conformance.samples.sessions import (
    FULL,
    append,
    commit_of,
    committed,
    intent,
    load,
    meta,
    next_commit,
    node,
    stamp,
    state,
    used,
)
from lash.testing.conformance.trial import Trial
from lash.values import (
    AgentFrameRecord,
    ModelSpec,
    PluginSessionSnapshot,
    RuntimeCommit,
    SessionPolicy,
    ToolState,
)


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def runtime_persistence_reports_declared_durability(trial: Trial[RuntimePersistence]) -> None:
    """The store reports the tier that its backend declares."""
    expect_equal(trial.subject.durability_tier, trial.declared.tier, "the durability tier")


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def commit_increments_head_and_round_trips_agent_frames(trial: Trial[RuntimePersistence]) -> None:
    """Frames come back with their reasons, and execution bytes from the frame and from the checkpoint."""
    policy = SessionPolicy(model=ModelSpec(id="gpt-5.4-mini", context_window_tokens=200_000))
    first = state(policy=policy).ensure_agent_frame_initialized()
    initial = expect_present(first.current_agent_frame, "an initialised state has a frame")
    second = AgentFrameRecord(
        frame_id="frame-2",
        session_id="root",
        previous_frame_id=initial.frame_id,
        reason="plan_mode",
        assignment=initial.assignment,
    )
    committing = first.append_agent_frame(second).with_execution_state(b"frame-vm")
    await trial.subject.commit_runtime_state(RuntimeCommit.persisted_state(committing))
    read = await load(trial.subject)
    expect_equal(read.current_agent_frame_id, "frame-2", "the current frame")
    expect_equal(len(read.agent_frames), 2, "the number of frames")
    current = [frame for frame in read.agent_frames if frame.frame_id == "frame-2"]
    expect_equal([frame.reason for frame in current], ["plan_mode"], "a reason is any text")
    expect_equal(
        [frame.execution_state_snapshot for frame in current], [b"frame-vm"], "execution bytes of the frame"
    )
    checkpoint = expect_present(read.checkpoint, "a session has a checkpoint")
    expect_equal(checkpoint.execution_state, b"frame-vm", "execution bytes of the checkpoint")


@case(Contract.RUNTIME_PERSISTENCE)
async def the_first_revision_is_one(trial: Trial[RuntimePersistence]) -> None:
    """Every commit adds one to the head's revision, and the read tells it."""
    for expected in range(3):
        result = await trial.subject.commit_runtime_state(next_commit(expected))
        expect_equal(result.head_revision, expected + 1, f"the revision after commit {expected + 1}")
        expect_equal((await load(trial.subject)).head_revision, expected + 1, "the revision as read")


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def commit_rejects_a_different_session_id(trial: Trial[RuntimePersistence]) -> None:
    """The first commit binds a handle; another session's is refused."""
    await trial.subject.commit_runtime_state(commit_of("alpha"))
    with refused(None, "a commit of another session"):
        await trial.subject.commit_runtime_state(commit_of("beta"))


@case(Contract.RUNTIME_PERSISTENCE, rule="R-7")
async def binding_refusals_are_coded_and_leave_no_trace(trial: Trial[RuntimePersistence]) -> None:
    """A commit of another session is a binding mismatch, and the bound session stays as it was."""
    await trial.subject.commit_runtime_state(commit_of("alpha"))
    with refused("session_binding_mismatch", "a commit of another session"):
        await trial.subject.commit_runtime_state(commit_of("beta"))
    read = await load(trial.subject)
    expect_equal((read.session_id, read.head_revision), ("alpha", 1), "the bound session")


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def load_hydrates_checkpoint_and_usage(trial: Trial[RuntimePersistence]) -> None:
    """A load brings component bodies, even empty ones, and the usage that the deltas added up to."""
    committing = state(
        "hydrated",
        tool_state_snapshot=ToolState().with_generation(9),
        plugin_snapshot_revision=12,
        plugin_snapshot=PluginSessionSnapshot(plugins={}),
    )
    usage = used(11, output_tokens=7, cached_input_tokens=3, reasoning_tokens=5)
    await trial.subject.commit_runtime_state(RuntimeCommit.persisted_state(committing, [usage]))
    read = await load(trial.subject)
    checkpoint = expect_present(read.checkpoint, "a session has a checkpoint")
    expect_equal(read.session_id, "hydrated", "the session id")
    tools = expect_present(checkpoint.tool_state, "the tool state is hydrated")
    expect_equal(tools.generation, 9, "the tool generation")
    expect_equal(checkpoint.plugin_snapshot_revision, 12, "the plugin revision")
    expect_equal([entry.usage.input_tokens for entry in read.token_ledger], [11], "the ledger")


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def final_commit_stamp_is_idempotent_and_conflicts_on_changed_hash(
    trial: Trial[RuntimePersistence],
) -> None:
    """A stamped commit answers its repeat, whatever revision that expects; other content conflicts."""
    store, base = trial.subject, commit_of()
    turn_hash = base.turn_commit_hash()
    stamped = base.with_turn_commit(stamp("provider-turn", turn_hash))
    first = await store.commit_runtime_state(stamped)
    retry = await store.commit_runtime_state(stamped)
    expect_equal(retry.head_revision, first.head_revision, "the retry's revision")
    expect_equal(retry.checkpoint_ref, first.checkpoint_ref, "the retry's checkpoint")
    later = base.replace(expected_head_revision=first.head_revision)
    expect_equal(later.turn_commit_hash(), turn_hash, "the hash does not depend on the expected revision")
    changed = commit_of(turn_index=1)
    conflicting = changed.with_turn_commit(stamp("provider-turn", changed.turn_commit_hash()))
    with refused("runtime_turn_commit_conflict", "the same turn with another hash"):
        await store.commit_runtime_state(conflicting)


@case(Contract.RUNTIME_PERSISTENCE, seed=True, rule="R-6", needs=Feature.SECOND_HANDLE)
async def runtime_persistence_survives_reopen(trial: Trial[RuntimePersistence]) -> None:
    """Meta, state, queued work and attachment intents are there for the second handle."""
    store, other = trial.subject, trial.second
    await store.save_session_meta(meta("Durable Root"))
    await store.commit_runtime_state(commit_of(tool_state_snapshot=ToolState().with_generation(77)))
    queued = await store.enqueue_queued_work(
        queued_turn_input_draft("root", "survives reopen", EARLY, ALONE).replace(source_key="reopen:queued")
    )
    await store.record_intent(intent("reopen-attachment"))
    read_meta = expect_present(await other.load_session_meta(), "the meta")
    expect_equal(read_meta.session_name, "Durable Root", "the name")
    read = await load(other)
    expect_equal(read.session_id, "root", "the session")
    checkpoint = expect_present(read.checkpoint, "the checkpoint")
    tools = expect_present(checkpoint.tool_state, "the tool state")
    expect_equal(tools.generation, 77, "the tool generation")
    listed = await other.list_queued_work("root")
    expect_equal([batch.batch_id for batch in listed], [queued.batch_id], "the queued work")
    expect_equal([batch_text(batch) for batch in listed], ["survives reopen"], "its payload")
    intents = await other.list_uncommitted(200)
    expect("reopen-attachment" in [row.attachment_id for row in intents], "the intent is there")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-6", needs=Feature.SECOND_HANDLE)
async def commits_through_two_handles_compete_for_one_head(trial: Trial[RuntimePersistence]) -> None:
    """What one handle commits is at once what the other one must expect."""
    await committed(trial.subject, append(node("n1")))
    with refused("head_revision_conflict", "the other handle's stale expectation"):
        await trial.second.commit_runtime_state(next_commit(0))
    result = await trial.second.commit_runtime_state(next_commit(1, append(node("n2", "n1"))))
    expect_equal(result.head_revision, 2, "the other handle's commit")
    expect_equal((await load(trial.subject, FULL)).head_revision, 2, "seen through the first handle")


@case(Contract.RUNTIME_PERSISTENCE)
async def a_store_without_a_commit_has_no_session(trial: Trial[RuntimePersistence]) -> None:
    """Meta, queued work and intents do not make a session."""
    store = trial.subject
    await store.save_session_meta(meta())
    await store.enqueue_queued_work(queued_turn_input_draft("root", "waiting", EARLY, ALONE))
    await store.record_intent(intent("a1"))
    expect_equal(await store.load_session(FULL), None, "the session before its first commit")
    expect_equal(await store.load_node("n1"), None, "a node before the first commit")
