"""The matrix: one uncut run, then one run for each boundary that it passed, each killed there and finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lash.agents import Agent
from lash.errors import LashError
from lash.values import Json

_HERE = "lash.testing.crash_matrix.subject"
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashRun:
    """One turn that was killed at a boundary and finished by the next process.

    Attributes:
        boundary: Where the first process died; empty for the run that nobody killed.
        report: What the process that finished it saw: `text`, `stop`, `output`, `roles`, `unknown`, and so on.
        books: What really happened, in all processes together: `("tool" or "model", name, key)`.
    """

    boundary: str
    report: dict[str, Json]
    books: tuple[tuple[str, str, str], ...]

    @property
    def text(self) -> str:
        return str(self.report["text"])

    @property
    def unknown(self) -> list[str]:
        """The tools of which nobody knows whether they ran; the model was told so."""
        found = self.report["unknown"]
        return [str(name) for name in found] if isinstance(found, list) else []

    def runs_of(self, tool: str) -> int:
        """How often a tool was really run."""
        return sum(what == "tool" and name == tool for what, name, _ in self.books)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashMatrix:
    """All runs of one turn.

    Attributes:
        uncut: The run that nobody killed.
        cut: A run for each boundary, in the order in which they are passed.
        unreached: Boundaries that the uncut run passed and three others did not: writes that run behind are
            put together as time allows, so their number differs from run to run.
        effects: What each tool of the agent declares to be.
    """

    uncut: CrashRun
    cut: tuple[CrashRun, ...]
    unreached: tuple[str, ...]
    effects: dict[str, str]

    def check(self, *further: Callable[[CrashRun], None]) -> CrashMatrix:
        """Hold every run to what lash promises, and to `further` checks, which raise AssertionError.

        Each turn is committed once and leaves nothing leased or queued. A tool that runs at most once ran at
        most once; what is idempotent was repeated under one key. Where no outcome is unknown, the history and
        the answer are those of the uncut run, and so are the tokens that were counted.

        Raises:
            AssertionError: naming each boundary at which something does not hold, and what.
        """
        problems: list[str] = []
        for run in (self.uncut, *self.cut):
            for check in (self._promised, *further):
                try:
                    check(run)
                except AssertionError as problem:
                    problems.append(f"{run.boundary or 'uncut'}: {problem}")
        if problems:
            raise AssertionError("\n".join([f"{len(problems)} of the runs broke a promise:", *problems]))
        return self

    def table(self) -> str:
        """Return a line for each boundary: how the turn that was killed there ended."""
        return "\n".join(
            f"{run.boundary:<44} "
            + (f"outcome unknown: {', '.join(run.unknown)}" if run.unknown else "same answer")
            + f"; {run.report['replayed']} effects replayed"
            for run in self.cut
        )

    def _promised(self, run: CrashRun) -> None:
        report, whole = run.report, self.uncut.report
        assert report["committed_turns"] == 1, f"committed {report['committed_turns']} times"
        assert report["leased"] is False, "the session is still leased"
        assert report["queued"] == 0, f"{report['queued']} inputs still wait"
        for tool, effect in self.effects.items():
            keys = Counter(key for what, name, key in run.books if what == "tool" and name == tool)
            if effect == "at_most_once":
                expected = self.uncut.runs_of(tool)
                assert run.runs_of(tool) <= expected, f"{tool} ran {run.runs_of(tool)} times, not {expected}"
            if effect == "idempotent" and not run.unknown:
                known = {key for what, name, key in self.uncut.books if what == "tool" and name == tool}
                assert set(keys) <= known, (
                    f"{tool} was repeated under other keys: {sorted(set(keys) - known)}"
                )
        if not run.unknown:
            for fact in ("text", "stop", "output", "roles", "counted_tokens"):
                assert report[fact] == whole[fact], f"{fact} is {report[fact]!r}, uncut it is {whole[fact]!r}"


def run_crash_matrix(
    make_agent: Callable[..., Agent], prompt: str, folder: Path, *, skip: Sequence[str] = ()
) -> CrashMatrix:
    """Kill a turn at every boundary and finish it, in operating-system processes.

    Args:
        make_agent: A function at the top level of a module that makes the agent: with a parameter, it is
            given a folder of its own for each turn. The model must answer alike in every process: a
            `ScriptedModel(…, by_request=True)`, or one that is a function of the request.
        prompt: The turn's input.
        folder: Where databases and notes go; a folder for each boundary.
        skip: Prefixes of boundaries at which not to kill.

    Raises:
        LashError: `invalid_argument` for a function that another process cannot find.
        AssertionError: when the uncut turn does not end, or a killed one is not finished.
    """
    name, module = make_agent.__qualname__, make_agent.__module__
    code = getattr(make_agent, "__code__", None)
    if "<locals>" in name or code is None:
        raise LashError(
            "invalid_argument",
            f"{name} must be a plain function at the top level of its module: other processes import it",
        )
    server = _Server(module, code.co_filename, name, prompt)
    try:
        uncut = _run(server, folder / "uncut", None)
        passed = (folder / "uncut" / "boundaries.txt").read_text().split("\n")
        targets = [target for target in passed if target and not target.startswith(tuple(skip))]
        runs = {
            target: _cut_run(server, folder / f"{number:03}", target)
            for number, target in enumerate(targets, start=1)
        }
    finally:
        server.close()
    agent = _declared(make_agent, folder)
    return CrashMatrix(
        uncut=uncut,
        cut=tuple(run for run in runs.values() if run is not None),
        unreached=tuple(target for target, run in runs.items() if run is None),
        effects={tool.name: tool.effect for tool in agent.tools},
    )


def _declared(make_agent: Callable[..., Agent], folder: Path) -> Agent:
    from lash.testing.crash_matrix.subject import made_agent

    place = folder / "declared"
    place.mkdir(parents=True, exist_ok=True)
    return made_agent(make_agent, place)


def _cut_run(server: _Server, folder: Path, target: str) -> CrashRun | None:
    """Return the run that was killed at a boundary, or None if it is not reached."""
    for attempt in range(1, _TRIES + 1):
        place = folder / f"try-{attempt}"
        place.mkdir(parents=True)
        status = server.order(place, target)
        if status == -signal.SIGKILL:
            return _run(server, place, target)
        assert status == 0, f"{target}: the process was to be killed there, and ended with {status}"
    return None


def _run(server: _Server, folder: Path, target: str | None) -> CrashRun:
    """Return the run that a process finished, after another one was killed at `target`."""
    folder.mkdir(parents=True, exist_ok=True)
    status = server.order(folder, None)
    assert status == 0, f"{target or 'uncut'}: the process that finishes the turn ended with {status}"
    report = json.loads((folder / "report.json").read_text())
    assert "error" not in report, f"{target or 'uncut'}: {report.get('error')}"
    lines = (folder / "books.jsonl").read_text().splitlines() if (folder / "books.jsonl").exists() else []
    return CrashRun(
        boundary=target or "", report=report, books=tuple(tuple(json.loads(line)) for line in lines)
    )


class _Server:
    """The process that forks the others."""

    def __init__(self, module: str, file: str, name: str, prompt: str) -> None:
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", _HERE, module, file, name, prompt],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def order(self, folder: Path, target: str | None) -> int:
        """Run one process to its end and return its exit status, negative for a signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order: dict[str, Any] = {"folder": str(folder), "target": target}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that imports the agent has ended; its errors are above"
        return int(json.loads(answer)["status"])

    def close(self) -> None:
        """End it."""
        self._process.communicate()
