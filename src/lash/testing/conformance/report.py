"""How a run went, case by case, and how that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from lash.testing.conformance.case import Case
from lash.values import Json

SEED_CASE_COUNT = 67


class Outcome(StrEnum):
    """How one case ended."""

    PASSED = "passed"
    FAILED = "FAILED"  # the subject does not keep the claim
    BROKE = "BROKE"  # the subject crashed: it raised what no contract foresees
    NOT_OFFERED = "NOT OFFERED"  # the backend does not have the contract, or lacks what the case needs


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """How one case ended, and why."""

    case: Case
    outcome: Outcome
    reason: str = ""
    error: Exception | None = None
    is_declared: bool = False  # not offered, as the backend or the factory says itself

    @property
    def is_failure(self) -> bool:
        if self.outcome is Outcome.NOT_OFFERED:
            return not self.is_declared
        return self.outcome is not Outcome.PASSED


class ConformanceFailed(ExceptionGroup[Exception], AssertionError):
    """Cases failed. The message names each; the group holds their errors, each with its case as a note."""

    @classmethod
    def of(cls, failures: Sequence[CaseResult], case_count: int) -> Self:
        """Return the error for these failures, of `case_count` cases that ran."""
        lines = [f"  {result.case.name}: {result.reason}" for result in failures]
        errors = []
        for result in failures:
            error = result.error or AssertionError(result.reason)
            error.add_note(f"conformance case {result.case.name}: {result.case.claim}")
            errors.append(error)
        return cls("\n".join([f"{len(failures)} of {case_count} conformance cases failed", *lines]), errors)

    def derive(self, excs: Sequence[Exception]) -> ConformanceFailed:  # type: ignore[override]
        # narrower than the base class on purpose: parts of this group are groups of the same kind
        return ConformanceFailed(self.message, excs)


@dataclass(frozen=True)
class Report:
    """How every case of a run ended."""

    results: tuple[CaseResult, ...]

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        return tuple(result for result in self.results if result.is_failure)

    @property
    def not_offered(self) -> tuple[CaseResult, ...]:
        return tuple(result for result in self.results if result.outcome is Outcome.NOT_OFFERED)

    @property
    def passed(self) -> tuple[CaseResult, ...]:
        return tuple(result for result in self.results if result.outcome is Outcome.PASSED)

    @property
    def is_ok(self) -> bool:
        """Whether every case passed, but for those of contracts that are declared as not offered."""
        return not self.failures

    def check(self) -> None:
        """Raise unless the report is ok.

        Raises:
            ConformanceFailed: naming every failing case.
        """
        if self.failures:
            raise ConformanceFailed.of(self.failures, len(self.results))

    def lines(self) -> list[str]:
        """Return the report as text: a line a case, the reasons, the counts, and a last line that sums up."""
        rows = [
            (str(result.case.contract), result.case.name, " ".join(result.case.rules), str(result.outcome))
            for result in self.results
        ]
        widths = [max((len(row[at]) for row in rows), default=0) for at in range(3)]
        table = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
            for row in rows
        ]
        reasons = [
            f"{result.outcome}: {result.case.name}: {result.reason}"
            for result in self.results
            if result.outcome is not Outcome.PASSED
        ]
        return [*table, *([""] if reasons else []), *reasons, "", self.seed_line(), self.summary()]

    def seed_line(self) -> str:
        """Return how many of the seed's cases passed."""
        count = sum(result.case.is_seed for result in self.passed)
        return f"{count} of {SEED_CASE_COUNT} seed cases"

    def summary(self) -> str:
        """Return the counts in one line."""
        failed = sum(result.outcome in (Outcome.FAILED, Outcome.BROKE) for result in self.results)
        counts = f"{len(self.passed)} passed, {failed} failed, {len(self.not_offered)} not offered"
        return f"conformance: {'ok' if self.is_ok else 'NOT OK'}: {counts}"

    def plain(self) -> Json:
        """Return the report as JSON."""
        return {
            "cases": [
                {
                    "name": result.case.name,
                    "contract": result.case.contract,
                    "rules": list(result.case.rules),
                    "seed": result.case.is_seed,
                    "outcome": result.outcome.name.lower(),
                    "reason": result.reason,
                }
                for result in self.results
            ],
            "seed_cases_passed": sum(result.case.is_seed for result in self.passed),
            "seed_cases": SEED_CASE_COUNT,
            "passed": len(self.passed),
            "failed": len(self.failures),
            "not_offered": len(self.not_offered),
            "ok": self.is_ok,
        }
