"""A disk that is full in the middle of a commit leaves everything as it was."""

from __future__ import annotations

import pytest

from lash.backends.sql import SqliteDatabase
from lash.backends.sql.engine import Tx
from lash.errors import LashError
from lash.values import ActivePath, AttachmentCreateMeta, TurnState

from .turns import AGENT, turn_commit, turn_draft


async def limit_pages(database: SqliteDatabase, spare: int | None) -> None:
    """Let the file grow by so many pages and no further; None lifts the limit."""

    async def script(tx: Tx) -> None:
        pages = await tx.fetch_one(int, "PRAGMA page_count")
        limit = 2**30 if spare is None else (pages or 0) + spare
        await tx.fetch_all(int, f"PRAGMA max_page_count={limit}")

    await database._engine.run(script)


@pytest.mark.parametrize("spare", [0, 1, 2, 4, 8])
async def test_a_commit_without_room_changes_nothing_and_succeeds_later(
    database: SqliteDatabase, spare: int
) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT)
    accepted = await database.turn_ingress.accept_turn(turn_draft("s", "t"), claim_owner_id=database.owner_id)
    assert accepted.claimed is not None
    store = database.runtime_persistence("s")
    commit = turn_commit(accepted.claimed, nodes=400, effects=50)
    await limit_pages(database, spare)
    with pytest.raises(LashError) as refused:
        await store.commit_runtime_state(commit)
    assert refused.value.code == "store_full"
    assert refused.value.retryable
    assert await store.load_session(ActivePath()) is None
    status = await database.turn_ingress.find_turn("s", "t")
    assert status.state is TurnState.RUNNING
    assert await database.session_leases.find_session_lease("s") == accepted.claimed.lease
    assert await store.list_pending_queued_work("s") == []
    await limit_pages(database, None)
    result = await store.commit_runtime_state(commit)
    assert result.head_revision == 1
    assert (await database.turn_ingress.find_turn("s", "t")).state is TurnState.COMMITTED


async def test_an_acceptance_without_room_is_no_acceptance(database: SqliteDatabase) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT)
    await limit_pages(database, 0)
    with pytest.raises(LashError) as refused:
        await database.turn_ingress.accept_turn(turn_draft("s", "t", "x" * 100_000))
    assert refused.value.code == "store_full"
    assert (await database.turn_ingress.find_turn("s", "t")).state is TurnState.UNKNOWN


async def test_an_attachment_without_room_is_not_there(database: SqliteDatabase) -> None:
    await limit_pages(database, 1)
    data = b"x" * 1_000_000
    with pytest.raises(LashError) as refused:
        await database.attachment_store.put(data, AttachmentCreateMeta("text/plain"))
    assert refused.value.code == "store_full"
    await limit_pages(database, None)
    ref = await database.attachment_store.put(data, AttachmentCreateMeta("text/plain"))
    assert (await database.attachment_store.get(ref.id)).data == data
