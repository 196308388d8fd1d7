"""A process is killed (SIGKILL) between the bytes of an attachment and the commit that needs them, or at the bytes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import lash
from lash.backends.files import FileAttachmentStore
from lash.testing import ScriptedModel

WRITER = Path(__file__).with_name("writer.py")
EVER = 2**62


def killed(tmp_path: Path, job: str, *, after: int) -> list[str]:
    """Run the writer, kill it once it has acknowledged so much, and return all that it has."""
    command = [sys.executable, str(WRITER), str(tmp_path / "agent.db"), str(tmp_path / "attachments"), job]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(after)]
        process.kill()
        said += process.stdout.readlines()
    return [line.strip() for line in said if line.endswith("\n")]


@pytest.mark.kill
async def test_a_kill_between_bytes_and_commit_leaves_bytes_that_the_next_turn_commits_to(
    tmp_path: Path,
) -> None:
    (attachment_id,) = killed(tmp_path, "attach_and_wait", after=1)
    store = FileAttachmentStore(tmp_path / "attachments")
    assert (await store.get(attachment_id)).data == b"abc"
    agent = lash.Agent("helper", model=ScriptedModel(["seen"]))
    async with lash.open(str(tmp_path / "agent.db"), agent, attachments=store) as runtime:
        rows = runtime.database.runtime_persistence("s")
        assert [row.attachment_id for row in await rows.list_uncommitted(EVER)] == [attachment_id]
        session = await runtime.session("s", agent)
        ref = await session.attach(b"abc", "text/plain")
        assert ref.id == attachment_id
        assert (await session.turn(["look", ref])).text == "seen"
        assert await rows.list_uncommitted(EVER) == []
    assert await store.list_ids() == [attachment_id]


@pytest.mark.kill
@pytest.mark.parametrize("after", [1, 4, 9])
async def test_a_kill_at_the_bytes_leaves_whole_attachments_and_something_to_sweep_at_most(
    tmp_path: Path, after: int
) -> None:
    acknowledged = killed(tmp_path, "attach_for_ever", after=after)
    store = FileAttachmentStore(tmp_path / "attachments")
    stored = await store.list_ids()
    assert set(acknowledged) <= set(stored), "what was acknowledged is there"
    for attachment_id in stored:
        assert hashlib.sha256((await store.get(attachment_id)).data).hexdigest() == attachment_id
    assert await store.sweep() <= 1
    assert list((store.folder / "writing").iterdir()) == []
    assert await store.list_ids() == stored
