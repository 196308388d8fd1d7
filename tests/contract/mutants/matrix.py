"""The matrix: which cases catch which mutant."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lash.testing.conformance import Outcome, Report, all_cases, run_case

from .mutant import Mutant

MATRIX = Path(__file__).with_name("matrix.txt")


def run_mutant(mutant: Mutant) -> Report:
    """Run every case on a mutant, all at once: each has a database of its own, and many of them wait."""
    with mutant.applied():
        return asyncio.run(_run_all(mutant))


async def _run_all(mutant: Mutant) -> Report:
    source = mutant.source()
    return Report(tuple(await asyncio.gather(*(run_case(case, source) for case in all_cases()))))


def caught_by(report: Report) -> list[str]:
    """Return the cases that a mutant failed, by assertion or otherwise."""
    return sorted(result.case.name for result in report.results if result.outcome is not Outcome.PASSED)


def recorded_matrix() -> dict[str, list[str]]:
    """Return the matrix as it is held: a line a mutant, its name, a colon, and the cases that catch it."""
    lines = (line.partition(": ") for line in MATRIX.read_text().splitlines() if line)
    return {name: cases.split() for name, _, cases in lines}
