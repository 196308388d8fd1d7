"""The kit on lash's own backends: one test a case."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash.testing.conformance import (
    SEED_CASE_COUNT,
    Case,
    Outcome,
    all_cases,
    run_case,
    source_for,
)

CASES = all_cases()


@pytest.mark.parametrize("backend", ["memory:", "sqlite:///{path}/kit.db"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_the_backend_keeps_the_case(case: Case, backend: str, tmp_path: Path) -> None:
    result = await run_case(case, source_for(backend.format(path=tmp_path)))
    assert result.outcome is Outcome.PASSED, result.reason
    assert list(tmp_path.iterdir()) == [], "a throw-away database is gone with its case"


def test_the_seed_has_all_its_cases() -> None:
    assert sum(case.is_seed for case in CASES) == SEED_CASE_COUNT == 67


def test_rules_that_a_store_can_be_held_to_have_cases() -> None:
    shown = {rule for case in CASES for rule in case.rules}
    # need a damaged store, R-50 and R-51 a worker: no black box can show them.
    wanted = {f"R-{number}" for number in range(1, 53)} - {"R-19", "R-30", "R-50", "R-51"}
    assert wanted - shown == set()
