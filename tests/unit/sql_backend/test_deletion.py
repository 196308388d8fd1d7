"""Deleting a session leaves its tombstone and nothing else (ruling 30, B-5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lash.backends.sql import SqliteDatabase
from lash.errors import LashError
from lash.values import AttachmentCreateMeta, AttachmentIntent, SessionMeta

from .turns import AGENT, append, drive, identity, note, turn_draft

Tamper = Callable[..., list[tuple[object, ...]]]
EMPTY_AFTERWARDS = (
    "node",
    "stamp",
    "usage_counted",
    "session_setup",
    "session_meta",
    "session_label",
    "queue",
    "queue_items",
    "effect",
    "effect_outcome",
    "wait",
    "attachment",
    "attachment_description",
    "attachment_manifest",
)


async def test_every_row_goes_but_the_tombstone(database: SqliteDatabase, tamper: Tamper) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT, labels=["l"])
    store = database.runtime_persistence("s")
    ref = await database.attachment_store.put(b"bytes", AttachmentCreateMeta("text/plain"))
    await store.record_intent(
        AttachmentIntent(attachment_id=ref.id, session_id="s", canonical_uri="u", intent_at_ms=1)
    )
    await store.save_session_meta(SessionMeta(session_id="s", session_name="n", created_at="", model="m"))
    await drive(database, "s", "t")
    await database.effect_journal.start_effects([identity("s", "t2", 1)])
    await database.turn_ingress.accept_turn(turn_draft("s", "t2"))
    await database.turn_ingress.claim_turn("s", owner_id="o", agents=[AGENT], lease_ttl_ms=0)
    await database.turn_ingress.request_cancel("s", "t2")
    deletion = await database.session_catalog.delete_session("s")
    assert (deletion.node_count, deletion.queued_count) == (5, 2)
    assert (deletion.effect_count, deletion.attachment_count) == (4, 1)
    assert {table: tamper(f"SELECT count(*) FROM {table}") for table in EMPTY_AFTERWARDS} == {
        table: [(0,)] for table in EMPTY_AFTERWARDS
    }
    assert tamper("SELECT session_id FROM session WHERE deleted_at_ms IS NOT NULL") == [("s",)]


async def test_a_deleted_id_is_never_used_again(database: SqliteDatabase) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT)
    await drive(database, "s", "t")
    await database.session_catalog.delete_session("s")
    for again in (
        database.session_catalog.admit_session("s", agent=AGENT),
        database.turn_ingress.accept_turn(turn_draft("s", "t")),
        database.runtime_persistence("s").commit_runtime_state(append("s", 0, note("a"))),
    ):
        with pytest.raises(LashError) as refused:
            await again
        assert refused.value.code == "session_deleted"


async def test_another_sessions_rows_stay(database: SqliteDatabase, tamper: Tamper) -> None:
    for session_id in ("s", "s2"):  # the one's turn scopes must not be taken for the other's
        await database.session_catalog.admit_session(session_id, agent=AGENT)
        await drive(database, session_id, "t")
        await database.durable_waits.resolve_wait(
            f"w {session_id}", 1, scope_key=identity(session_id, "t", 1).scope.key
        )
    await database.session_catalog.delete_session("s")
    assert tamper("SELECT wait_key FROM wait") == [("w s2",)]
    assert tamper("SELECT count(*) FROM node") == [(5,)]
    assert tamper("SELECT count(*) FROM effect") == [(3,)]
