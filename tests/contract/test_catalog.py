"""The session catalog: admission, listing, deletion (contract 5, B-5; ruling 30)."""

from __future__ import annotations

import pytest

from lash.contracts import Database
from lash.values import (
    AttachmentCreateMeta,
    AttachmentIntent,
    EffectScope,
    FullGraph,
    SessionHead,
    SessionMeta,
)

from .conftest import Backend
from .samples import (
    append,
    commit,
    done,
    draft,
    effect,
    node,
    refused,
    settling,
    stamp,
    turn,
    usage,
)
from .settable import START_MS, SettableClock


async def test_session_is_created_once_and_reopened_after(db: Database, clock: SettableClock) -> None:
    catalog = db.session_catalog
    assert await catalog.find_session("s1") is None
    info, created = await catalog.admit_session("s1", agent="helper", labels=["a"], title="One")
    assert created
    assert (info.session_id, info.agent, info.labels, info.title) == ("s1", "helper", ("a",), "One")
    assert (info.created_at_ms, info.head_revision, info.pending, info.running) == (START_MS, 0, 0, False)
    clock.advance(10)
    again, created = await catalog.admit_session("s1", agent="helper")
    assert not created
    assert (again.labels, again.title, again.created_at_ms) == (("a",), "One", START_MS)
    changed, _ = await catalog.admit_session("s1", agent="helper", labels=[], title="Two")
    assert (changed.labels, changed.title) == ((), "Two")
    assert await catalog.find_session("s1") == changed


async def test_session_belongs_to_one_agent(db: Database) -> None:
    await db.session_catalog.admit_session("s1", agent="helper", title="kept")
    with refused("agent_mismatch"):
        await db.session_catalog.admit_session("s1", agent="other", title="changed")
    info = await db.session_catalog.find_session("s1")
    assert info is not None
    assert (info.agent, info.title) == ("helper", "kept")


@pytest.mark.parametrize("session_id", ["", "   ", "\u3000", "\ud800", "a\x00b"])
async def test_blank_ids_and_ids_that_are_no_text_are_refused(db: Database, session_id: str) -> None:
    with refused("invalid_argument"):
        await db.session_catalog.admit_session(session_id, agent="helper")
    with refused("invalid_argument"):
        await db.runtime_persistence().commit_runtime_state(commit(session_id))
    with refused("invalid_argument"):
        await db.turn_ingress.accept_turn(turn("t1", session_id))
    assert await db.session_catalog.list_sessions() == []


@pytest.mark.parametrize("session_id", ["x" * 10_000, "a/b", "🦊", " padded ", "é", "e\u0301"])
async def test_any_other_text_is_an_id_and_stays_as_it_is(db: Database, session_id: str) -> None:
    await db.session_catalog.admit_session(session_id, agent="helper")
    assert [info.session_id for info in await db.session_catalog.list_sessions()] == [session_id]
    await db.runtime_persistence(session_id).commit_runtime_state(commit(session_id, graph=append(node("a"))))
    assert await db.runtime_persistence(session_id).load_node("a") == node("a")


async def test_list_is_by_code_point_in_pages(db: Database) -> None:
    for session_id in ("b", "Z", "a", "é", "a1"):
        await db.session_catalog.admit_session(session_id, agent="helper")
    names = [info.session_id for info in await db.session_catalog.list_sessions()]
    assert names == ["Z", "a", "a1", "b", "é"]
    first = await db.session_catalog.list_sessions(limit=2)
    rest = await db.session_catalog.list_sessions(after=first[-1].session_id)
    assert [info.session_id for info in (*first, *rest)] == names


async def test_list_filters_by_label_and_by_text_of_id_or_title(db: Database) -> None:
    catalog = db.session_catalog
    await catalog.admit_session("order-1", agent="h", labels=["vip", "eu"], title="Invoice of Ada")
    await catalog.admit_session("order-2", agent="h", labels=["vip2"], title="100%_done")
    await catalog.admit_session("chat", agent="h", title=None)

    async def found(**where: str) -> list[str]:
        return [info.session_id for info in await catalog.list_sessions(**where)]  # type: ignore[arg-type]

    assert await found(label="vip") == ["order-1"]
    assert await found(search="ORDER") == ["order-1", "order-2"]
    assert await found(search="ada") == ["order-1"]
    assert await found(search="%") == ["order-2"]
    assert await found(search="_") == ["order-2"]
    assert await found(label="vip", search="chat") == []


async def test_line_shows_revision_waiting_work_and_a_driver(db: Database) -> None:
    await db.session_catalog.admit_session("s1", agent="helper")
    await db.turn_ingress.accept_turn(turn("t1"), claim_owner_id="w")
    await db.turn_ingress.accept_turn(turn("t2"))
    info = await db.session_catalog.find_session("s1")
    assert info is not None
    assert (info.head_revision, info.pending, info.running) == (0, 1, True)
    await db.runtime_persistence("s1").commit_runtime_state(commit("s1"))
    info = await db.session_catalog.find_session("s1")
    assert info is not None
    assert info.head_revision == 1


async def test_head_of_a_session_without_commits_is_revision_zero(db: Database) -> None:
    assert await db.session_catalog.find_head("s1") == SessionHead(session_id="s1")
    await db.runtime_persistence("s1").commit_runtime_state(
        commit(
            "s1",
            graph=append(node("a")),
            turn_commit=stamp("t1", session_id="s1"),
            settlement=settling("t1", path_digest="d1"),
        )
    )
    assert await db.session_catalog.find_head("s1") == SessionHead(
        session_id="s1", revision=1, leaf_node_id="a", path_digest="d1"
    )


async def _fill(db: Database, session_id: str) -> str:
    """Give a session one of everything; return the id of its attachment."""
    await db.session_catalog.admit_session(session_id, agent="helper")
    store = db.runtime_persistence(session_id)
    ref = await db.attachment_store.put(session_id.encode(), AttachmentCreateMeta("text/plain"))
    await store.record_intent(
        AttachmentIntent(attachment_id=ref.id, session_id=session_id, canonical_uri="u", intent_at_ms=1)
    )
    await store.save_session_meta(
        SessionMeta(session_id=session_id, session_name="n", created_at="t", model="m")
    )
    await store.commit_runtime_state(
        commit(
            session_id,
            graph=append(node("a"), node("b", "a")),
            turn_commit=stamp("old", session_id=session_id),
            usage_deltas=(usage(1, key="k"),),
            committed_attachment_ids=(ref.id,),
        )
    )
    await db.turn_ingress.accept_turn(turn("t1", session_id))
    scope = EffectScope.turn(session_id, "t1")
    await db.effect_journal.record_effects([(effect("k1", scope), done())])
    await db.durable_waits.resolve_wait(f"wait-{session_id}", 1, scope_key=scope.key)
    return ref.id


async def test_deletion_removes_what_the_session_owns_and_nothing_else(backend: Backend) -> None:
    db = backend.db
    gone, kept = await _fill(db, "gone"), await _fill(db, "gone-not")
    deletion = await db.session_catalog.delete_session("gone")
    assert (deletion.session_id, deletion.node_count, deletion.queued_count) == ("gone", 2, 1)
    assert (deletion.effect_count, deletion.attachment_count) == (1, 1)
    other = await backend.another_handle()
    assert [info.session_id for info in await other.session_catalog.list_sessions()] == ["gone-not"]
    assert await db.runtime_persistence("gone").load_session(FullGraph()) is None
    assert await db.runtime_persistence("gone").load_session_meta() is None
    assert await db.runtime_persistence("gone").list_queued_work("gone") == []
    assert await db.effect_journal.load_effects(EffectScope.turn("gone", "t1")) == []
    assert await db.durable_waits.find_wait("wait-gone") is None
    with refused("attachment_not_found"):
        await db.attachment_store.get(gone)

    assert (await db.attachment_store.get(kept)).data == b"gone-not"
    assert len(await db.effect_journal.load_effects(EffectScope.turn("gone-not", "t1"))) == 1
    assert await db.durable_waits.find_wait("wait-gone-not") is not None
    assert len(await db.runtime_persistence().list_queued_work("gone-not")) == 1
    read = await db.runtime_persistence("gone-not").load_session(FullGraph())
    assert read is not None
    assert len(read.graph.nodes) == 2


async def test_deleted_id_is_refused_for_ever(db: Database) -> None:
    await _fill(db, "s1")
    await db.session_catalog.delete_session("s1")
    with refused("session_deleted"):
        await db.session_catalog.admit_session("s1", agent="helper")
    with refused("session_deleted"):
        await db.turn_ingress.accept_turn(turn("t9"))
    with refused("session_deleted"):
        await db.runtime_persistence("s1").commit_runtime_state(commit("s1"))
    with refused("session_deleted"):
        await db.runtime_persistence().enqueue_queued_work(draft(session_id="s1"))
    with refused("session_unknown"):
        await db.session_catalog.delete_session("s1")


async def test_unknown_session_cannot_be_deleted_nor_one_that_is_driven(db: Database) -> None:
    with refused("session_unknown"):
        await db.session_catalog.delete_session("nobody")
    await _fill(db, "s1")
    lease = await db.session_leases.claim_session_lease("s1", owner_id="w", ttl_ms=100)
    with refused("session_busy"):
        await db.session_catalog.delete_session("s1")
    assert await db.session_catalog.find_session("s1") is not None
    await db.session_leases.release_session_lease(lease)
    await db.session_catalog.delete_session("s1")


async def test_attachment_that_another_session_has_too_keeps_its_bytes(db: Database) -> None:
    ref = await db.attachment_store.put(b"shared", AttachmentCreateMeta("text/plain"))
    for session_id in ("one", "two"):
        await db.session_catalog.admit_session(session_id, agent="helper")
        await db.runtime_persistence().record_intent(
            AttachmentIntent(attachment_id=ref.id, session_id=session_id, canonical_uri="u", intent_at_ms=1)
        )
    await db.session_catalog.delete_session("one")
    assert (await db.attachment_store.get(ref.id)).data == b"shared"
    assert len(await db.runtime_persistence().list_uncommitted(START_MS)) == 1
