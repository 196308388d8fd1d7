"""Commits: binding, stamps, compare-and-set, completions, atomicity (contract 2.D.3, D3.1 to D3.5)."""

from __future__ import annotations

from typing import Any

import pytest

from lash.contracts import Database
from lash.values import (
    ActivePath,
    AgentFrameRecord,
    AttachmentIntent,
    FullGraph,
    GraphUnchanged,
    HydratedSessionCheckpoint,
    ModelSpec,
    PersistedTurnState,
    PluginSessionSnapshot,
    RuntimeCommit,
    RuntimeSessionState,
    SessionConfig,
    ToolState,
)

from .conftest import Backend
from .samples import (
    DEFAULT,
    IDLE,
    JOIN,
    append,
    commit,
    draft,
    ids,
    node,
    refused,
    replace,
    settling,
    stamp,
    usage,
)
from .settable import START_MS


async def test_first_commit_makes_revision_one_and_each_further_one_more(db: Database) -> None:
    store = db.runtime_persistence()
    assert await store.load_session(FullGraph()) is None
    results = [await store.commit_runtime_state(commit(expected=expected)) for expected in (None, 1, 2)]
    assert [result.head_revision for result in results] == [1, 2, 3]
    assert not any(result.replayed for result in results)
    assert (await db.session_catalog.find_head("root")).revision == 3


async def test_everything_that_a_commit_brings_is_read_back(db: Database) -> None:
    store = db.runtime_persistence()
    frames = (
        AgentFrameRecord(
            frame_id="f1", session_id="root", status="superseded", execution_state_snapshot=b"\x00\xffold"
        ),
        AgentFrameRecord(
            frame_id="f2",
            session_id="root",
            previous_frame_id="f1",
            reason="a reason of one's own",
            protocol_turn_options={"b": 1, "a": [1.0, None]},
        ),
    )
    config = SessionConfig(provider_id="prov", model=ModelSpec(id="m", context_window_tokens=5))
    checkpoint = HydratedSessionCheckpoint(
        turn_state=PersistedTurnState(turn_index=4, protocol_turn_options={"x": 1}),
        tool_state=ToolState(generation=9, tools={"t": {"n": 1}}),
        plugin_snapshot=PluginSessionSnapshot(),
        plugin_snapshot_revision=12,
        execution_state=b"\x00\x01bytes",
    )
    result = await store.commit_runtime_state(
        commit(
            config=config,
            agent_frames=frames,
            current_agent_frame_id="f2",
            checkpoint=checkpoint,
            graph=append(node("a"), node("b", "a")),
            usage_deltas=(usage(11),),
        )
    )
    read = await store.load_session(FullGraph())
    assert read is not None
    assert (read.session_id, read.head_revision, read.config) == ("root", 1, config)
    assert (read.agent_frames, read.current_agent_frame_id) == (frames, "f2")
    assert read.agent_frames[0].execution_state_snapshot == b"\x00\xffold"
    assert read.graph.nodes == (node("a"), node("b", "a"))
    assert read.graph.leaf_node_id == "b"
    assert read.checkpoint_ref == result.checkpoint_ref
    assert read.checkpoint is not None
    assert read.checkpoint.turn_state == checkpoint.turn_state
    assert read.checkpoint.tool_state == checkpoint.tool_state
    assert read.checkpoint.plugin_snapshot == PluginSessionSnapshot()
    assert read.checkpoint.plugin_snapshot_revision == 12
    assert read.checkpoint.execution_state == b"\x00\x01bytes"
    assert read.token_ledger == (usage(11),)


async def test_frames_of_another_session_id_are_stored_as_they_are(db: Database) -> None:
    store = db.runtime_persistence()
    state = RuntimeSessionState(session_id="alpha").ensure_agent_frame_initialized()
    await store.commit_runtime_state(RuntimeCommit.persisted_state(state))
    read = await store.load_session(FullGraph())
    assert read is not None
    assert read.session_id == "alpha"
    assert read.current_agent_frame_id == "root:frame:initial"


async def test_handle_is_bound_by_its_first_successful_commit(db: Database) -> None:
    store = db.runtime_persistence()
    with refused("head_revision_conflict"):
        await store.commit_runtime_state(commit("alpha", expected=3))
    await store.commit_runtime_state(commit("beta"))
    with refused("session_binding_mismatch"):
        await store.commit_runtime_state(commit("alpha"))
    await store.commit_runtime_state(commit("beta", expected=1))


async def test_handle_that_was_opened_for_a_session_commits_no_other(db: Database) -> None:
    store = db.runtime_persistence("alpha")
    with refused("session_binding_mismatch"):
        await store.commit_runtime_state(commit("beta"))
    assert (await store.commit_runtime_state(commit("alpha"))).head_revision == 1


async def test_unbound_handle_reads_the_only_session_and_refuses_to_guess_among_two(db: Database) -> None:
    reader = db.runtime_persistence()
    assert await reader.load_node("a") is None
    await db.runtime_persistence("one").commit_runtime_state(commit("one", graph=append(node("a"))))
    read = await reader.load_session(FullGraph())
    assert read is not None
    assert read.session_id == "one"
    assert await reader.load_node("a") == node("a")
    await db.runtime_persistence("two").commit_runtime_state(commit("two"))
    with refused("session_ambiguous"):
        await reader.load_session(FullGraph())
    with refused("session_ambiguous"):
        await reader.load_node("a")
    bound = await db.runtime_persistence("two").load_session(FullGraph())
    assert bound is not None
    assert bound.session_id == "two"


@pytest.mark.parametrize(("stored", "expected"), [(0, 1), (1, None), (1, 0), (1, 2), (2, 1)])
async def test_commit_on_another_revision_is_refused_with_both_revisions(
    db: Database, stored: int, expected: int | None
) -> None:
    store = db.runtime_persistence()
    for revision in range(stored):
        await store.commit_runtime_state(commit(expected=revision, graph=GraphUnchanged()))
    with refused("head_revision_conflict") as problem:
        await store.commit_runtime_state(commit(expected=expected, graph=append(node("n"))))
    assert (problem.value.facts["expected"], problem.value.facts["actual"]) == (expected or 0, stored)
    assert await store.load_node("n") is None


async def test_expectation_of_zero_is_that_of_none(db: Database) -> None:
    assert (await db.runtime_persistence().commit_runtime_state(commit(expected=0))).head_revision == 1


async def test_same_stamp_returns_the_stored_result_and_does_nothing(db: Database) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)
    assert claim is not None
    await store.record_intent(
        AttachmentIntent(attachment_id="a", session_id="root", canonical_uri="u", intent_at_ms=1)
    )
    first = await store.commit_runtime_state(
        commit(turn_commit=stamp("t1"), graph=append(node("a")), usage_deltas=(usage(5),))
    )
    # The repeat is stale in every other respect, and would change much.
    again = await store.commit_runtime_state(
        commit(
            expected=77,
            turn_commit=stamp("t1"),
            graph=append(node("a"), node("b", "nowhere")),
            usage_deltas=(usage(5),),
            completed_queue_claims=(claim.completion().replace(lease_token="forged"),),
            committed_attachment_ids=("a",),
        )
    )
    assert (again.head_revision, again.checkpoint_ref) == (1, first.checkpoint_ref)
    assert again.manifest == first.manifest
    assert again.replayed
    read = await store.load_session(FullGraph())
    assert read is not None
    assert (read.head_revision, read.token_ledger) == (1, (usage(5),))
    assert ids(await store.list_queued_work("root")) == [batch.batch_id]
    assert [row.attachment_id for row in await store.list_uncommitted(START_MS)] == ["a"]


async def test_stamp_answers_again_after_later_commits(db: Database) -> None:
    store = db.runtime_persistence()
    first = await store.commit_runtime_state(commit(turn_commit=stamp("t1")))
    await store.commit_runtime_state(commit(expected=1, turn_commit=stamp("t2")))
    again = await store.commit_runtime_state(commit(turn_commit=stamp("t1")))
    assert again == first.replace(replayed=True)
    assert (await db.session_catalog.find_head("root")).revision == 2


async def test_other_hash_under_one_turn_conflicts_before_the_revision_is_looked_at(db: Database) -> None:
    store = db.runtime_persistence()
    await store.commit_runtime_state(commit(turn_commit=stamp("t1", "h1")))
    with refused("runtime_turn_commit_conflict"):
        await store.commit_runtime_state(commit(expected=9, turn_commit=stamp("t1", "h2")))
    await store.commit_runtime_state(commit(expected=1, turn_commit=stamp("t2", "h2")))


async def test_stamp_of_another_session_is_refused(db: Database) -> None:
    store = db.runtime_persistence()
    with refused("runtime_turn_commit_conflict"):
        await store.commit_runtime_state(commit(turn_commit=stamp("t1", session_id="other")))
    assert await store.load_session(FullGraph()) is None


async def test_turn_ids_are_stamped_for_each_session_alone(db: Database) -> None:
    await db.runtime_persistence("a").commit_runtime_state(commit("a", turn_commit=stamp("t", "h1", "a")))
    result = await db.runtime_persistence("b").commit_runtime_state(
        commit("b", turn_commit=stamp("t", "h2", "b"))
    )
    assert not result.replayed


async def test_failed_commit_leaves_no_stamp_no_session_and_every_row(db: Database) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)
    assert claim is not None
    forged = claim.completion().replace(lease_token="forged")
    await store.record_intent(
        AttachmentIntent(attachment_id="a", session_id="root", canonical_uri="u", intent_at_ms=1)
    )
    bad = commit(
        turn_commit=stamp("t1"),
        graph=append(node("a")),
        usage_deltas=(usage(5, key="u1"),),
        completed_queue_claims=(claim.completion(), forged),
        committed_attachment_ids=("a",),
    )
    with refused("queue_claim_expired"):
        await store.commit_runtime_state(bad)
    assert await store.load_session(FullGraph()) is None
    assert await store.load_node("a") is None
    assert ids(await store.list_queued_work("root")) == [batch.batch_id]
    assert len(await store.list_uncommitted(START_MS)) == 1
    good = await store.commit_runtime_state(bad.replace(completed_queue_claims=(claim.completion(),)))
    assert (good.head_revision, good.replayed) == (1, False)
    assert await store.list_queued_work("root") == []
    assert await store.list_uncommitted(START_MS) == []
    read = await store.load_session(FullGraph())
    assert read is not None
    assert read.token_ledger == (usage(5),)


async def test_completion_must_name_exactly_what_its_claim_holds(db: Database) -> None:
    store = db.runtime_persistence()
    rows = []
    for _ in range(2):
        work = draft(slot=JOIN, merge=DEFAULT)
        rows.append((await store.enqueue_queued_work(work)).batch_id)
    foreign = await store.enqueue_queued_work(draft(session_id="other"))
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 2)
    assert claim is not None
    whole = claim.completion()
    wrong: list[dict[str, Any]] = [
        {"batch_ids": tuple(rows[:1])},
        {"batch_ids": (*rows, "nobody")},
        {"batch_ids": (*rows, rows[0])},
        {"batch_ids": (rows[0], "nobody")},
        {"batch_ids": (rows[0], foreign.batch_id)},
        {"batch_ids": ()},
        {"session_id": "other"},
        {"claim_id": "nobody"},
        {"lease_token": "forged"},
    ]
    for change in wrong:
        with refused("queue_claim_expired"):
            await store.commit_runtime_state(commit().completing_queue_claim(whole.replace(**change)))
    with refused("queue_claim_expired"):
        twice = commit(completed_queue_claims=(whole, whole))
        await store.commit_runtime_state(twice)
    assert ids(await store.list_queued_work("root")) == rows
    assert await store.load_session(FullGraph()) is None
    reordered = whole.replace(batch_ids=(rows[1], rows[0]))
    await store.commit_runtime_state(commit().completing_queue_claim(reordered))
    assert await store.list_queued_work("root") == []


async def test_expired_claim_completes_unless_it_was_superseded(backend: Backend) -> None:
    store = backend.db.runtime_persistence()
    for expected in (0, 1):
        await store.enqueue_queued_work(draft())
        claim = await store.claim_ready_queued_work("root", "w1", IDLE, 10, 10)
        assert claim is not None
        backend.clock.advance(10_000)
        if expected == 0:
            await store.commit_runtime_state(commit().completing_queue_claim(claim.completion()))
            continue
        assert await store.claim_ready_queued_work("root", "w2", IDLE, 10, 10) is not None
        with refused("queue_claim_expired"):
            await store.commit_runtime_state(commit(expected=1).completing_queue_claim(claim.completion()))


async def test_checks_come_in_the_order_of_the_contract(db: Database) -> None:
    lease = await db.session_leases.claim_session_lease("root", owner_id="w", ttl_ms=1000)
    store = db.runtime_persistence("root")
    await store.commit_runtime_state(commit(graph=append(node("a")), turn_commit=stamp("t1")))
    completion = (await _claim(db)).completion()
    lost = settling("t9", lease.replace(lease_token="forged"))
    everything_wrong: dict[str, Any] = {
        "turn_commit": stamp("t1", "other"),
        "settlement": lost,
        "expected": 8,
        "completed_queue_claims": (completion.replace(lease_token="forged"),),
        "graph": append(node("a")),
        "checkpoint": HydratedSessionCheckpoint(tool_state_ref="0" * 64),
    }
    steps: list[tuple[str, dict[str, Any]]] = [
        ("runtime_turn_commit_conflict", {"turn_commit": stamp("t2")}),
        ("session_lease_lost", {"settlement": settling("t9", lease)}),
        ("head_revision_conflict", {"expected": 1}),
        ("queue_claim_expired", {"completed_queue_claims": (completion,)}),
        ("node_id_collision", {"graph": append(node("b", "a"))}),
        ("checkpoint_component_missing", {"checkpoint": HydratedSessionCheckpoint()}),
    ]
    with refused("session_binding_mismatch"):
        await store.commit_runtime_state(commit("other", **everything_wrong))
    for code, repair in steps:
        with refused(code):
            await store.commit_runtime_state(commit(**everything_wrong))
        everything_wrong |= repair
    assert (await store.commit_runtime_state(commit(**everything_wrong))).head_revision == 2


async def test_node_that_json_cannot_say_is_refused_whole(db: Database) -> None:
    store = db.runtime_persistence()
    with refused("json_not_representable"):
        await store.commit_runtime_state(
            commit(graph=append(node("a"), node("b", "a", body=float("nan"))), turn_commit=stamp("t"))
        )
    assert await store.load_session(FullGraph()) is None
    await store.commit_runtime_state(commit(graph=append(node("a")), turn_commit=stamp("t", "h2")))


async def test_stored_json_keeps_the_difference_of_integer_and_float(db: Database) -> None:
    store = db.runtime_persistence()
    body = {"i": 1, "f": 1.0, "b": True, "big": 2**63, "text": "\u2028 é \x00", "n": None}
    await store.commit_runtime_state(commit(graph=append(node("a", body=body))))
    assert await store.load_node("a") == node("a", body=body)
    assert await store.load_node("a") != node("a", body=body | {"i": 1.0})


async def test_commit_is_seen_through_another_handle_at_once(backend: Backend) -> None:
    other = await backend.another_handle()
    reader = other.runtime_persistence("root")
    assert await reader.load_session(FullGraph()) is None
    store = backend.db.runtime_persistence()
    for revision in range(3):
        parent = f"n{revision - 1}" if revision else None
        await store.commit_runtime_state(
            commit(expected=revision, graph=append(node(f"n{revision}", parent)))
        )
        read = await reader.load_session(ActivePath())
        assert read is not None
        assert (read.head_revision, read.graph.leaf_node_id) == (revision + 1, f"n{revision}")
    stale = other.runtime_persistence("root")
    with refused("head_revision_conflict"):
        await stale.commit_runtime_state(commit(expected=2, graph=replace(leaf=None)))


async def _claim(db: Database) -> Any:
    store = db.runtime_persistence()
    await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 1)
    assert claim is not None
    return claim
