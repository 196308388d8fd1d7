"""`lash processes`, `lash events`, `lash worker`: what they print, and what they do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import lash
from lash.cli import main


@lash.process
async def waiting(ctx: lash.ProcessContext) -> Any:
    await ctx.progress({"step": 1})
    value = await ctx.wait("go")
    return [value, await ctx.signal("note")]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


async def begun(path: str) -> str:
    async with lash.open(path, waiting, process_grace_ms=10) as runtime:
        handle = await runtime.processes.start(waiting, session="s", label="patience")
        while not await runtime.processes.parked_on([handle.id]):
            await runtime.database.process_registry.get_process(handle.id)
        return handle.id


async def ended(path: str, process_id: str) -> Any:
    async with lash.open(path, waiting) as runtime:
        return await runtime.processes.wait(process_id, timeout=60)


def test_what_waits_is_listed_steered_and_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "agent.db")
    process_id = asyncio.run(begun(path))
    (listed,) = shown(capsys, "processes", "--db", path)["processes"]
    assert (listed["process"]["id"], listed["waits_for"]) == (process_id, [f"wait:{process_id}:go"])
    assert shown(capsys, "processes", "--db", path, "--session", "other") == {"processes": []}

    assert main(["processes", "--db", path]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "PROCESS",
        "STATE",
        "KIND",
        "WHAT",
        "SESSION",
        "ATTEMPTS",
        "CHANGED",
        "WAITS",
        "FOR",
    ]
    assert line.split()[1:6] == ["waiting", "function", "waiting", "s", "1"]

    assert main(["processes", "resolve", process_id, "go", "7", "--db", path]) == 0
    assert main(["processes", "signal", process_id, "note", '"hi"', "--db", path]) == 0
    assert asyncio.run(ended(path, process_id)) == [7, "hi"]
    capsys.readouterr()
    types = [event["event_type"] for event in shown(capsys, "events", process_id, "--db", path)["events"]]
    assert types == ["process.attempt_started", "process.progress", "process.signal", "process.completed"]
    assert main(["events", process_id, "--db", path, "--follow", "--after", "2"]) == 0
    assert [line.split()[3] for line in capsys.readouterr().out.splitlines()] == types[2:]
    assert shown(capsys, "processes", "--db", path) == {"processes": []}
    (listed,) = shown(capsys, "processes", "--db", path, "--all")["processes"]
    assert listed["process"]["status"]["state"] == "completed"


def test_a_cancel_is_shown_and_waits_for_a_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "agent.db")
    process_id = asyncio.run(begun(path))
    assert main(["processes", "cancel", process_id, "enough", "--db", path]) == 0
    assert capsys.readouterr().out == f"{process_id}: cancelling\n"
    with pytest.raises(lash.LashError, match="enough") as caught:
        asyncio.run(ended(path, process_id))
    assert caught.value.code == "process_cancelled"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no_such_module:agent", "No module named"),
        ("lash.testing:agent", "has no 'agent'"),
        ("lash.values", "holds neither"),
    ],
)
def test_a_worker_says_what_it_was_not_given(
    target: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", str(tmp_path / "agent.db"), target]) == 1
    error = capsys.readouterr().err
    assert "worker_target_invalid" in error
    assert says in error
