"""What lash adds to pytest: the conformance kit, one test a case, and `agent_crash_matrix`.

    pytest --pyargs lash.testing.conformance --lash-backend my_package:factory

Loaded by every pytest run on a machine that has lash, so it imports nothing of the kit before it is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lash.agents import Agent
    from lash.testing.conformance import Case, CaseResult, DatabaseSource
    from lash.testing.crash_matrix import CrashMatrix

_CASES_FOLDER = Path(__file__).parent / "conformance" / "cases"
_SOURCE = pytest.StashKey["DatabaseSource"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--lash-backend`."""
    group = parser.getgroup("lash", "lash: conformance of backends")
    group.addoption(
        "--lash-backend",
        metavar="MODULE:FACTORY",
        help="what to run the cases of lash.testing.conformance on: an async factory that takes the kit's clock "
        "and returns a fresh database (or Reopenable(open, reopen)); memory: and sqlite:///PATH work too",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a module of cases, when the kit itself is what pytest was pointed at."""
    if file_path.suffix != ".py" or file_path.parent != _CASES_FOLDER or file_path.name == "__init__.py":
        return None
    if _SOURCE not in parent.config.stash:
        parent.config.stash[_SOURCE] = _source(parent.config.getoption("--lash-backend"))
    file: CaseFile = CaseFile.from_parent(parent, path=file_path)
    return file


def _source(backend: str | None) -> DatabaseSource:
    from lash.errors import LashError
    from lash.testing.conformance import source_for

    if backend is None:
        raise pytest.UsageError("give --lash-backend MODULE:FACTORY to run the conformance cases on")
    try:
        return source_for(backend)
    except LashError as refused:
        raise pytest.UsageError(str(refused)) from refused


class CaseFile(pytest.File):
    """A module of cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """Return an item for each case of the module."""
        from lash.testing.conformance import all_cases

        module = f"lash.testing.conformance.cases.{self.path.stem}"
        for case in all_cases():
            if case.module == module:
                item: CaseItem = CaseItem.from_parent(self, name=case.name, case=case)
                yield item


class CaseItem(pytest.Item):
    """One case on the backend that `--lash-backend` names."""

    def __init__(self, *, case: Case, **options: Any) -> None:  # what pytest passes on to its own
        super().__init__(**options)
        self.case = case

    def runtest(self) -> None:
        """Run the case on a fresh database."""
        from lash.testing.conformance import Outcome, run_case

        result = asyncio.run(run_case(self.case, self.config.stash[_SOURCE]))
        if result.is_failure:
            raise CaseFailed(result) from result.error
        if result.outcome is Outcome.NOT_OFFERED:
            pytest.skip(f"NOT OFFERED: {result.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the claim and why it does not hold; the whole traceback only where the subject crashed."""
        error = excinfo.value
        if isinstance(error, CaseFailed) and not error.is_crash:
            return str(error)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the case stands and what it is called."""
        return self.path, None, self.name


class CaseFailed(AssertionError):
    """A case did not pass."""

    def __init__(self, result: CaseResult) -> None:
        super().__init__(f"{result.case.claim}\n{result.outcome}: {result.reason}")
        self.is_crash = result.outcome.name == "BROKE"


@pytest.fixture
def agent_crash_matrix(tmp_path: Path) -> Callable[..., CrashMatrix]:
    """Kill an agent's turn at every boundary, in real processes, and finish it: `run(make_agent, prompt)`.

    See `lash.testing.crash_matrix.run_crash_matrix`; `.check()` what it returns.
    """
    from lash.testing.crash_matrix import run_crash_matrix

    def run(make_agent: Callable[..., Agent], prompt: str, *, skip: Sequence[str] = ()) -> CrashMatrix:
        matrix = run_crash_matrix(make_agent, prompt, tmp_path / "crash-matrix", skip=skip)
        print(matrix.table())
        return matrix

    return run
