"""Where a process may be killed: named boundaries, counted as they are passed.

A boundary is named `what:phase#n`, such as `commit_runtime_state:after#1` or `tool charge:before#1`. A process
that is told one of them kills itself with SIGKILL when it gets there.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lash.agents import Agent
from lash.contracts import Model, StreamSink
from lash.tools import Tool
from lash.values import ModelRequest, ModelResponse

_PORTS = frozenset(
    {
        "turn_ingress",
        "effect_journal",
        "attachment_store",
        "session_catalog",
        "durable_waits",
        "process_registry",
        "host_event_store",
        "artifact_store",
    }
)


class KillSwitch:
    """Counts boundaries and ends the process at one of them.

    Args:
        target: Where to end it; None nowhere.
        passed: A file for the names of the boundaries that are passed; None to write none.
        books: A file for what really happened: models asked, tools run. It is synced line by line.
    """

    def __init__(self, target: str | None, passed: Path | None, books: Path) -> None:
        self._target = target
        self._passed = passed
        self._books = books
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()  # tools without async run in threads

    def reach(self, boundary: str) -> None:
        """Pass a boundary, or die at it."""
        with self._lock:
            self._counts[boundary] += 1
            name = f"{boundary}#{self._counts[boundary]}"
            if self._passed is not None:
                with self._passed.open("a") as out:
                    out.write(name + "\n")
        if name == self._target:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, what: str, name: str, key: str) -> None:
        """Write down that something has happened outside lash."""
        with self._lock, self._books.open("a") as out:
            out.write(json.dumps([what, name, key]) + "\n")
            out.flush()
            os.fsync(out.fileno())


class WatchedDatabase:
    """A database whose every operation has a boundary before and after it."""

    def __init__(
        self, database: Any, switch: KillSwitch
    ) -> None:  # any Database; its ports are wrapped by name
        self._database = database
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._database, name)
        return _WatchedPort(found, self._switch) if name in _PORTS else found

    def runtime_persistence(self, session_id: str | None = None) -> Any:
        return _WatchedPort(self._database.runtime_persistence(session_id), self._switch)


class _WatchedPort:
    def __init__(self, port: Any, switch: KillSwitch) -> None:
        self._port = port
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._watched(name, found) if inspect.iscoroutinefunction(found) else found

    def _watched(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **options: Any) -> Any:
            self._switch.reach(f"{name}:before")
            result = await operation(*args, **options)
            self._switch.reach(f"{name}:after")
            return result

        return run


class _WatchedModel:
    """A model with a boundary before and after each call."""

    def __init__(self, model: Model, switch: KillSwitch) -> None:
        self._model = model
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def complete(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        self._switch.reach("model:before")
        self._switch.note("model", self._model.spec.id, request.call_key)
        response = await self._model.complete(request, sink)
        self._switch.reach("model:after")
        return response


def watched_agent(agent: Agent, model: Model, switch: KillSwitch) -> Agent:
    """Return the agent with boundaries around its model calls and its tools."""
    watched = agent.with_model(_WatchedModel(model, switch))
    tools = tuple(_watched_tool(tool, switch) for tool in agent.tools)
    object.__setattr__(watched, "tools", tools)  # the same agent in every other respect
    return watched


def _watched_tool(tool: Tool[..., Any], switch: KillSwitch) -> Tool[..., Any]:
    function: Any = tool.function

    def began(args: tuple[Any, ...], options: dict[str, Any]) -> None:
        switch.reach(f"tool {tool.name}:before")
        context = next((v for v in (*args, *options.values()) if hasattr(v, "idempotency_key")), None)
        switch.note("tool", tool.name, "" if context is None else context.idempotency_key)

    async def run(*args: Any, **options: Any) -> Any:
        began(args, options)
        result = await function(*args, **options)
        switch.reach(f"tool {tool.name}:after")
        return result

    def run_in_thread(*args: Any, **options: Any) -> Any:
        began(args, options)
        result = function(*args, **options)
        switch.reach(f"tool {tool.name}:after")
        return result

    return dataclasses.replace(tool, function=run if tool.is_async else run_in_thread)
