"""The public corpus: every case passes, except those whose behaviour was changed on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lashlang import console
from lashlang.corpus import mismatch, read_cases, run_case

CORPUS = Path(__file__).parents[2] / "data" / "lashlang_public.jsonl"
CASES = read_cases(CORPUS)

CHANGED = {
    "unicode_escape_is_not_special": "`\\u0041` is an escape",
    "single_quotes_rejected": "single quotes make strings",
    "big_integer_literal_is_double": "integers are exact to 64 bits",
    "exponent_is_not_part_of_number": "`1e3` is a number",
    "semicolon_does_not_end_expression": "`;` ends a statement",
    "ternary_lookahead_crosses_statements": "`?` written against its operand unwraps",
    "newline_does_not_end_expression": "a newline ends a statement",
    "index_on_next_line_attaches": "a newline ends a statement",
    "bare_submit_then_statement": "a newline ends a bare `submit`",
    "list_comprehension": "there are comprehensions",
    "finish_outside_process": "`finish` ends the foreground too",
    "unknown_builtin": "`upper` exists",
}
"""Cases of `quirk.*` that the language deliberately decides otherwise (docs/language-changes.md)."""


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_case_has_the_outcome_that_it_expects(case: dict[str, Any]) -> None:
    reason = mismatch(case, run_case(case))
    if case["name"] in CHANGED:
        assert case["area"].startswith("quirk.")
        assert reason is not None, "this quirk is back: take it off the list"
    else:
        assert reason is None


def test_corpus_command_prints_each_failing_name_and_last_the_totals() -> None:
    output = console.run_corpus(CORPUS)
    lines = output.stdout.splitlines()
    assert output.status == 1
    assert set(lines[:-1]) == set(CHANGED)
    assert {line.partition(":")[0] for line in output.stderr.splitlines()} == set(CHANGED)
    assert lines[-1] == f"{len(CASES) - len(CHANGED)} passed, {len(CHANGED)} failed"


def test_corpus_that_is_no_corpus_is_a_usage_error(tmp_path: Path) -> None:
    broken = tmp_path / "cases.jsonl"
    broken.write_text('{"name": "x"}\n')
    output = console.run_corpus(broken)
    assert (output.status, output.stdout) == (2, "")
    assert "corpus_invalid" in output.stderr
    assert console.run_corpus(tmp_path / "missing.jsonl").status == 2
