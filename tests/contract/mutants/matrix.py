"""The matrix: which cases catch which mutant."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lash.testing.conformance import Case, Outcome, Report, all_cases, run_cases

from .mutant import Mutant

MATRIX = Path(__file__).with_name("matrix.txt")


def run_mutant(mutant: Mutant, cases: tuple[Case, ...] | None = None) -> Report:
    """Run every case on a mutant."""
    with mutant.applied():
        return asyncio.run(run_cases(cases or all_cases(), mutant.source()))


def caught_by(report: Report) -> list[str]:
    """Return the cases that a mutant failed, by assertion or otherwise."""
    return sorted(result.case.name for result in report.results if result.outcome is not Outcome.PASSED)


def recorded_matrix() -> dict[str, list[str]]:
    """Return the matrix as it is held: a line a mutant, its name, a colon, and the cases that catch it."""
    lines = (line.partition(": ") for line in MATRIX.read_text().splitlines() if line)
    return {name: cases.split() for name, _, cases in lines}
