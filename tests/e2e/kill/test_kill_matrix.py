"""The kill matrix: a turn with three tools is killed at each boundary and finished by the next process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .scenario import COST, DONE, UNKNOWN, Books, recorded_answers

pytestmark = [pytest.mark.kill, pytest.mark.xdist_group("kill")]

MESSAGES = ["user", "assistant", "tool", "tool", "assistant", "tool", "assistant"]


class Forks:
    """Runs operating-system processes of the scenario: forks of one that has everything imported."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.kill.scenario"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )

    def run(self, folder: Path, target: str | None = None, log: Path | None = None) -> int:
        """Run one process to its end; return its exit status, negative for a signal."""
        return int(self._ask(folder, target, log, wait=True)["status"])

    def _ask(self, folder: Path, target: str | None, log: Path | None, *, wait: bool) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "folder": str(folder),
            "target": target,
            "log": None if log is None else str(log),
            "out": str(folder / "report.json"),
            "wait": wait,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.close()


@dataclass(frozen=True)
class Ending:
    """How one killed turn ended, for the report."""

    boundary: str
    unknown: bool
    replayed_models: int


def boundaries(forks: Forks, folder: Path) -> list[str]:
    """Return every boundary that the turn passes when nobody kills it, in order."""
    folder.mkdir()
    log = folder / "boundaries.txt"
    assert forks.run(folder, log=log) == 0
    names = log.read_text().split()
    first = next(i for i, name in enumerate(names) if name.startswith("accept_turn:before"))
    last = max(i for i, name in enumerate(names) if name.startswith("commit_runtime_state:after"))
    return names[first : last + 1]


def chosen(names: list[str]) -> list[str]:
    """Return the boundaries to kill at: all of them, but only each second of the log's many page writes."""
    writes = [name for name in names if ".write:" in name]
    return [name for name in names if ".write:" not in name] + writes[::2]


def test_every_kill_ends_in_the_same_answer(forks: Forks, tmp_path: Path) -> None:
    names = chosen(boundaries(forks, tmp_path / "dry"))
    endings: list[Ending] = []
    not_reached: list[str] = []
    for name in names:
        folder = tmp_path / re.sub(r"\W", "-", name)
        folder.mkdir()
        status = forks.run(folder, target=name)
        if status == 0:
            not_reached.append(name)  # the order of writes that nobody waits for may differ from run to run
            continue
        assert status == -signal.SIGKILL, name
        recorded = asyncio.run(recorded_answers(folder)) if (folder / "agent.db").exists() else 0
        asked_before = answers_asked(folder)
        assert forks.run(folder) == 0, name
        endings.append(check(folder, name, recorded, asked_before))
    report("kill matrix", endings, not_reached)
    assert len(endings) >= 60
    assert any(ending.unknown for ending in endings)
    assert any(ending.replayed_models for ending in endings)


def test_two_processes_that_contend_for_the_recovery_agree(tmp_path: Path, forks: Forks) -> None:
    names = [name for name in boundaries(forks, tmp_path / "dry") if ".write:" not in name]
    endings = []
    for name in names[::3]:
        folder = tmp_path / re.sub(r"\W", "-", name)
        folder.mkdir()
        if forks.run(folder, target=name) == 0:
            continue
        recorded = asyncio.run(recorded_answers(folder)) if (folder / "agent.db").exists() else 0
        asked_before = answers_asked(folder)
        contend(folder)
        endings.append(check(folder, name, recorded, asked_before))
    report("kill matrix with contending recoveries", endings, [])
    assert len(endings) >= 10


def contend(folder: Path) -> None:
    """Let two processes finish the turn at the same time; both must report the same."""
    reports = [folder / f"report-{n}.json" for n in (1, 2)]
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.kill.scenario"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        for _ in reports
    ]
    for child, report in zip(children, reports, strict=True):
        assert child.stdin is not None
        order = {"folder": str(folder), "target": None, "log": None, "out": str(report)}
        child.stdin.write(json.dumps(order) + "\n")
        child.stdin.flush()
    for child in children:
        answer, _ = child.communicate(timeout=120)
        assert json.loads(answer)["status"] == 0
    first, second = (json.loads(report.read_text()) for report in reports)
    assert (first["text"], first["revision"]) == (second["text"], second["revision"])
    reports[0].rename(folder / "report.json")


def answers_asked(folder: Path) -> Counter[str]:
    return Counter(key for what, key in Books(folder).read() if what == "model")


def check(folder: Path, name: str, recorded: int, asked_before: Counter[str]) -> Ending:
    """Hold the finished turn to everything that lash promises about it."""
    report = json.loads((folder / "report.json").read_text())
    books = Books(folder).read()
    charges = [key for what, key in books if what == "charge"]
    deposits = [key for what, key in books if what == "deposit"]
    unknown = "unknown" in report["states"]
    assert report["text"] == (UNKNOWN if unknown else DONE), name
    assert report["stop"] is None, name
    assert len(charges) <= 1, f"{name}: an at-most-once tool ran {len(charges)} times"
    assert unknown or len(charges) == 1, name
    assert len(set(deposits)) == 1, f"{name}: the idempotent tool was called under {set(deposits)}"
    asked = answers_asked(folder)
    for number in range(1, recorded + 1):
        before = asked_before[f"answer {number}"]
        assert asked[f"answer {number}"] == before, f"{name}: answer {number} was recorded and paid again"
    assert report["revision"] == 1, f"{name}: {report['revision']} commits"
    assert report["usage"] == [3 * COST.total], name
    assert report["messages"] == MESSAGES, name
    assert report["queued"] == 0, name
    assert not report["leased"], name
    assert report["unsettled"] == 0, name
    return Ending(name, unknown, recorded)


def report(title: str, endings: list[Ending], not_reached: list[str]) -> None:
    """List every kill point, for `make test` to print."""
    lines = [f"{title}: {len(endings)} kill points, each finished by the next process"]
    for ending in endings:
        note = "outcome unknown, told to the model" if ending.unknown else "same answer"
        lines.append(f"  {ending.boundary:40} {note}; {ending.replayed_models} model answers replayed")
    if not_reached:
        lines.append(f"  not reached in their run: {', '.join(not_reached)}")
    text = "\n".join(lines) + "\n"
    print(text)
    folder = os.environ.get("LASH_REPORTS")
    if folder:
        (Path(folder) / f"{title.replace(' ', '-')}.txt").write_text(text)
