"""The pages in docs/guarantees say what the kit's reports say.

`test_kit` holds every case on SQLite and PostgreSQL to passing, and on memory to passing or to saying that it ends
with its process. The pages are made from these reports: `python -m tests.contract.test_kit_guarantees` does.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lash.cli.main import main
from lash.testing.conformance import (
    CaseResult,
    Outcome,
    Report,
    all_cases,
    guarantees_page,
    run_cases,
    source_for,
)

PAGES = Path(__file__).parents[2] / "docs" / "guarantees"
CASES = all_cases()


def all_passed() -> Report:
    return Report(tuple(CaseResult(case=case, outcome=Outcome.PASSED) for case in CASES))


def page_of(backend: str) -> str:
    report = all_passed()
    if backend == "memory":
        report = asyncio.run(run_cases(CASES, source_for("memory:")))
    return guarantees_page(report, backend)


@pytest.mark.parametrize("backend", ["memory", "sqlite", "postgres"])
def test_the_page_says_what_the_kit_says(backend: str) -> None:
    page = (PAGES / f"{backend}.md").read_text(encoding="utf-8")
    assert page == page_of(backend), "run: python -m tests.contract.test_kit_guarantees"


def test_the_page_names_every_case_of_the_backend() -> None:
    page = guarantees_page(all_passed(), "x")
    assert [case.name for case in CASES if case.contract != "lash" and f"`{case.name}`" not in page] == []


def test_every_question_is_answered_by_cases_that_there_are() -> None:
    page = guarantees_page(all_passed(), "x")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "?" in line]
    assert len(rows) == 11
    assert all("| yes | `" in row for row in rows)


def test_what_was_not_shown_is_not_promised() -> None:
    lost = "what_was_acknowledged_survives_a_kill"
    results = tuple(
        CaseResult(case=case, outcome=Outcome.FAILED, reason="it was gone\nall of it")
        if case.name == lost
        else CaseResult(case=case, outcome=Outcome.PASSED)
        for case in CASES
    )
    page = guarantees_page(Report(results), "x")
    (row,) = [line for line in page.splitlines() if line.startswith("| Is what was acknowledged")]
    assert "**not kept**" in row
    assert "FAILED: it was gone." in page
    assert f"`{lost}`)" not in page.partition("## Running effects")[2].replace(f"| `{lost}`", "")


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    assert main(["conformance", "--backend", "memory:", "--guarantees", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == page_of("memory")
    assert main(["conformance", "--backend", "memory:", "--guarantees", str(page), "--case", "x"]) == 1
    assert "conformance_case_unknown" in capsys.readouterr().err


if __name__ == "__main__":
    for name in ("memory", "sqlite", "postgres"):
        (PAGES / f"{name}.md").write_text(page_of(name), encoding="utf-8")
