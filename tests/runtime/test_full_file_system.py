"""A file system that is full, for real: a small tmpfs, where mounting is allowed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import lash
from lash.testing import ScriptedModel


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"NOT RUN: mounting a tmpfs is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_full_file_system_is_named_and_nothing_that_was_answered_is_lost(small_disk: Path) -> None:
    url = str(small_disk / "agent.db")
    agent = lash.Agent("a", model=ScriptedModel(lambda request: "x" * 200_000))
    done: list[str] = []
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        with pytest.raises(lash.LashError) as caught:
            for number in range(100):
                await session.turn(f"turn {number}", turn_id=f"t{number}")
                done.append(f"turn {number}")
        assert caught.value.code == "store_full"
        assert caught.value.retryable
        assert str(small_disk) in str(caught.value)
    assert 1 <= len(done) < 100
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        # The turn that met the full disk may have been accepted; it is finished once there is room.
        failed = await session.turn(f"turn {len(done)}", turn_id=f"t{len(done)}")
        assert failed.stop is None
        asked = [message.text for message in await session.history() if message.role == "user"]
        assert asked == [*done, f"turn {len(done)}"]
