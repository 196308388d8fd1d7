"""Many sessions on one SQLite file: from one process, and from four that share the file."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

import lash

from .crowd import crowd, make_agent

ROOT = Path(__file__).parents[2]


@pytest.mark.heavy
async def test_two_hundred_sessions_of_five_turns_at_once(tmp_path: Path) -> None:
    url = str(tmp_path / "crowd.db")
    answers = await crowd(url, "solo", 200, 0, 5)
    assert len(answers) == 200
    for session_id, results in answers.items():
        number = session_id.removeprefix("solo-")
        assert results == [
            {"text": f"heard solo {number} {turn}", "revision": turn + 1, "stop": None} for turn in range(5)
        ]
    await check_histories(url, dict.fromkeys(answers, 5))


@pytest.mark.heavy
async def test_four_processes_share_the_file_and_some_sessions(tmp_path: Path) -> None:
    url = str(tmp_path / "crowd.db")
    async with lash.open(url, make_agent()):
        pass  # the file exists before they race for it
    names = ["a", "b", "c", "d"]
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.crowd", url, name, "20", "5", "5"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name in names
    ]
    reports = {}
    for name, child in zip(names, children, strict=True):
        out, err = await asyncio.to_thread(child.communicate, timeout=240)
        assert child.returncode == 0, err
        reports[name] = json.loads(out)
    for name, report in reports.items():
        for session_id, results in report.items():
            assert all(result["stop"] is None for result in results)
            if not session_id.startswith("shared"):
                assert [result["revision"] for result in results] == [1, 2, 3, 4, 5]
            else:
                number = session_id.removeprefix("shared-")
                texts = [f"heard {name} shared {number} {turn}" for turn in range(5)]
                assert [result["text"] for result in results] == texts
                revisions = [result["revision"] for result in results]
                assert revisions == sorted(revisions)
    expected = {session_id: 5 for report in reports.values() for session_id in report}
    expected |= {f"shared-{n}": 5 * len(names) for n in range(5)}
    await check_histories(url, expected)


async def check_histories(url: str, turns: dict[str, int]) -> None:
    """Every accepted input is in its session's history once, each before its answer; nothing waits."""
    async with lash.open(url, make_agent()) as runtime:
        for session_id, count in turns.items():
            session = await runtime.session(session_id)
            history = await session.history()
            asked = [message.text for message in history if message.role == "user"]
            assert len(asked) == len(set(asked)) == count, session_id
            answered = [message.text for message in history if message.role == "assistant"]
            assert answered == [f"heard {text}" for text in asked], session_id
            assert await session.queue() == []
