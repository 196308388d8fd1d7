"""The command line, as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = "scripted:tests.e2e.cli.scripts:readme"


def lash(
    *arguments: str, stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lash.cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        check=False,
    )


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "cli.db")


def run_turn(db: str, *more: str) -> subprocess.CompletedProcess[str]:
    return lash("run", "What does it promise?", "--db", db, "--model", SCRIPT, "--root", str(ROOT), *more)


def test_run_prints_the_answer_and_what_it_did(db: str) -> None:
    done = run_turn(db)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "It promises durability.\n"
    assert "[read_file" in done.stderr


def test_run_json_prints_one_object_and_replays_by_turn_id(db: str) -> None:
    first = json.loads(run_turn(db, "--json", "--turn-id", "t1").stdout)
    assert first["text"] == "It promises durability."
    assert (first["stop"], first["turn_id"], first["replayed"]) == (None, "t1", False)
    assert first["usage"]["input_tokens"] == 20
    again = json.loads(run_turn(db, "--json", "--turn-id", "t1").stdout)
    assert again["replayed"] is True
    assert again["text"] == first["text"]


def test_prompt_may_come_from_standard_input(db: str) -> None:
    done = lash("run", "--db", db, "--model", SCRIPT, "--root", str(ROOT), stdin="What does it promise?\n")
    assert done.stdout == "It promises durability.\n"


def test_sessions_show_queue_and_effects_after_a_turn(db: str) -> None:
    run_turn(db, "--session", "s/1", "--turn-id", "t1")
    (info,) = json.loads(lash("sessions", "--db", db, "--json").stdout)["sessions"]
    assert (info["session_id"], info["agent"], info["head_revision"]) == ("s/1", "cli", 1)
    shown = lash("show", "s/1", "--db", db).stdout
    assert "What does it promise?" in shown
    assert "-> read_file" in shown
    assert "It promises durability." in shown
    assert json.loads(lash("queue", "--db", db, "--json").stdout) == {"batches": []}
    effects = json.loads(lash("effects", "--db", db, "--json").stdout)["effects"]
    assert [effect["identity"]["kind"] for effect in effects] == ["llm_call", "tool_call", "llm_call"]
    assert "read_file" in lash("effects", "--db", db, "--session", "s/1").stdout


def test_doctor_says_that_nothing_waits(db: str) -> None:
    run_turn(db)
    done = lash("doctor", "--db", db)
    assert done.returncode == 0
    assert "durable" in done.stdout
    assert "nothing waits" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["run", "hi", "--model", "nobody:x"], 1, "model_unknown_provider"),
        (["run", "hi"], 1, "model_missing"),
        (["run", "", "--model", SCRIPT], 1, "invalid_argument"),
        (["show", "nothing", "--db", "missing.db"], 1, "database_missing"),
        (["settle", "k", "--db", "missing.db", "--result", "{"], 1, "invalid_argument"),
        (["settle", "k", "--db", "missing.db"], 2, "required"),
        (["fly"], 2, "invalid choice"),
        ([], 2, "required"),
    ],
)
def test_errors_go_to_standard_error_with_their_code(
    arguments: list[str], status: int, code: str, tmp_path: Path
) -> None:
    done = lash(*arguments, env={"LASH_DB": str(tmp_path / "x.db"), "LASH_MODEL": ""})
    assert done.returncode == status
    assert code in done.stderr
    assert done.stdout == ""


def test_settle_answers_for_a_call_that_nobody_knows_the_end_of(tmp_path: Path) -> None:
    done = lash("demo", "--dir", str(tmp_path), "--root", str(ROOT), env={"MODEL": "scripted"})
    assert done.returncode == 0, done.stdout + done.stderr
    db = str(tmp_path / "agent.db")
    assert lash("doctor", "--db", db).returncode == 1
    (unknown,) = json.loads(lash("effects", "--db", db, "--state", "unknown", "--json").stdout)["effects"]
    key = unknown["identity"]["replay_key"]
    settled = lash("settle", key, "--db", db, "--result", '"sent"', "--by", "ada")
    assert "settled by ada" in settled.stdout
    assert lash("doctor", "--db", db).returncode == 0
    again = lash("settle", key, "--db", db, "--result", '"sent"')
    assert "effect_not_unknown" in again.stderr


def test_demo_ends_well_and_tells_of_it(tmp_path: Path) -> None:
    done = lash("demo", "--root", str(ROOT), env={"MODEL": "scripted"})
    assert done.returncode == 0
    assert "killed with SIGKILL" in done.stdout
    assert re.search(r"announce_release +unknown +1 +not repeated", done.stdout)
    assert "BROKEN" not in done.stdout


def test_chat_on_a_terminal_answers_and_ends_with_the_input(db: str) -> None:
    main, side = pty.openpty()
    chat = subprocess.Popen(
        [sys.executable, "-m", "lash.cli", "chat", "--db", db, "--model", SCRIPT, "--root", str(ROOT)],
        stdin=side,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(side)
    os.write(main, b"What does it promise?\n\x04")
    out, err = chat.communicate(timeout=60)
    os.close(main)
    assert chat.returncode == 0, err
    assert "It promises durability." in out


def test_chat_cancels_the_running_turn_from_the_keyboard_and_goes_on(db: str) -> None:
    chat = subprocess.Popen(
        [
            *(sys.executable, "-m", "lash.cli", "chat", "--db", db, "--root", str(ROOT)),
            *("--model", "scripted:tests.e2e.cli.scripts:hanging"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert chat.stdin is not None
    assert chat.stderr is not None
    chat.stdin.write("hang\n")
    chat.stdin.flush()
    while "[hanging]" not in (line := chat.stderr.readline()):
        assert line, "the chat ended before the turn hung"
    chat.send_signal(signal.SIGINT)
    while "the turn stopped: cancelled" not in (line := chat.stderr.readline()):
        assert line, "the chat ended without cancelling"
    out, err = chat.communicate("hello\n", timeout=60)
    assert chat.returncode == 0, err
    assert "heard hello" in out
    shown = lash("show", "default", "--db", db).stdout
    assert "hang" in shown
    assert "heard hello" in shown
