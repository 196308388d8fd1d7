"""Attachment stores outside the database keep every case of theirs, one port alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import obstore.store
import pytest

from lash.backends.files import FileAttachmentStore
from lash.backends.s3 import S3AttachmentStore
from lash.testing import conformance as kit
from lash.values import AttachmentStorePersistence

Pair = Callable[[], kit.Reopenable[Any]]


@pytest.fixture(params=["files", "object store in memory", "object store in files", "s3 server"])
def pairs(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    numbers = count()

    def files() -> kit.Reopenable[Any]:
        folder = tmp_path / str(next(numbers))
        return kit.Reopenable(FileAttachmentStore(folder), FileAttachmentStore(folder))

    def memory() -> kit.Reopenable[Any]:
        objects = obstore.store.MemoryStore()
        return kit.Reopenable(S3AttachmentStore(objects), S3AttachmentStore(objects))

    def local() -> kit.Reopenable[Any]:
        objects = obstore.store.LocalStore(str(tmp_path / str(next(numbers))), mkdir=True)
        return kit.Reopenable(*(S3AttachmentStore(objects, conditional=False) for _ in range(2)))

    def server() -> kit.Reopenable[Any]:
        place, running = request.getfixturevalue("s3_place")(), request.getfixturevalue("s3_server")
        return kit.Reopenable(*(S3AttachmentStore(place, **running.options) for _ in range(2)))

    made: Pair = {
        "files": files,
        "object store in memory": memory,
        "object store in files": local,
        "s3 server": server,
    }[request.param]
    return made


async def test_the_store_keeps_every_case(pairs: Pair) -> None:
    report = await kit.attachment_store_reopenable(pairs, AttachmentStorePersistence.DURABLE)
    assert len(report.passed) == len(kit.cases_of(kit.Contract.ATTACHMENT_STORE))
