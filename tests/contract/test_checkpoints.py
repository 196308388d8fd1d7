"""Checkpoint components, blobs, usage and meta (R-29, R-34, R-42, B-15, 2.D.12, 2.D.15)."""

from __future__ import annotations

from typing import Any

from lash.contracts import Database, RuntimePersistence
from lash.values import (
    AgentFrameRecord,
    ChildSession,
    FullGraph,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    PersistedTurnState,
    PluginSessionSnapshot,
    SessionMeta,
    TokenLedgerEntry,
    ToolState,
)

from .conftest import Backend
from .samples import commit, refused, stamp, usage


def _checkpoint(**components: Any) -> HydratedSessionCheckpoint:
    return HydratedSessionCheckpoint(turn_state=PersistedTurnState(turn_index=1), **components)


async def _read(store: RuntimePersistence) -> PersistedSessionRead:
    read = await store.load_session(FullGraph())
    assert read is not None
    return read


async def test_reference_without_a_body_means_unchanged_and_nothing_means_gone(db: Database) -> None:
    store = db.runtime_persistence()
    tools = ToolState(generation=3, tools={"a": 1})
    first = await store.commit_runtime_state(
        commit(checkpoint=_checkpoint(tool_state=tools, execution_state=b"x"))
    )
    manifest = first.manifest
    assert manifest.tool_state_ref
    assert manifest.execution_state_ref
    assert manifest.plugin_snapshot_ref is None
    second = await store.commit_runtime_state(
        commit(expected=1, checkpoint=_checkpoint(tool_state_ref=manifest.tool_state_ref))
    )
    assert second.manifest.tool_state_ref == manifest.tool_state_ref
    assert second.manifest.execution_state_ref is None
    checkpoint = (await _read(store)).checkpoint
    assert checkpoint is not None
    assert checkpoint.tool_state == tools
    assert checkpoint.execution_state is None


async def test_equal_checkpoints_share_a_reference_and_others_do_not(db: Database) -> None:
    store = db.runtime_persistence()
    refs = [
        (await store.commit_runtime_state(commit(expected=i, checkpoint=checkpoint))).checkpoint_ref
        for i, checkpoint in enumerate(
            [
                _checkpoint(execution_state=b"a"),
                _checkpoint(execution_state=b"a"),
                _checkpoint(execution_state=b"b"),
            ]
        )
    ]
    assert refs[0] == refs[1]
    assert refs[0] != refs[2]


async def test_body_wins_over_a_supplied_reference(db: Database) -> None:
    store = db.runtime_persistence()
    result = await store.commit_runtime_state(
        commit(checkpoint=_checkpoint(execution_state=b"new", execution_state_ref="0" * 64))
    )
    assert result.manifest.execution_state_ref != "0" * 64
    checkpoint = (await _read(store)).checkpoint
    assert checkpoint is not None
    assert checkpoint.execution_state == b"new"


async def test_reference_that_resolves_to_nothing_is_refused(db: Database) -> None:
    store = db.runtime_persistence()
    for name in ("tool_state_ref", "plugin_snapshot_ref", "execution_state_ref"):
        with refused("checkpoint_component_missing"):
            await store.commit_runtime_state(commit(checkpoint=_checkpoint(**{name: "0" * 64})))
    assert await store.load_session(FullGraph()) is None


async def test_empty_components_are_components(db: Database) -> None:
    store = db.runtime_persistence()
    await store.commit_runtime_state(
        commit(
            checkpoint=_checkpoint(
                tool_state=ToolState(), plugin_snapshot=PluginSessionSnapshot(), execution_state=b""
            )
        )
    )
    checkpoint = (await _read(store)).checkpoint
    assert checkpoint is not None
    assert (checkpoint.tool_state, checkpoint.plugin_snapshot) == (ToolState(), PluginSessionSnapshot())
    assert checkpoint.execution_state == b""


async def test_sweep_keeps_what_heads_and_frames_refer_to_and_deletes_the_rest(db: Database) -> None:
    store = db.runtime_persistence()
    kept = (
        await store.commit_runtime_state(commit(checkpoint=_checkpoint(execution_state=b"of the frame")))
    ).manifest.execution_state_ref
    dead = (
        await store.commit_runtime_state(
            commit(
                expected=1,
                checkpoint=_checkpoint(execution_state=b"dead"),
                agent_frames=(
                    AgentFrameRecord(
                        frame_id="f0", session_id="root", status="superseded", execution_state_ref=kept
                    ),
                    AgentFrameRecord(frame_id="f1", session_id="root"),
                ),
            )
        )
    ).manifest.execution_state_ref
    head = await store.commit_runtime_state(
        commit(
            expected=2,
            checkpoint=_checkpoint(execution_state=b"live"),
            agent_frames=(
                AgentFrameRecord(
                    frame_id="f0", session_id="root", status="superseded", execution_state_ref=kept
                ),
                AgentFrameRecord(frame_id="f1", session_id="root"),
            ),
        )
    )
    report = await store.gc_unreachable()
    assert report.deleted_blob_count >= 1
    assert (await store.gc_unreachable()).deleted_blob_count == 0
    with refused("checkpoint_component_missing"):
        await store.commit_runtime_state(commit(expected=3, checkpoint=_checkpoint(execution_state_ref=dead)))
    checkpoint = (await _read(store)).checkpoint
    assert checkpoint is not None
    assert checkpoint.execution_state == b"live"
    await store.commit_runtime_state(commit(expected=3, checkpoint=_checkpoint(execution_state_ref=kept)))
    again = (await _read(store)).checkpoint
    assert again is not None
    assert again.execution_state == b"of the frame"
    assert head.head_revision == 3


async def test_sweep_of_one_handle_spares_the_blobs_of_other_sessions(db: Database) -> None:
    one, two = db.runtime_persistence("one"), db.runtime_persistence("two")
    await one.commit_runtime_state(commit("one", checkpoint=_checkpoint(execution_state=b"1")))
    await two.commit_runtime_state(commit("two", checkpoint=_checkpoint(execution_state=b"2")))
    assert (await one.gc_unreachable()).deleted_blob_count == 0
    checkpoint = (await _read(two)).checkpoint
    assert checkpoint is not None
    assert checkpoint.execution_state == b"2"


async def test_ledger_sums_by_source_and_model_in_first_seen_order(db: Database) -> None:
    store = db.runtime_persistence()
    deltas: list[tuple[TokenLedgerEntry, ...]] = [
        (usage(1, source="turn", model="b"), usage(2, source="sub", model="a", output_tokens=5)),
        (usage(10, source="turn", model="b", reasoning_tokens=3), usage(4, source="turn", model="a")),
        (usage(0, source="none", model="z"), usage(0, source="cache", model="z", cached_input_tokens=7)),
    ]
    for revision, entries in enumerate(deltas):
        await store.commit_runtime_state(commit(expected=revision, usage_deltas=entries))
    assert (await _read(store)).token_ledger == (
        usage(11, source="turn", model="b", reasoning_tokens=3),
        usage(2, source="sub", model="a", output_tokens=5),
        usage(4, source="turn", model="a"),
        usage(0, source="cache", model="z", cached_input_tokens=7),
    )


async def test_usage_key_is_counted_once_and_entries_without_one_always(db: Database) -> None:
    store = db.runtime_persistence()
    await store.commit_runtime_state(
        commit(usage_deltas=(usage(1, key="k1"), usage(1, key="k1"), usage(10), usage(10)))
    )
    await store.commit_runtime_state(
        commit(expected=1, usage_deltas=(usage(100, key="k1"), usage(1000, key="k2"), usage(10)))
    )
    assert (await _read(store)).token_ledger == (usage(1 + 10 + 10 + 1000 + 10),)
    other = db.runtime_persistence("other")
    await other.commit_runtime_state(commit("other", usage_deltas=(usage(7, key="k1"),)))
    assert (await _read(other)).token_ledger == (usage(7),)


async def test_refused_commit_counts_no_usage_key(db: Database) -> None:
    store = db.runtime_persistence()
    with refused("head_revision_conflict"):
        await store.commit_runtime_state(commit(expected=4, usage_deltas=(usage(1, key="k1"),)))
    await store.commit_runtime_state(commit(usage_deltas=(usage(1, key="k1"),), turn_commit=stamp("t")))
    assert (await _read(store)).token_ledger == (usage(1),)


def _meta(**changes: Any) -> SessionMeta:
    fields: dict[str, Any] = {
        "session_id": "root",
        "session_name": "Name",
        "created_at": "2026-06-02T00:00:00Z",
        "model": "m",
        "cwd": "/somewhere",
        "relation": ChildSession(parent_session_id="parent"),
    }
    return SessionMeta(**(fields | changes))


async def test_meta_round_trips_without_making_a_session_and_the_last_write_wins(backend: Backend) -> None:
    store = backend.db.runtime_persistence()
    assert await store.load_session_meta() is None
    await store.save_session_meta(_meta())
    assert await store.load_session_meta() == _meta()
    assert await store.load_session(FullGraph()) is None
    await store.save_session_meta(_meta(session_name="Other", cwd=None))
    other = await backend.another_handle()
    assert await other.runtime_persistence().load_session_meta() == _meta(session_name="Other", cwd=None)
    await store.commit_runtime_state(commit())
    assert await store.load_session_meta() == _meta(session_name="Other", cwd=None)
