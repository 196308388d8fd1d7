"""Approvals on the command line: asked in a chat, answered from another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.cli.test_commands import ROOT, lash

CLERK = ("--agent", "tests.e2e.cli.clerk:clerk")


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "cli.db")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lash.cli", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LASH_MODEL": ""},
    )


def read_until(process: subprocess.Popen[str], mark: str) -> str:
    assert process.stderr is not None
    while mark not in (line := process.stderr.readline()):
        assert line, f"it ended before it said {mark!r}"
    return line


def test_call_is_listed_and_answered_from_another_process(db: str) -> None:
    running = start("run", "pay", "--db", db, *CLERK)
    line = read_until(running, "lash approvals approve ")
    id_ = line.split("lash approvals approve ")[1].strip().rstrip("]")
    (listed,) = json.loads(lash("approvals", "--db", db, "--json").stdout)["approvals"]
    assert (listed["id"], listed["question"]["args"], listed["question"]["tool"]) == (
        id_,
        {"amount": 5},
        "pay",
    )
    assert id_ in lash("approvals", "list", "--db", db).stdout
    doctor = lash("doctor", "--db", db, "--serves", "clerk")
    assert (doctor.returncode, f"lash approvals approve {id_}" in doctor.stdout) == (1, True)
    stale = lash("approvals", "approve", id_, "--db", db, "--hash", "of-something-else")
    assert (stale.returncode, "approval_stale" in stale.stderr) == (1, True)
    wrong = lash("approvals", "approve", id_, "--db", db, "--args", '{"amount": "five"}')
    assert (wrong.returncode, "invalid_tool_args" in wrong.stderr) == (1, True)
    done = lash("approvals", "approve", id_, "--db", db, "--args", '{"amount": 4}', "--by", "ada")
    assert done.stdout == f"{id_} is approved\n"
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert "paid 4" in out
    assert lash("approvals", "--db", db).stdout.count("\n") == 1  # the header
    (answered,) = json.loads(lash("approvals", "--all", "--db", db, "--json").stdout)["approvals"]
    assert (answered["state"], answered["answer"]["by"]) == ("approved", "ada")
    late = lash("approvals", "deny", id_, "no", "--db", db)
    assert (late.returncode, "approval_answered" in late.stderr) == (1, True)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("y", "so: paid 5"),
        ("n", "pay was not run: it was denied by"),
        ("not before Friday", ": not before Friday"),
    ],
)
def test_chat_asks_the_person_at_the_terminal(db: str, said: str, heard: str) -> None:
    chat = start("chat", "--db", db, *CLERK)
    assert chat.stdin is not None
    chat.stdin.write("pay\n")
    chat.stdin.flush()
    read_until(chat, 'pay {"amount": 5}')
    out, err = chat.communicate(f"{said}\n", timeout=120)
    assert chat.returncode == 0, err
    assert heard in out
