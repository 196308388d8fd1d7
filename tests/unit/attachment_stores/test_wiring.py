"""Attachments that a database keeps elsewhere: the rows stay in it, the bytes go there and are deleted there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import lash
from lash.backends import open_database
from lash.backends.files import FileAttachmentStore
from lash.backends.memory import InMemoryAttachmentStore
from lash.errors import LashError
from lash.testing import ScriptedModel
from lash.values import AttachmentCreateMeta, AttachmentIntent

TEXT = AttachmentCreateMeta(media_type="text/plain")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        make: Callable[[], str] = request.getfixturevalue("postgres_urls")
        return make()
    return "memory:" if request.param == "memory" else str(tmp_path / "agent.db")


async def test_a_deleted_session_takes_the_bytes_along_that_nobody_else_names(
    url: str, tmp_path: Path
) -> None:
    store = FileAttachmentStore(tmp_path / "attachments")
    database = open_database(url, attachments=store)
    await database.connect()
    try:
        refs = {name: await store.put(name.encode(), TEXT) for name in ("mine", "shared", "theirs")}
        for session_id, names in (("one", ("mine", "shared")), ("two", ("shared", "theirs"))):
            await database.session_catalog.admit_session(session_id, agent="helper")
            for name in names:
                intent = AttachmentIntent(
                    attachment_id=refs[name].id, session_id=session_id, canonical_uri="", intent_at_ms=1
                )
                await database.runtime_persistence(session_id).record_intent(intent)
        deletion = await database.session_catalog.delete_session("one")
        assert deletion.attachment_count == 1
        assert deletion.orphaned_attachment_ids == (refs["mine"].id,)
        assert await store.list_ids() == sorted(refs[name].id for name in ("shared", "theirs"))
        assert await database.session_catalog.find_session("two") is not None
    finally:
        await database.close()


class Interrupted(FileAttachmentStore):
    """A store at which another session stores the same bytes in the moment before they are deleted."""

    async def delete(self, attachment_id: str) -> bool:
        await self.before_delete()
        return await super().delete(attachment_id)

    async def before_delete(self) -> None: ...


async def test_bytes_that_another_session_comes_to_name_meanwhile_stay(url: str, tmp_path: Path) -> None:
    store = Interrupted(tmp_path / "attachments")
    database = open_database(url, attachments=store)
    await database.connect()
    ref = await store.put(b"abc", TEXT)

    async def name(session_id: str) -> None:
        intent = AttachmentIntent(
            attachment_id=ref.id, session_id=session_id, canonical_uri="", intent_at_ms=1
        )
        await database.runtime_persistence(session_id).record_intent(intent)

    async def another_session_comes() -> None:
        await name("two")
        assert await store.put(b"abc", TEXT) == ref

    store.before_delete = another_session_comes  # type: ignore[method-assign]  # it happens in between
    try:
        for session_id in ("one", "two"):
            await database.session_catalog.admit_session(session_id, agent="helper")
        await name("one")
        deletion = await database.session_catalog.delete_session("one")
        assert deletion.attachment_count == 0
        assert (await store.get(ref.id)).data == b"abc"
    finally:
        await database.close()


async def test_a_runtime_keeps_attachments_where_it_is_told(tmp_path: Path) -> None:
    store = FileAttachmentStore(tmp_path / "attachments")
    agent = lash.Agent("helper", model=ScriptedModel(["a fine picture"]))
    async with lash.open(str(tmp_path / "agent.db"), agent, attachments=store) as runtime:
        session = await runtime.session("s", agent)
        ref = await session.attach(b"abc", "text/plain")
        result = await session.turn(["look at this", ref])
        assert result.text == "a fine picture"
        assert (await session.attachment(ref.id)).data == b"abc"
        assert await store.list_ids() == [ref.id]
        assert await runtime.database.runtime_persistence("s").list_uncommitted(2**62) == []


def test_a_store_that_forgets_is_refused_beside_a_durable_database(tmp_path: Path) -> None:
    with pytest.raises(LashError) as refused:
        lash.open(str(tmp_path / "agent.db"), attachments=InMemoryAttachmentStore())
    assert refused.value.code == "durable_store_required:attachment_store"
