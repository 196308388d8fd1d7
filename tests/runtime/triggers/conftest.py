"""A clock that a test moves, shared by a runtime and its database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import lash
from lash.backends import open_database
from lash.testing import ScriptedModel
from lash.testing.conformance.clock import KitClock

START_MS = 1_767_225_600_000  # 2026-01-01 00:00 UTC

OpenAt = Callable[..., lash.Runtime]


@pytest.fixture
def clock() -> KitClock:
    return KitClock(START_MS)


@pytest.fixture
def open_at(url: str, clock: KitClock) -> OpenAt:
    """Make a runtime whose time, and whose database's time, is the test's."""
    memory = open_database("memory:", clock=clock) if url == "memory:" else None

    def make(*agents: Any, **options: Any) -> lash.Runtime:
        database = memory or open_database(url, test_clock=clock)
        return lash.Runtime(database=database, agents=agents, clock=clock, **options)

    return make


def scripted_agent(steps: Any, *, tools: Any = (), name: str = "agent") -> lash.Agent:
    """An agent whose model follows a script, a turn at a time."""
    return lash.Agent(name, model=ScriptedModel(steps, by_request=True), tools=tools)


async def eventually(holds: Callable[[], Awaitable[Any]]) -> Any:
    """Return what `holds` says once that is true."""
    async with asyncio.timeout(60):
        while not (found := await holds()):
            await asyncio.sleep(0.01)
        return found
