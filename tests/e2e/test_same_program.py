"""The same program on a file and on a server: nothing that it can see differs, on the first start or the next."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STEPS = """from lash.testing import call

def steps():
    return [call("read_file", path="README.md"), "It promises turns that commit."]
"""


def run(arguments: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        env=os.environ | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def seen(url: str) -> dict[str, Any]:
    """Start the program on a database and return what it saw."""
    found: dict[str, Any] = json.loads(run(["-m", "tests.e2e.same_program", url], ROOT))
    return found


def test_a_program_sees_the_same_on_a_file_and_on_a_server(
    tmp_path: Path, postgres_urls: Callable[[], str]
) -> None:
    file, server = str(tmp_path / "agent.db"), postgres_urls()
    first = seen(file)
    assert seen(server) == first
    assert first["results"][0] == ["one", "It says: Trento is 6 long", None, 1]
    assert first["results"][2] == first["results"][0]
    assert (first["refused"], first["revisions"]) == ("idempotency_conflict", [1, 2, 3, 4])
    again = seen(file)
    assert seen(server) == again
    assert again == first  # every turn id was known


def test_the_program_of_the_readme_runs_on_both_with_nothing_changed_but_the_url(
    tmp_path: Path, postgres_urls: Callable[[], str]
) -> None:
    text = (ROOT / "README.md").read_text()
    program = next(iter(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    (tmp_path / "script_of_readme.py").write_text(STEPS)
    (tmp_path / "README.md").write_text("Turns that commit.")
    model, url = '"openai:gpt-5.4-mini"', '"agent.db"'
    assert program.count(model) == program.count(url) == 1
    scripted = program.replace(model, '"scripted:script_of_readme:steps"')
    on_file = run(["-c", scripted], tmp_path, PYTHONPATH=str(tmp_path))
    on_server = run(["-c", scripted.replace(url, repr(postgres_urls()))], tmp_path, PYTHONPATH=str(tmp_path))
    assert on_file == on_server
    assert on_file.startswith("It promises turns that commit. ")
