"""The matrix: which cases catch which mutant."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

from lash.testing.conformance import Report, all_cases, run_case

from .mutant import DEPTH, LARGE, Mutant, changed, value

KIT = "lash.testing.conformance"
SMALLER = {
    f"{KIT}.cases.bad_input:BIG": "x" * LARGE,
    f"{KIT}.cases.bad_input:DEPTH": DEPTH,
    f"{KIT}.expectations:WAIT_S": 10.0,
    f"{KIT}.runner:CASE_LIMIT_S": 40.0,
}
MATRIX = Path(__file__).with_name("matrix.txt")


def run_mutant(mutant: Mutant) -> Report:
    """Run every case on a mutant, all at once: each has a database of its own, and many of them wait.

    Large input is less large here than in the kit's own runs, which every backend of lash's goes through: what
    is to be shown is that the cases see a difference, three hundred times over. For the same reason they do not
    wait as long for what never comes.
    """
    with ExitStack() as stack:
        stack.enter_context(mutant.applied())
        for path, smaller in SMALLER.items():
            stack.enter_context(changed(path, value(smaller)))
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
