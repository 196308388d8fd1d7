"""A program that waits in its loop for a person outlives the processes that ran it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(folder: Path, mode: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.e2e.code_mode.shop", str(folder / "a.db"), str(folder / "books"), mode],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )


def test_a_suspended_program_is_finished_by_other_processes_without_a_second_call(tmp_path: Path) -> None:
    first = run(tmp_path, "die")
    assert first.returncode == -signal.SIGKILL, first.stderr
    assert (tmp_path / "books").read_text().split() == ["0", "1", "2"]
    second = run(tmp_path, "approve")
    assert second.returncode == -signal.SIGKILL, second.stderr
    third = run(tmp_path, "finish")
    assert third.returncode == 0, third.stderr
    told = json.loads(third.stdout)
    assert told["output"] == [f"ordered {n}" for n in range(5)]
    assert told["told"] == 5
    assert (tmp_path / "books").read_text().split() == ["0", "1", "2", "3", "4"]
    assert not [key for key in told["replayed"] if key.endswith((":p3.0", ":p3.1", ":p3.2"))]
