"""The matrix: which cases catch which mutant."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lash.testing.conformance import Report, all_cases, run_case

from .mutant import DEPTH, LARGE, Mutant, changed, value

BAD_INPUT = "lash.testing.conformance.cases.bad_input"
MATRIX = Path(__file__).with_name("matrix.txt")


def run_mutant(mutant: Mutant) -> Report:
    """Run every case on a mutant, all at once: each has a database of its own, and many of them wait.

    Large input is less large here than in the kit's own runs, which every backend of lash's goes through: what
    is to be shown is that the cases see a difference, three hundred times over.
    """
    with (
        mutant.applied(),
        changed(f"{BAD_INPUT}:BIG", value("x" * LARGE)),
        changed(f"{BAD_INPUT}:DEPTH", value(DEPTH)),
    ):
        return asyncio.run(_run_all(mutant))


async def _run_all(mutant: Mutant) -> Report:
    source = mutant.source()
    return Report(tuple(await asyncio.gather(*(run_case(case, source) for case in all_cases()))))


def caught_by(report: Report) -> list[str]:
    """Return the cases that a mutant failed, by assertion or otherwise."""
    return sorted(result.case.name for result in report.results if result.is_failure)


def recorded_matrix() -> dict[str, list[str]]:
    """Return the matrix as it is held: a line a mutant, its name, a colon, and the cases that catch it."""
    lines = (line.partition(": ") for line in MATRIX.read_text().splitlines() if line)
    return {name: cases.split() for name, _, cases in lines}
