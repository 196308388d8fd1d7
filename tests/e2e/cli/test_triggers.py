"""`lash triggers`, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lash
from lash.testing import ScriptedModel


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lash.cli", "triggers", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ),
        check=False,
    )


@pytest.fixture
async def db(tmp_path: Path) -> str:
    """A database with a session that has subscribed to orders."""
    path = str(tmp_path / "cli.db")
    agent = lash.Agent("clerk", model=ScriptedModel(["Noted."], by_request=True))
    async with lash.open(path, agent) as runtime:
        await runtime.session("desk")
        await runtime.triggers.subscribe("desk", "shop.order", "Handle it.", name="orders")
    return path


async def test_event_is_emitted_listed_and_its_subscription_cancelled(db: str) -> None:
    def answer(*arguments: str) -> Any:
        done = command(*arguments, "--db", db, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    (subscription,) = answer()["subscriptions"]
    assert (subscription["handle"], subscription["name"]) == ("trigger:1", "orders")
    emitted = answer("emit", "shop.order", '{"number": 7}', "--key", "order-7")
    assert (emitted["replayed"], emitted["deliveries"][0]["state"]) == (False, "started")
    assert answer("emit", "shop.order", '{"number": 7}', "--key", "order-7")["replayed"] is True
    (delivery,) = answer("deliveries", "--state", "started")["deliveries"]
    assert delivery["process_id"] == emitted["deliveries"][0]["process_id"]
    assert answer("cancel", "trigger:1")["cancelled"] is True
    assert answer("list")["subscriptions"] == []
    assert len(answer("list", "--all")["subscriptions"]) == 1


async def test_tables_name_what_is_started(db: str) -> None:
    listed = command("--db", db)
    assert listed.returncode == 0, listed.stderr
    assert "trigger:1" in listed.stdout
    assert "turn 'Handle it.'" in listed.stdout
    emitted = command("emit", "shop.order", "--key", "k", "--db", db)
    assert "host_event:" in emitted.stdout
    assert "started" in emitted.stdout
    assert "started" in command("deliveries", "--db", db).stdout
    assert command("cancel", "trigger:1", "--db", db).stdout == "cancelled\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("cancel", "trigger:9"), "trigger_unknown"),
        (("emit", "shop.order", "{", "--key", "k"), "no JSON"),
    ],
)
async def test_what_makes_no_sense_is_refused(db: str, arguments: tuple[str, ...], problem: str) -> None:
    done = command(*arguments, "--db", db)
    assert done.returncode == 1
    assert problem in done.stderr
