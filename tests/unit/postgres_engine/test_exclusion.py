"""Operations whose rows do not meet, and that must wait for each other all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from lash.backends.sql import attachments, commits, effect_rows, process_rows, retention
from lash.backends.sql.engine import Tx
from lash.backends.sql.postgres_database import PostgresDatabase
from lash.values import (
    AttachmentCreateMeta,
    AttachmentIntent,
    DeliveryPolicy,
    EffectIdentity,
    EffectResult,
    EffectScope,
    EffectState,
    ExternalInput,
    ProcessRegistration,
    QueuedWorkBatchDraft,
    RuntimeEffectKind,
    SlotPolicy,
    TurnInput,
    TurnInputPayload,
)

from .conftest import Observer

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def url(postgres_urls: Callable[[], str]) -> str:
    """The URL of a database with lash's tables; it takes the place of the empty one."""
    return postgres_urls()


@pytest.fixture
async def database(url: str) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(url)
    await database.connect()
    yield database
    await database.close()


class Held:
    """A script that has done its first step and commits when it is told to."""

    def __init__(self, database: PostgresDatabase, step: Callable[[Tx], Coroutine[Any, Any, object]]) -> None:
        self._may_end = asyncio.Event()
        self._has_begun = asyncio.Event()

        async def script(tx: Tx) -> None:
            await step(tx)
            self._has_begun.set()
            await self._may_end.wait()

        self._run = asyncio.create_task(database._engine.run(script))

    async def begun(self) -> None:
        begun = asyncio.create_task(self._has_begun.wait())
        await asyncio.wait([begun, self._run], return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            begun.cancel()
            await self._run  # says why it did not begin

    async def end(self) -> None:
        self._may_end.set()
        await self._run


async def check_waits(observer: Observer, held: Held, other: Coroutine[Any, Any, Any]) -> Any:
    """Check that something waits for a held script, let that one end, and return what the other gives."""
    await held.begun()
    waiting = asyncio.create_task(other)
    async with asyncio.timeout(90):
        while not observer.value(WAITING):
            assert not waiting.done()
            await asyncio.sleep(0.005)
    assert not waiting.done()
    await held.end()
    return await waiting


async def test_a_reader_of_changes_waits_for_a_change_that_has_its_number(
    database: PostgresDatabase, observer: Observer
) -> None:
    async def numbered_first(tx: Tx) -> None:
        await tx.fetch_one(int, process_rows.ADD_PROCESS, "first", tx.now_ms, "", 1)

    async def changes(tx: Tx) -> list[str]:
        rows = await tx.fetch_all(process_rows.ProcessRow, process_rows.CHANGED_PROCESSES, 0, 9)
        return [row.process_id for row in rows]

    held = Held(database, numbered_first)
    await held.begun()
    await database.process_registry.register_process(ProcessRegistration(id="second", input=ExternalInput()))
    assert await check_waits(observer, held, database._engine.read(changes)) == ["first", "second"]


async def test_a_sweep_of_blobs_waits_for_a_commit_that_brings_one(
    database: PostgresDatabase, observer: Observer
) -> None:
    async def bringing(tx: Tx) -> None:
        await tx.write_counted(commits.ADD_BLOB, "ref", b"x")

    report = await check_waits(
        observer, Held(database, bringing), database.runtime_persistence().gc_unreachable()
    )
    assert report.deleted_blob_count == 1  # it was seen: nothing refers to it


async def test_deleting_bytes_waits_for_who_relies_on_them(
    database: PostgresDatabase, observer: Observer
) -> None:
    async def relying(tx: Tx) -> None:
        assert await tx.fetch_one(int, attachments.FIND_ATTACHMENT, ref.id) == 1

    await database.session_catalog.admit_session("s", agent="a")
    ref = await database.attachment_store.put(b"shared", AttachmentCreateMeta(media_type="text/plain"))
    await database.runtime_persistence().record_intent(
        AttachmentIntent(attachment_id=ref.id, session_id="s", canonical_uri="x:y", intent_at_ms=1)
    )
    deletion = await check_waits(
        observer, Held(database, relying), database.session_catalog.delete_session("s")
    )
    assert deletion.attachment_count == 1


async def test_settling_a_turn_waits_for_an_outcome_that_is_being_recorded(
    database: PostgresDatabase, observer: Observer
) -> None:
    scope = EffectScope.turn("s", "t")
    identity = EffectIdentity(
        scope=scope,
        replay_key="k",
        envelope_hash="h",
        kind=RuntimeEffectKind.TOOL_CALL,
        effect_id="e",
        label="",
    )
    await database.session_catalog.admit_session("s", agent="a")
    await database.effect_journal.start_effects([identity])
    sid = observer.value("SELECT sid FROM session")

    async def recording(tx: Tx) -> None:
        (rows,) = await tx.read(effect_rows.effects_at([effect_rows.effect_key(identity)]))
        await tx.write_counted(effect_rows.PUT_OUTCOME, rows[0].effect_seq, None, b"outcome")

    async def settle() -> None:
        async def script(tx: Tx) -> None:
            open_lines = (sid, effect_rows.scope_hash(scope), scope.turn_id)
            await tx.write(commits.DROP_OUTCOMES, *open_lines)
            await tx.write(commits.SETTLE_EFFECTS, *open_lines)

        await database._engine.run(script)

    await check_waits(observer, Held(database, recording), settle())
    assert observer.rows("SELECT settled FROM effect") == [(1,)]
    assert observer.rows("SELECT outcome FROM effect_outcome") == []
    result = EffectResult(state=EffectState.DONE, outcome=b"late")
    await database.effect_journal.record_effects([(identity, result)])
    assert observer.rows("SELECT outcome FROM effect_outcome") == []


async def test_pruners_share_the_work_instead_of_waiting_for_each_other(
    database: PostgresDatabase, observer: Observer
) -> None:
    store = database.runtime_persistence("s")
    for number in range(6):
        batch = await store.enqueue_queued_work(
            QueuedWorkBatchDraft(
                session_id="s",
                delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
                slot_policy=SlotPolicy.EXCLUSIVE,
                payloads=(TurnInputPayload(input=TurnInput.text(str(number))),),
            )
        )
        assert await store.cancel_queued_work_batch("s", batch.batch_id)

    async def taking_four(tx: Tx) -> None:
        assert await retention.prune(tx, retention.BATCHES, 2**60, 4) == 4

    held = Held(database, taking_four)
    await held.begun()
    assert await database.turn_ingress.prune_settled_work(settled_before_ms=2**60, limit=4) == 2
    assert observer.value("SELECT count(*) FROM queue") == 4  # the first pruner has not committed yet
    await held.end()
    assert observer.value("SELECT count(*) FROM queue") == 0
