"""`lash conformance` and the pytest front end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lash.cli.main import main
from lash.testing.conformance import Feature, all_cases

FACTORY = """
from lash.backends.memory import MemoryDatabase
from lash.testing.conformance import Contract

async def factory(clock):
    return MemoryDatabase(clock=clock)

class Forgetful(MemoryDatabase):
    not_offered = (Contract.TURN_INGRESS,)
    turn_ingress = None

    def __init__(self, **options):
        super().__init__(**options)
        del self.turn_ingress
        waits = self.durable_waits
        async def drop_waits(scope_key):
            return 0
        waits.drop_waits = drop_waits

def forgetful(clock):
    return Forgetful(clock=clock)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"kit_backend_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The front end as a user starts it, in a process of its own and without this project's settings."""
    command = [sys.executable, "-m", "pytest", "-p", "lash.testing.pytest_plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--pyargs", "lash.testing.conformance", *arguments],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_memory_passes_with_the_seeds_count_and_a_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--backend", "memory:"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "67 of 67 seed cases" in lines[-5:]
    offered = {case.name for case in all_cases() if Feature.PROCESSES not in case.needs}
    others = len(all_cases()) - len(offered)
    assert lines[-1] == f"conformance: ok: {len(offered)} passed, 0 failed, {others} not offered"
    assert {line.split()[1] for line in lines if line.endswith(" passed")} == offered


def test_sqlite_databases_are_made_beside_the_path_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/kit.db"
    assert main(["conformance", "--backend", url, "--case", "attachment_store_survives_reopen"]) == 0
    assert "1 passed" in capsys.readouterr().out.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["file", "folder"])
def test_what_holds_something_is_refused(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.db"
    if content == "file":
        path.write_bytes(b"precious")
    else:
        path.mkdir()
    assert main(["conformance", "--backend", str(path)]) == 1
    assert "conformance_database_not_empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_backend_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--backend", "nowhere:factory"]) == 1
    assert "conformance_backend_unknown" in capsys.readouterr().err


def test_an_unknown_case_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--backend", "memory:", "--case", "no_such_case"]) == 1
    assert "conformance_case_unknown" in capsys.readouterr().err


def test_a_wrong_backend_fails_and_what_it_declines_is_shown(
    package: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conformance", "--backend", f"{package}:forgetful"]) == 1
    text = capsys.readouterr().out
    assert "FAILED: waits_are_dropped_with_their_scope: the waits dropped: expected 1, got 0" in text
    assert (
        "NOT OFFERED: one_driver_has_a_session: the backend declares that it does not offer turn_ingress"
        in text
    )
    assert text.splitlines()[-1].startswith("conformance: NOT OK: ")


def test_json_is_one_object(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = "waits_are_dropped_with_their_scope"
    assert main(["conformance", "--backend", f"{package}:forgetful", "--case", case, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    (result,) = report["cases"]
    assert (result["name"], result["outcome"], result["contract"]) == (case, "failed", "durable_waits")


def test_the_list_names_every_case_with_its_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for case, line in zip(all_cases(), lines, strict=False):
        assert case.name in line
        assert line.endswith(case.claim)


def test_pytest_shows_one_test_a_case(package: str, tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "--lash-backend", f"{package}:factory", "-q")
    assert run.returncode == 0, run.stdout
    missing = {Feature.PROCESSES, Feature.DAMAGE}  # the factory is in-process, and damages nothing
    offered = sum(case.needs.isdisjoint(missing) for case in all_cases())
    assert f"{offered} passed, {len(all_cases()) - offered} skipped" in run.stdout


def test_pytest_names_what_fails_and_what_is_not_offered(package: str, tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "--lash-backend", f"{package}:forgetful", "-q", "-rfs")
    assert run.returncode == 1, run.stdout
    assert "waits.py::waits_are_dropped_with_their_scope" in run.stdout
    assert "the waits dropped: expected 1, got 0" in run.stdout
    assert "NOT OFFERED: the backend declares that it does not offer turn_ingress" in run.stdout
    assert "1 failed" in run.stdout


def test_pytest_wants_a_backend(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "-q")
    assert run.returncode != 0
    assert "give --lash-backend" in run.stdout + run.stderr


def test_the_plugin_costs_nothing_until_it_is_asked(tmp_path: Path) -> None:
    code = (
        "import sys, lash.testing.pytest_plugin; print(sorted(m for m in sys.modules if 'conformance' in m))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert run.stdout.strip() == "[]"
