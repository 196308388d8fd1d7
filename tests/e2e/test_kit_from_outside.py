"""Somebody else's project tests its backend with the kit: through pytest's entry point, with nothing set up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FACTORY = """
from lash.backends.memory import MemoryDatabase
from lash.testing.conformance import Reopenable


class MyDatabase(MemoryDatabase):
    not_offered = ("attachment_store",)
    attachment_store = None

    def __init__(self, clock):
        super().__init__(clock=clock)
        del self.attachment_store


async def factory(clock):
    return MyDatabase(clock)
"""
OWN_TEST = """
from lash.testing import conformance
from my_backend import MyDatabase


async def persistence():
    report = await conformance.runtime_persistence(lambda clock: MyDatabase(clock).runtime_persistence())
    assert report.passed and report.is_ok


def test_my_persistence():
    import asyncio

    asyncio.run(persistence())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "my_backend.py").write_text(FACTORY)
    (tmp_path / "test_mine.py").write_text(OWN_TEST)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return tmp_path


def run_pytest(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in the project, with whatever plugins are installed, as its user would."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LASH_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_option_is_there_without_naming_the_plugin(project: Path) -> None:
    run = run_pytest(project, "--pyargs", "lash.testing.conformance", "--lash-backend", "my_backend:factory")
    assert run.returncode == 0, run.stdout[-2_000:]
    last = run.stdout.splitlines()[-1]
    assert " passed" in last
    assert " skipped" in last
    assert "failed" not in last
    assert "NOT OFFERED: the backend declares that it does not offer attachment_store" in run.stdout


def test_one_case_can_be_asked_for(project: Path) -> None:
    case = "refused_commits_leave_no_stamp"
    backend = ("--lash-backend", "my_backend:factory")
    run = run_pytest(project, "--pyargs", "lash.testing.conformance", *backend, "-k", case)
    assert run.returncode == 0, run.stdout[-2_000:]
    assert run.stdout.splitlines()[-1].startswith("1 passed, ")


def test_a_url_is_a_backend_too(project: Path) -> None:
    url = f"sqlite:///{project}/kit.db"
    run = run_pytest(
        project, "--pyargs", "lash.testing.conformance", "--lash-backend", url, "-k", "attachment"
    )
    assert run.returncode == 0, run.stdout[-2_000:]
    assert list(project.glob("kit*")) == []


def test_the_projects_own_tests_call_the_suites(project: Path) -> None:
    run = run_pytest(project, "test_mine.py")
    assert run.returncode == 0, run.stdout[-2_000:]
    assert run.stdout.splitlines()[-1].startswith("1 passed")
