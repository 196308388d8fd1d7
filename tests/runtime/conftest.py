"""A runtime over each backend, for tests that use lash as a user does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lash
from lash.testing import ScriptedModel

OpenRuntime = Callable[..., lash.Runtime]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The database of a test; the same URL opens the same SQLite file again."""
    match request.param:
        case "memory":
            return "memory:"
        case "postgres":
            made: str = request.getfixturevalue("postgres_urls")()
            return made
    return str(tmp_path / "agent.db")


@pytest.fixture(params=["sqlite", "postgres"])
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The database of a test that closes it and opens it again."""
    if request.param == "postgres":
        made: str = request.getfixturevalue("postgres_urls")()
        return made
    return str(tmp_path / "agent.db")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return str(tmp_path / "agent.db")


def scripted_agent(steps: Any, *, tools: Any = (), name: str = "agent", **options: Any) -> lash.Agent:
    """An agent whose model follows a script, a turn at a time."""
    return lash.Agent(name, model=ScriptedModel(steps, by_request=True), tools=tools, **options)
