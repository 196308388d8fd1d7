"""Throw-away databases from a URL (ruling 27): the URL is a template, and what holds anything is refused.

`memory:` makes a database a case. `sqlite:///PATH` (or a path) makes sibling files of PATH, one a case,
and removes them. `my_package:factory` calls an own factory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from lash.contracts import Database
from lash.errors import LashError
from lash.system import RandomIds
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.databases import DatabaseSource, check_database
from lash.testing.conformance.factories import call_factory
from lash.testing.conformance.trial import Reopenable


def source_for(backend: str) -> DatabaseSource:
    """Return the source of fresh databases that a URL or `module:factory` names.

    Raises:
        LashError: `conformance_database_not_empty` when there is something at the URL already;
            `conformance_backend_unknown` for what the kit cannot make databases of;
            `conformance_factory_invalid`.
    """
    if backend == "memory:":
        return DatabaseSource(_memory_database)
    if backend.startswith("sqlite:///") or not _looks_foreign(backend):
        files = SiblingFiles(Path(backend.removeprefix("sqlite:///")))
        return DatabaseSource(files.make, discard=files.discard)
    return DatabaseSource(_checked(find_factory(backend)))


def find_factory(reference: str) -> Callable[..., Any]:
    """Return the factory that `module:attribute` names.

    Raises:
        LashError: `conformance_backend_unknown`.
    """
    module, _, path = reference.partition(":")
    try:
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as problem:
        raise LashError(
            "conformance_backend_unknown",
            f"{reference!r} names no backend: give memory:, sqlite:///PATH, or an importable "
            f"module:factory ({problem})",
            backend=reference,
        ) from problem
    factory: Callable[..., Any] = found
    return factory


class SiblingFiles:
    """SQLite databases beside a path that nothing is at.

    Raises:
        LashError: `conformance_database_not_empty`.
    """

    def __init__(self, template: Path) -> None:
        if template.exists() and (template.is_dir() or template.stat().st_size):
            raise LashError(
                "conformance_database_not_empty",
                f"{template} holds something already; name a path that nothing is at",
                path=str(template),
            )
        self._template = template
        self._ids = RandomIds()
        self._made: Path | None = None

    async def make(self, clock: KitClock) -> Reopenable[Database]:
        """Return two handles on a fresh file."""
        suffix = self._template.suffix or ".db"
        self._made = self._template.with_name(f"{self._template.stem}-{self._ids.new('case')}{suffix}")
        url = str(self._made)
        return Reopenable(open_database(url, clock), open_database(url, clock))

    async def discard(self) -> None:
        """Remove the file and what SQLite and the engine keep beside it."""
        made, self._made = self._made, None
        if made is not None:
            for path in made.parent.glob(f"{made.name}*"):  # the name is random: nothing else begins alike
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


def open_database(url: str, clock: KitClock) -> Database:
    """Return a database that takes its time from the kit."""
    from lash.backends import open_database as open_

    database: Database = open_(url, test_clock=clock)
    return database


async def _memory_database(clock: KitClock) -> Database:
    from lash.backends.memory import MemoryDatabase

    return MemoryDatabase(clock=clock)


def _checked(make: Callable[..., Any]) -> Callable[[KitClock], Awaitable[Any]]:
    async def checked(clock: KitClock) -> Any:
        made = await call_factory(make, clock)
        check_database(made)
        return made

    return checked


def _looks_foreign(backend: str) -> bool:
    """Whether this is no path: a scheme of its own, or `module:attribute`."""
    return ":" in backend and not Path(backend).drive and os.sep not in backend.partition(":")[0]
