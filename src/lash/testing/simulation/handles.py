"""A handle on the simulated database that belongs to one life of a worker, and dies with it."""

from __future__ import annotations

import inspect
from typing import Any, Final

from lash.backends.memory import MemoryDatabase
from lash.testing.simulation.incarnation import Incarnation

_PORTS: Final = frozenset(
    {
        "turn_ingress",
        "effect_journal",
        "attachment_store",
        "session_leases",
        "session_catalog",
        "durable_waits",
        "process_registry",
        "host_event_store",
        "artifact_store",
    }
)


class MortalDatabase:
    """A `Database` each of whose operations passes through its incarnation."""

    def __init__(self, database: MemoryDatabase, life: Incarnation) -> None:
        self._database = database
        self._life = life

    def __getattr__(self, name: str) -> Any:  # whatever the database has under that name
        found = getattr(self._database, name)
        if name not in _PORTS:
            return found
        port = _MortalPort(found, self._life)
        setattr(self, name, port)
        return port

    def runtime_persistence(self, session_id: str | None = None) -> Any:
        """Return a session's persistence, which is a port, too."""
        return _MortalPort(self._database.runtime_persistence(session_id), self._life)

    async def close(self) -> None:
        """Let go, as a worker that ends in peace does; a dead one lets go of nothing."""
        if self._life.alive:
            await self._database.close()


class _MortalPort:
    def __init__(self, port: Any, life: Incarnation) -> None:
        self._port = port
        self._life = life

    def __getattr__(self, name: str) -> Any:  # an operation or a fact of the port
        found = getattr(self._port, name)
        if not inspect.iscoroutinefunction(found):
            return found
        life = self._life

        async def run(*args: Any, **options: Any) -> Any:
            return await life.operate(name, lambda: found(*args, **options))

        setattr(self, name, run)
        return run
