"""Peers that somebody else wrote: a scripted server from npm, and a small model that really thinks.

Both are fetched on demand into the virtual environment's own folder. Where that is not possible, the tests
are skipped and say `NOT RUN` with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lash.errors import LashError
from lash.providers import fetch_smollm2

PEERS = Path(sys.prefix) / "peers"
AIMOCK = "@copilotkit/aimock@1.43.0"
FIXTURES = Path(__file__).with_name("aimock_fixtures.json")


def not_run(reason: str) -> None:
    pytest.skip(f"NOT RUN: {reason}")


def installed_aimock() -> Path:
    """Return the peer's program, installing it first if it is not there."""
    program = PEERS / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    if shutil.which("node") is None or shutil.which("npm") is None:
        not_run("node and npm are not installed")
    if not program.is_file():
        PEERS.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(PEERS), AIMOCK]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            not_run(f"npm did not install {AIMOCK} within 120 s")
        if done.returncode != 0 or not program.is_file():
            not_run(f"npm could not install {AIMOCK}: {done.stderr.strip()[-300:]}")
    return program


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    """Return the address of a running aimock."""
    program = installed_aimock()
    process = subprocess.Popen(
        ["node", str(program), "--port", "0", "--fixtures", str(FIXTURES), "--strict"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "listening on " in line:
                break
        else:
            pytest.fail(f"aimock did not start: {''.join(said)}")
        yield line.split("listening on ")[1].strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def model_environ() -> dict[str, str]:
    """Return an environment in which the local model's file is there."""
    pytest.importorskip("xllamacpp", reason="NOT RUN: the extra `local` is not installed")
    chosen = os.environ.get("LASH_MODEL_DIR")
    directory = Path(chosen) if chosen else PEERS / "models"
    try:
        fetch_smollm2(directory)
    except LashError as problem:
        not_run(str(problem))
    return {"LASH_MODEL_DIR": str(directory)}


@pytest.fixture
def sent(peer: str) -> Any:
    """Return a function that reads what the peer was last asked."""
    from urllib.request import urlopen

    def last() -> Any:
        with urlopen(f"{peer}/__aimock/journal") as answer:
            return json.load(answer)[-1]

    return last
