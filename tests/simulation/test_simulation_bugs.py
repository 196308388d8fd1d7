"""The simulation finds what is planted: a check that cannot fail, or a fault that never comes, would show here."""

from __future__ import annotations

import pytest

from lash.testing.simulation import BUGS, simulate

ENOUGH = 100  # the promise is 500; see docs/simulation.md for the seed that finds each


def test_there_are_at_least_twelve_planted_bugs() -> None:
    assert len(BUGS) >= 12


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_planted_bug_is_found(name: str) -> None:
    bug = BUGS[name]
    found = next((seed for seed in range(ENOUGH) if simulate(seed, bug=bug).problems), None)
    assert found is not None, f"{name}: not found by the seeds 0..{ENOUGH}"


@pytest.mark.parametrize("name", sorted(BUGS))
def test_the_seed_that_finds_a_bug_finds_nothing_without_it(name: str) -> None:
    bug = BUGS[name]
    seed = next(seed for seed in range(ENOUGH) if simulate(seed, bug=bug).problems)
    assert simulate(seed, workloads=bug.workloads).problems == ()
