"""The manifest and the bytes (contracts 2.E and 2.F, R-43, R-44)."""

from __future__ import annotations

import hashlib

import pytest

from lash.backends.memory import InMemoryAttachmentStore, InMemorySessionStore
from lash.contracts import Database
from lash.values import AttachmentCreateMeta, AttachmentIntent

from .conftest import Backend
from .samples import commit, refused
from .settable import START_MS


def _intent(attachment_id: str, at_ms: int, session_id: str = "root") -> AttachmentIntent:
    return AttachmentIntent(
        attachment_id=attachment_id,
        session_id=session_id,
        canonical_uri=f"sha256:{attachment_id}",
        intent_at_ms=at_ms,
    )


async def test_left_over_rows_come_oldest_first_and_the_bound_is_inclusive(db: Database) -> None:
    store = db.runtime_persistence()
    for attachment_id, at_ms in [("c", 100), ("a", 100), ("b", 50), ("d", 101)]:
        await store.record_intent(_intent(attachment_id, at_ms))
    rows = await store.list_uncommitted(100)
    assert [(row.attachment_id, row.intent_at_ms) for row in rows] == [("b", 50), ("a", 100), ("c", 100)]
    assert all(row.committed_at_ms is None for row in rows)
    assert rows[0].canonical_uri == "sha256:b"
    assert rows[0].session_id == "root"
    assert await store.list_uncommitted(49) == []


async def test_row_waits_by_its_newest_intent_until_it_is_committed(db: Database) -> None:
    store = db.runtime_persistence()
    await store.record_intent(_intent("a", 100))
    await store.record_intent(_intent("a", 300))
    await store.record_intent(_intent("a", 200))
    assert await store.list_uncommitted(299) == []
    assert [row.intent_at_ms for row in await store.list_uncommitted(300)] == [300]
    await store.commit_refs("root", ["a", "nobody"])
    assert await store.list_uncommitted(START_MS) == []
    await store.record_intent(_intent("a", 400))
    assert await store.list_uncommitted(START_MS) == []


async def test_sessions_do_not_share_a_row(db: Database) -> None:
    store = db.runtime_persistence()
    await store.record_intent(_intent("a", 1, "one"))
    await store.record_intent(_intent("a", 2, "two"))
    await store.commit_refs("one", ["a"])
    left = await store.list_uncommitted(START_MS)
    assert [(row.session_id, row.intent_at_ms) for row in left] == [("two", 2)]
    await store.commit_refs("three", ["a"])
    assert len(await store.list_uncommitted(START_MS)) == 1


async def test_commit_stamps_the_attachments_of_its_session_in_the_same_step(db: Database) -> None:
    store = db.runtime_persistence()
    for attachment_id in ("a", "b"):
        await store.record_intent(_intent(attachment_id, 1))
    await store.record_intent(_intent("a", 1, "other"))
    await store.commit_runtime_state(commit(committed_attachment_ids=("a", "unknown")))
    left = await store.list_uncommitted(START_MS)
    assert {(row.session_id, row.attachment_id) for row in left} == {("other", "a"), ("root", "b")}


async def test_forget_deletes_rows_and_takes_unknown_ids(db: Database) -> None:
    store = db.runtime_persistence()
    await store.record_intent(_intent("a", 1))
    await store.forget("a")
    await store.forget("a")
    assert await store.list_uncommitted(START_MS) == []


async def test_manifest_is_declared_and_seen_through_another_handle(backend: Backend) -> None:
    store = backend.db.runtime_persistence()
    assert store.attachment_manifest == "persistent"
    await store.record_intent(_intent("a", 1))
    other = await backend.another_handle()
    assert len(await other.runtime_persistence().list_uncommitted(1)) == 1


async def test_noop_manifest_says_so_and_keeps_nothing() -> None:
    store = InMemorySessionStore(attachment_manifest="noop")
    assert store.attachment_manifest == "noop"
    await store.record_intent(_intent("a", 1))
    await store.commit_refs("root", ["a"])
    await store.forget("a")
    assert await store.list_uncommitted(START_MS) == []
    await store.commit_runtime_state(commit(committed_attachment_ids=("a",)))


async def test_bytes_come_back_with_meta_under_the_hash_of_the_bytes(backend: Backend) -> None:
    data = b"\x01\x02\x03\x04\x05"
    ref = await backend.db.attachment_store.put(data, AttachmentCreateMeta("image/png", 3, 4, "logo"))
    assert ref.id == "74f81fe167d99b4cb41d6d0ccda82278caee9f3e2f25d5e5a3936ff3dcec60d0"
    assert (ref.media_type, ref.byte_len, ref.width, ref.height, ref.label) == ("image/png", 5, 3, 4, "logo")
    stored = await (await backend.another_handle()).attachment_store.get(ref.id)
    assert stored.data == data
    assert stored.meta == ref


async def test_id_depends_on_the_bytes_alone_and_empty_bytes_are_legal(db: Database) -> None:
    store = db.attachment_store
    one = await store.put(b"same", AttachmentCreateMeta("text/plain"))
    two = await store.put(b"same", AttachmentCreateMeta("image/png", label="x"))
    assert one.id == two.id
    assert (await store.put(b"other", AttachmentCreateMeta("text/plain"))).id != one.id
    empty = await store.put(b"", AttachmentCreateMeta("text/plain"))
    assert empty.id == hashlib.sha256(b"").hexdigest()
    assert (await store.get(empty.id)).data == b""


@pytest.mark.parametrize(
    "attachment_id",
    ["sha256:does-not-exist", "0" * 64, "", "../secret", "A" * 64, "/etc/passwd", "0" * 63, "0" * 64 + "\n"],
)
async def test_unknown_ids_and_ids_that_are_no_hash_are_not_found(db: Database, attachment_id: str) -> None:
    with refused("attachment_not_found"):
        await db.attachment_store.get(attachment_id)


async def test_stored_bytes_do_not_follow_the_callers_buffer() -> None:
    store = InMemoryAttachmentStore()
    buffer = bytearray(b"first")
    ref = await store.put(buffer, AttachmentCreateMeta("text/plain"))
    buffer[:] = b"other"
    assert (await store.get(ref.id)).data == b"first"
