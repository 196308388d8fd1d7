"""The worked backend outside the package: found by its entry points, held by the kit, and no toy of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "backend_in_an_afternoon"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the package is installed: what an installer makes of its pyproject."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = site / f"lash_logbook-{project['version']}.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"].items()
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items()) for group, entries in groups
    ]
    info.joinpath("entry_points.txt").write_text("\n".join(lines))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(EXAMPLE), *filter(None, sys.path)])}


def run(installed: dict[str, str], *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=installed,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )


@pytest.mark.heavy
def test_it_passes_the_kit_by_its_url(installed: dict[str, str], tmp_path: Path) -> None:
    done = run(
        installed,
        "-m",
        "lash.cli",
        "conformance",
        "--backend",
        f"logbook:///{tmp_path}/kit.log",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-1_000:]
    lines = done.stdout.splitlines()
    assert "67 of 67 seed cases" in lines[-3:]
    left_out = [line for line in lines if line.startswith("NOT OFFERED: ")]
    assert {line.partition(": the backend declares ")[2] for line in left_out} == {
        "that it does not offer damage"
    }
    assert list(tmp_path.iterdir()) == []


def test_an_agent_runs_on_it_and_is_there_in_the_next_process(
    installed: dict[str, str], tmp_path: Path
) -> None:
    program = """
import sys
import lash
from lash.testing import ScriptedModel

agent = lash.Agent("helper", model=ScriptedModel([sys.argv[2]]))
with lash.open(sys.argv[1], agent) as runtime:
    print(runtime.session_sync("s", agent).turn_sync("hello", turn_id=sys.argv[3]).text)
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    url = f"logbook:///{tmp_path}/agent.log"

    def answer(text: str, turn_id: str) -> str:
        done = run(installed, str(script), url, text, turn_id, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2_000:]
        return done.stdout.strip()

    assert answer("first", "t1") == "first"
    assert answer("not asked", "t1") == "first", "the turn is committed: the model is not asked again"
    assert answer("second", "t2") == "second"


OPENING = """
import asyncio, sys
from lash.backends import open_database
from lash.errors import LashError

async def main():
    database = open_database(sys.argv[1])
    try:
        await database.connect()
        for key in sys.argv[2:]:
            await database.durable_waits.resolve_wait(key, key)
        found = [key for key in "abc" if await database.durable_waits.find_wait(key)]
        print("".join(found))
    except LashError as refused:
        print(refused.code)
    await database.close()

asyncio.run(main())
"""


def test_half_a_line_is_cut_off_and_damage_is_reported(installed: dict[str, str], tmp_path: Path) -> None:
    log, url = tmp_path / "x.log", f"logbook:///{tmp_path}/x.log"

    def resolve(*keys: str) -> str:
        return run(installed, "-c", OPENING, url, *keys, cwd=tmp_path).stdout.strip()

    assert resolve("a", "b") == "ab"
    whole = log.read_bytes()
    log.write_bytes(whole + b"0badc0de {half a li")
    assert resolve() == "ab"
    assert resolve("c") == "abc"
    kept = log.read_bytes()
    assert kept.startswith(whole)
    assert b"0badc0de" not in kept
    log.write_bytes(kept.replace(b'"b"', b'"B"', 1))
    assert resolve() == "store_corrupt"
    log.write_bytes(b"something else altogether\n")
    assert resolve() == "store_foreign"


def test_without_the_package_its_scheme_is_unknown(tmp_path: Path) -> None:
    done = run(dict(os.environ), "-c", OPENING, f"logbook:///{tmp_path}/x.log", cwd=tmp_path)
    assert "backend_unknown_scheme" in done.stdout + done.stderr
    kit = ("-m", "lash.cli", "conformance", "--backend", f"logbook:///{tmp_path}/kit.log")
    assert "conformance_backend_unknown" in run(dict(os.environ), *kit, cwd=tmp_path).stderr
