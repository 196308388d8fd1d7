"""Lash beside LangGraph, DBOS and the OpenAI Agents SDK: `make bench-peers` (`ARGS=--long` for longer histories).

Five questions, each put to each system in a process of its own: what a turn costs as the history grows, how fast
durable steps are, what a crash inside a tool call repeats, what the import weighs, and how fast the programs of a
model run (beside pydantic-monty and smolagents). Every table has the raw
baseline of its own run; only ratios and counts are worth comparing between machines. The peers are driven through
their documented interfaces at their durable settings, which the `with_*` modules name; the models are scripts of
each system's own kind, so that nothing here talks to a network.

This process imports nothing heavy: the memory of a child counts from what its parent had.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import tempfile
from pathlib import Path

from peers import fsyncs
from peers.children import ChildFailedError, run
from peers.systems import CHARGERS, LANGUAGES, STEPPERS, TALKERS, WEIGHED
from reporting import Report

SIZES = (10, 100, 300)
# LangGraph's file grows by megabytes a turn there, to some ten gigabytes by the end.
LONG_SIZES = (*SIZES, 1_000)
# Whatever the user has set: no peer reports its runs to anybody from here.
QUIET = {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
SECTIONS = ("weight", "crash", "steps", "turns", "languages")
SHOWN = ("langgraph", "langgraph-checkpoint-sqlite", "openai-agents", "dbos", *LANGUAGES, "lash-runtime")


class Comparison:
    """Runs the children one after the other, and keeps what they say."""

    def __init__(self, report: Report, folder: Path, limit_s: float) -> None:
        self._report = report
        self._folder = folder
        self._limit_s = limit_s
        counting = fsyncs.built(folder)
        self._environment = QUIET | counting
        if not counting:
            report.row("fsyncs NOT COUNTED: that needs Linux and a C compiler")

    def measure(self, module: str, label: str, *arguments: str, killed: bool = False) -> bool:
        """Run one child and return whether it ended as it should; when not, say why."""
        try:
            run(
                module,
                label,
                *arguments,
                environment=self._environment,
                limit_s=self._limit_s,
                row=self._row,
                killed=killed,
            )
        except ChildFailedError as failed:
            self._report.row(f"{label}: {module} NOT RUN: {failed}")
            return False
        return True

    def turns(self, sizes: tuple[int, ...]) -> None:
        """Grow the histories, the same for everybody."""
        for label in TALKERS:
            with self._scratch() as folder:
                self.measure("histories", label, folder, ",".join(map(str, sizes)))

    def steps(self) -> None:
        for label in STEPPERS:
            with self._scratch() as folder:
                self.measure("stepping", label, folder)

    def weight(self) -> None:
        for label in WEIGHED:
            self.measure("weight", label)

    def languages(self) -> None:
        """Run the same programs in lashlang and in each other language."""
        for label in LANGUAGES:
            self.measure("languages", label)

    def crash(self) -> None:
        """Let each toy agent die inside its tool, then let a second process recover it."""
        for label in CHARGERS:
            with self._scratch() as folder:
                if self.measure("crash", label, folder, "trap", killed=True):
                    self.measure("crash", label, folder, "recover")

    def _row(self, label: str, figures: dict[str, float]) -> None:
        self._report.row(label, **figures)

    def _scratch(self) -> tempfile.TemporaryDirectory[str]:
        """Return a folder that is gone afterwards: some of these files are large."""
        return tempfile.TemporaryDirectory(dir=self._folder)


def installed() -> str:
    """Return what is measured, with versions."""
    found = []
    for name in SHOWN:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--long",
        action="store_true",
        help="histories of 1,000 turns too (an hour and 10 GB of scratch space)",
    )
    parser.add_argument("--only", choices=SECTIONS, action="append", help="only this question")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="for each system, else it is stopped")
    options = parser.parse_args()
    asked = options.only or SECTIONS
    report = Report("-".join(["peers", *(options.only or ())]))  # a part does not replace the whole
    report.row(f"{installed()}; {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        comparison = Comparison(report, Path(folder), options.limit or (3_600 if options.long else 120))
        if "weight" in asked:
            comparison.weight()
        if "crash" in asked:
            comparison.crash()
        if "steps" in asked:
            comparison.steps()
        if "turns" in asked:
            comparison.turns(LONG_SIZES if options.long else SIZES)
        if "languages" in asked:
            comparison.languages()
    report.finish()


if __name__ == "__main__":
    main()
