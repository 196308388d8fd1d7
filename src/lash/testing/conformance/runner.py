"""Runs cases, each on a fresh subject, and never stops at the first failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from lash.testing.conformance.case import Case, Feature
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.opening import Address
from lash.testing.conformance.report import CaseResult, Outcome, Report
from lash.testing.conformance.trial import Damage, Declared, Trial

CASE_LIMIT_S = 60.0
LONG_CASE_LIMIT_S = 120.0  # for cases that start processes, on a machine that has other things to do


async def _nothing() -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Why there is no subject for a case, and whether the backend said so itself."""

    reason: str
    is_declared: bool = False


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A fresh subject, ready to be used."""

    subject: Any  # each contract has a subject of its own
    reopened: Any = None
    declared: Declared = field(default_factory=Declared)
    address: Address | None = None
    damage: Damage | None = None
    close: Callable[[], Awaitable[None]] = _nothing


class Source(Protocol):
    """Makes the subjects of a run."""

    @property
    def features(self) -> frozenset[Feature]:
        """What every subject of this source comes with."""
        ...

    async def missing(self, case: Case) -> Missing | None:
        """Return why the source has no subject for a case, or None when it has one."""
        ...

    async def open(self, case: Case, clock: KitClock) -> Opened:
        """Return a fresh subject for a case."""
        ...


async def run_cases(cases: Iterable[Case], source: Source) -> Report:
    """Run cases one after the other and report how each ended."""
    return Report(tuple([await run_case(case, source) for case in cases]))


async def run_case(case: Case, source: Source) -> CaseResult:
    """Run one case and report how it ended; whatever the subject raises ends up in the result."""
    lacking = sorted(case.needs - source.features)
    if lacking:
        return CaseResult(
            case=case,
            outcome=Outcome.NOT_OFFERED,
            reason=f"the factory comes without: {', '.join(lacking)}",
            is_declared=True,
        )
    try:
        async with asyncio.timeout(_limit_s(case)):
            lack = await source.missing(case)
            if lack is not None:
                return CaseResult(
                    case=case,
                    outcome=Outcome.NOT_OFFERED,
                    reason=lack.reason,
                    is_declared=lack.is_declared,
                )
            await _try(case, source)
    except Exception as error:  # noqa: BLE001  # one case's failure is a result, never the end of the run
        return _failure(case, error)
    return CaseResult(case=case, outcome=Outcome.PASSED)


async def _try(case: Case, source: Source) -> None:
    clock = KitClock()
    opened = await source.open(case, clock)
    trial: Trial[Any] = Trial(
        subject=opened.subject,
        reopened=opened.reopened,
        clock=clock,
        declared=opened.declared,
        moves_time=Feature.CLOCK in source.features,
        address=opened.address,
        damaging=opened.damage,
    )
    try:
        await case.body(trial)
    finally:
        await trial.stop()
        await opened.close()


def _limit_s(case: Case) -> float:
    starts_processes = not case.needs.isdisjoint({Feature.PROCESSES, Feature.CRASHES})
    return LONG_CASE_LIMIT_S if starts_processes else CASE_LIMIT_S


def _failure(case: Case, error: Exception) -> CaseResult:
    """A claim that does not hold, a refusal of what the contract grants and a hang are failures of the
    subject; anything else that it raises is a crash.
    """
    if isinstance(error, AssertionError):
        return CaseResult(case=case, outcome=Outcome.FAILED, reason=str(error), error=error)
    if isinstance(error, TimeoutError):
        return _failure_as(case, f"did not end within {_limit_s(case):g} s", error)
    if isinstance(getattr(error, "code", None), str):
        return _failure_as(case, f"refused what the contract grants: {error}", error)
    return CaseResult(
        case=case, outcome=Outcome.BROKE, reason=f"raised {type(error).__name__}: {error}", error=error
    )


def _failure_as(case: Case, reason: str, cause: Exception) -> CaseResult:
    failed = AssertionError(reason)
    failed.__cause__ = cause
    return CaseResult(case=case, outcome=Outcome.FAILED, reason=reason, error=failed)
