"""`FileAttachmentStore`: what is on the disk, what is not served, what is swept."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path

import pytest

from lash.backends.files import FileAttachmentStore
from lash.errors import LashError
from lash.values import AttachmentCreateMeta

TEXT = AttachmentCreateMeta(media_type="text/plain", label="note")
DATA = b"what was put"


@pytest.fixture
def store(tmp_path: Path) -> FileAttachmentStore:
    return FileAttachmentStore(tmp_path / "attachments")


def files_of(store: FileAttachmentStore) -> list[Path]:
    return sorted(path for path in store.folder.rglob("*") if path.is_file())


async def test_an_attachment_is_one_file_under_its_digest(store: FileAttachmentStore) -> None:
    assert not store.folder.exists()
    # sha256(b"") and sha256(b"abc"), as FIPS 180-4 and every sha256sum give them
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert [(await store.put(data, TEXT)).id for data in (b"", b"abc")] == [empty, abc]
    assert files_of(store) == [store.folder / "ba" / abc, store.folder / "e3" / empty]
    assert await store.list_ids() == [abc, empty]
    assert (store.folder / "ba" / abc).read_bytes().endswith(b"\nabc")


async def test_an_empty_folder_has_no_ids(store: FileAttachmentStore) -> None:
    assert await store.list_ids() == []
    assert await store.sweep() == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda stored: stored[:-1],
        lambda stored: stored + b"!",
        lambda stored: stored[:-1] + b"!",
        lambda stored: b"",
        lambda stored: stored[:20],
        lambda stored: stored.replace(b"text/plain", b"text/pl4in"),
        lambda stored: stored.replace(b"lash-attachment-1", b"lash-attachment-9"),
        lambda stored: stored.replace(b'"ref_hash":"', b'"ref_hash":'),
    ],
    ids=[
        "shorter",
        "longer",
        "changed",
        "empty",
        "half a heading",
        "other meta",
        "other version",
        "no heading",
    ],
)
async def test_what_was_damaged_is_reported_and_mended_by_putting_it_again(
    store: FileAttachmentStore, damage: object
) -> None:
    assert callable(damage)
    ref = await store.put(DATA, TEXT)
    (path,) = files_of(store)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(LashError) as refused:
        await store.get(ref.id)
    assert refused.value.code == "stored_data_corrupt"
    assert ref.id in refused.value.message
    assert str(store.folder) in refused.value.message
    await store.put(DATA, TEXT)
    assert (await store.get(ref.id)).data == DATA


async def test_a_file_under_another_digest_is_not_served(store: FileAttachmentStore) -> None:
    one, two = await store.put(b"one", TEXT), await store.put(b"two", TEXT)
    place = {path.name: path for path in files_of(store)}
    place[two.id].write_bytes(place[one.id].read_bytes())
    with pytest.raises(LashError) as refused:
        await store.get(two.id)
    assert refused.value.code == "stored_data_corrupt"


async def test_a_link_in_the_place_of_a_file_is_not_followed(
    store: FileAttachmentStore, tmp_path: Path
) -> None:
    ref = await store.put(DATA, TEXT)
    (path,) = files_of(store)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LashError) as refused:
        await store.get(ref.id)
    assert refused.value.code == "attachment_io"


async def test_equal_bytes_are_not_written_again(store: FileAttachmentStore) -> None:
    await store.put(DATA, TEXT)
    (path,) = files_of(store)
    inode = path.stat().st_ino
    await store.put(DATA, TEXT)
    assert path.stat().st_ino == inode
    await store.put(DATA, TEXT.replace(label="another"))
    assert path.stat().st_ino != inode


async def test_deleting_tells_whether_there_was_anything(store: FileAttachmentStore) -> None:
    ref = await store.put(DATA, TEXT)
    assert await store.delete(ref.id) is True
    assert await store.delete(ref.id) is False
    with pytest.raises(LashError) as refused:
        await store.get(ref.id)
    assert refused.value.code == "attachment_not_found"
    with pytest.raises(LashError) as refused:
        await store.delete("../" + ref.id)
    assert refused.value.code == "attachment_not_found"


async def test_a_sweep_takes_what_the_dead_left_and_nothing_of_the_living(store: FileAttachmentStore) -> None:
    ref = await store.put(DATA, TEXT)
    writing = store.folder / "writing"
    (writing / "dead").write_bytes(b"half")
    with (writing / "alive").open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        assert await store.sweep() == 1
        assert [path.name for path in writing.iterdir()] == ["alive"]
    assert await FileAttachmentStore(store.folder).sweep() == 1
    assert await store.list_ids() == [ref.id]


async def test_the_first_put_of_a_store_sweeps(store: FileAttachmentStore) -> None:
    await store.put(b"other", TEXT)
    left_over = store.folder / "writing" / "dead"
    left_over.write_bytes(b"half")
    await store.put(DATA, TEXT)
    assert left_over.exists(), "a store sweeps once"
    await FileAttachmentStore(store.folder).put(b"third", TEXT)
    assert not left_over.exists()


async def test_writers_and_sweeps_at_once_lose_nothing(store: FileAttachmentStore) -> None:
    others = [FileAttachmentStore(store.folder) for _ in range(4)]
    bodies = [bytes([index]) * 10_000 for index in range(40)]
    puts = (others[index % 4].put(body, TEXT) for index, body in enumerate(bodies))
    refs, _ = await asyncio.gather(asyncio.gather(*puts), asyncio.gather(*(store.sweep() for _ in range(40))))
    assert [(await store.get(ref.id)).data for ref in refs] == bodies
    assert list((store.folder / "writing").iterdir()) == []


async def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FileAttachmentStore(tmp_path / "file" / "attachments")
    with pytest.raises(LashError) as refused:
        await store.put(DATA, TEXT)
    assert (refused.value.code, refused.value.retryable) == ("attachment_io", False)
    assert str(store.folder) in refused.value.message


async def test_meta_that_is_no_text_is_refused(store: FileAttachmentStore) -> None:
    with pytest.raises(LashError) as refused:
        await store.put(DATA, TEXT.replace(label="\ud800"))
    assert refused.value.code == "json_not_representable"
    assert not store.folder.exists()
