"""The kit proves itself: every mutant is failed by exactly the cases that the matrix names, by assertion."""

from __future__ import annotations

import pytest

from lash.testing.conformance import Feature, Outcome, all_cases

from .mutants import MUTANTS
from .mutants.matrix import caught_by, recorded_matrix, run_mutant


def test_every_case_has_a_mutant_that_it_fails() -> None:
    aimed_at = {mutant.aims_at for mutant in MUTANTS.values()}
    caught = {case for cases in recorded_matrix().values() for case in cases}
    # Memory ends with its process; what proves the cases with processes is in test_kit_processes.
    cases = {case.name for case in all_cases() if Feature.PROCESSES not in case.needs}
    assert cases - caught == set(), "cases that nothing proves"
    assert aimed_at - cases == set(), "mutants that are aimed at no case"


def test_the_matrix_has_a_line_for_every_mutant_and_no_other() -> None:
    assert list(recorded_matrix()) == list(MUTANTS)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_fails_its_cases_and_no_others(name: str) -> None:
    mutant = MUTANTS[name]
    report = run_mutant(mutant)
    caught = caught_by(report)
    print(f"{name}: {' '.join(caught)}")  # the matrix, with -rP
    assert mutant.aims_at in caught
    assert caught == recorded_matrix()[name]
    by_assertion = {r.case.name for r in report.results if r.outcome is Outcome.FAILED}
    assert by_assertion == set(caught), "a mutant is failed by assertion, never by a crash"


def test_the_backend_without_a_mutation_passes_everything() -> None:
    from .mutants.mutant import Mutant

    assert caught_by(run_mutant(Mutant(name="none", aims_at=""))) == []
