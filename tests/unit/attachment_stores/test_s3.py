"""`S3AttachmentStore`: races between writers, servers that refuse, buckets that are not there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import obstore
import obstore.store
import pytest

from lash.backends.s3 import S3AttachmentStore
from lash.errors import LashError
from lash.values import AttachmentCreateMeta

TEXT = AttachmentCreateMeta(media_type="text/plain")
NOBODY = "a" * 64


async def test_of_writers_at_once_the_last_ones_meta_is_whole(
    s3_server: Any, s3_place: Callable[[], str]
) -> None:
    place = s3_place()
    stores = [S3AttachmentStore(place, **s3_server.options) for _ in range(4)]
    puts = (store.put(b"x", TEXT.replace(label=f"l{at}")) for at, store in enumerate(stores))
    refs = await asyncio.gather(*puts)
    assert len({ref.id for ref in refs}) == 1
    assert (await stores[0].get(refs[0].id)).meta in refs
    assert await stores[0].list_ids() == [refs[0].id]


async def test_deleting_tells_whether_there_was_anything(s3_server: Any, s3_place: Callable[[], str]) -> None:
    store = S3AttachmentStore(s3_place(), **s3_server.options)
    ref = await store.put(b"x", TEXT)
    assert [await store.delete(ref.id), await store.delete(ref.id)] == [True, False]
    assert await store.list_ids() == []


async def test_a_bucket_that_is_not_there_is_no_missing_attachment(s3_server: Any) -> None:
    store = S3AttachmentStore("s3://no-such-bucket/attachments", **s3_server.options)
    for operation in (store.get(NOBODY), store.put(b"x", TEXT), store.list_ids()):
        with pytest.raises(LashError) as refused:
            await operation
        assert refused.value.code == "attachment_io"
        assert "no-such-bucket" in refused.value.message


async def test_a_server_that_is_not_there_may_come_back() -> None:
    store = S3AttachmentStore(
        "s3://bucket",
        endpoint="http://127.0.0.1:1",  # nobody listens on it
        region="us-east-1",
        access_key_id="lash",
        secret_access_key="lash",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    with pytest.raises(LashError) as refused:
        await store.put(b"x", TEXT)
    assert (refused.value.code, refused.value.retryable) == ("attachment_io", True)


async def test_an_object_that_was_damaged_is_reported() -> None:
    objects = obstore.store.MemoryStore()
    store = S3AttachmentStore(objects)
    ref = await store.put(b"abc", TEXT)
    key = f"ba/{ref.id}"
    stored = bytes(await (await obstore.get_async(objects, key)).bytes_async())
    await obstore.put_async(objects, key, stored[:-1] + b"!")
    with pytest.raises(LashError) as refused:
        await store.get(ref.id)
    assert refused.value.code == "stored_data_corrupt"
    await store.put(b"abc", TEXT)
    assert (await store.get(ref.id)).data == b"abc"


def test_other_schemes_are_refused() -> None:
    with pytest.raises(LashError) as refused:
        S3AttachmentStore("gs://bucket")
    assert refused.value.code == "invalid_argument"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(LashError) as refused:
        S3AttachmentStore("s3://bucket")
    assert (refused.value.code, refused.value.facts["extra"]) == ("extra_missing", "s3")
