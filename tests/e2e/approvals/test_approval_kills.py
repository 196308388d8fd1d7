"""A turn that waits for a person is killed at each boundary, and finished by the next process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.kill.scenario import Books

from .scenario import COST

pytestmark = [pytest.mark.kill, pytest.mark.xdist_group("kill")]


class Forks:
    """Runs operating-system processes of the scenario: forks of one that has everything imported."""

    def __init__(self, scenario: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.e2e.approvals.{scenario}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )

    def run(self, folder: Path, target: str | None = None, log: Path | None = None) -> int:
        """Run one process to its end; return its exit status, negative for a signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"folder": str(folder), "target": target, "log": None if log is None else str(log)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["status"])

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def forks(request: pytest.FixtureRequest) -> Iterator[Forks]:
    forks = Forks(request.param)
    yield forks
    forks.close()


def boundaries(forks: Forks, folder: Path, *, commits: int = 1) -> list[str]:
    """Return the boundaries of the turn's own work, in order; reads of what waits may differ in number."""
    folder.mkdir()
    log = folder / "boundaries.txt"
    assert forks.run(folder, log=log) == 0
    names = log.read_text().split()
    first = names.index(f"accept_turn:before#{commits}")
    last = max(i for i, name in enumerate(names) if name.startswith("commit_runtime_state:after"))
    looks = ("list_waits", "find_turn", "list_ready", "release_dead", "next_deadline", "resolve_due", "renew")
    return [name for name in names[first : last + 1] if not name.startswith(looks)]


@pytest.mark.parametrize("forks", ["scenario"], indirect=True)
def test_every_kill_ends_in_one_payment_or_in_telling_that_nobody_knows(forks: Forks, tmp_path: Path) -> None:
    names = boundaries(forks, tmp_path / "dry")
    killed, unknown = 0, 0
    for name in names:
        folder = tmp_path / re.sub(r"\W", "-", name)
        folder.mkdir()
        status = forks.run(folder, target=name)
        if status == 0:
            continue  # the order of what nobody waits for may differ from run to run
        assert status == -signal.SIGKILL, name
        killed += 1
        assert forks.run(folder) == 0, name
        unknown += check(folder, name)
    assert killed >= 20
    assert unknown >= 1


def check(folder: Path, name: str) -> bool:
    """Hold the finished turn to what lash promises; return whether nobody knows of the payment."""
    report = json.loads((folder / "report.json").read_text())
    paid = [key for what, key in Books(folder).read() if what == "pay"]
    is_unknown = "unknown" in report["states"]
    assert len(paid) <= 1, f"{name}: paid {len(paid)} times"
    assert report["stop"] is None, name
    assert report["revision"] == 1, name
    assert report["usage"] == [2 * COST.total], name
    assert report["approvals"] == [["approved", "eve"]], name
    assert report["plugins"] == {"Rounds": {"calls": 2}}, name
    if is_unknown:
        assert "Nobody knows" in report["text"], name
    else:
        assert paid == ["10"], name
        assert report["text"] == "100 | paid 10", name
    return is_unknown


@pytest.mark.parametrize("forks", ["frames"], indirect=True)
def test_every_kill_of_a_turn_with_frames_ends_in_the_same_frames(forks: Forks, tmp_path: Path) -> None:
    names = boundaries(forks, tmp_path / "dry", commits=2)
    killed = 0
    for name in names:
        folder = tmp_path / re.sub(r"\W", "-", name)
        folder.mkdir()
        status = forks.run(folder, target=name)
        if status == 0:
            continue  # the order of what nobody waits for may differ from run to run
        assert status == -signal.SIGKILL, name
        killed += 1
        assert forks.run(folder) == 0, name
        check_frames(folder, name)
    assert killed >= 20


def check_frames(folder: Path, name: str) -> None:
    """Hold the finished turn to what lash promises."""
    report = json.loads((folder / "report.json").read_text())
    paid = [key for what, key in Books(folder).read() if what == "pay"]
    is_unknown = "unknown" in report["states"]
    assert len(paid) <= 1, f"{name}: paid {len(paid)} times"
    assert is_unknown or paid == ["10"], name
    assert report["text"].startswith("pay 10 | "), name
    assert ("Nobody knows" if is_unknown else "paid 10") in report["text"], name
    assert report["frames"] == ["initial", "compaction", "continue_as"], name
    assert (report["stop"], report["revision"]) == (None, 2), name
    assert report["usage"] == {"turn": 4 * COST.total, "compaction": COST.total}, name
    assert report["messages"] == 2 + 1 + 3 + 4, name
