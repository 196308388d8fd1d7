"""Throw-away databases from a URL (ruling 27): the URL is a template, and what holds anything is refused.

`memory:` makes a database a case. `sqlite:///PATH` (or a path) makes sibling files of PATH, one a case, and
removes them; `postgres://…` makes schemas in that database, and drops them. `my_package:factory` calls an own
factory. The URL of any other scheme goes to whoever offers that scheme under `lash.conformance`, an entry
point group: a callable that takes the URL and returns a `Template`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from lash.contracts import Database
from lash.errors import LashError
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.damage import memory_damage, sqlite_damage
from lash.testing.conformance.databases import DatabaseSource, check_database
from lash.testing.conformance.factories import call_factory
from lash.testing.conformance.sibling_files import SiblingFiles, Template
from lash.testing.conformance.trial import Reopenable

ENTRY_POINTS = "lash.conformance"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def source_for(backend: str) -> DatabaseSource:
    """Return the source of fresh databases that a URL or `module:factory` names.

    Raises:
        LashError: `conformance_database_not_empty` when there is something at the URL already;
            `conformance_backend_unknown` for what the kit cannot make databases of;
            `conformance_factory_invalid`; `store_unavailable` or `extra_missing` for a server that cannot be
            reached.
    """
    if backend == "memory:":
        return DatabaseSource(_memory_database)
    scheme = _SCHEME.match(backend)
    if scheme is None and _looks_foreign(backend):
        return DatabaseSource(_checked(find_factory(backend)))
    template = _template("sqlite" if scheme is None else scheme[1].lower(), backend)
    return DatabaseSource(template.make, discard=template.discard)


def _template(scheme: str, url: str) -> Template:
    if scheme == "sqlite":
        return SiblingFiles(url, damage=sqlite_damage)
    if scheme in ("postgres", "postgresql"):
        from lash.testing.conformance.throwaway_schemas import ThrowAwaySchemas  # needs a driver

        return ThrowAwaySchemas(url)
    for entry in entry_points(group=ENTRY_POINTS, name=scheme):
        template: Template = entry.load()(url)
        return template
    raise LashError(
        "conformance_backend_unknown",
        f"the kit cannot make throw-away databases of {url!r}: install the package that offers {scheme!r} under "
        f"the entry point group {ENTRY_POINTS!r}, or give module:factory",
        backend=url,
    )


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
            f"{reference!r} names no backend: give memory:, sqlite:///PATH, postgres://…, or an importable "
            f"module:factory ({problem})",
            backend=reference,
        ) from problem
    factory: Callable[..., Any] = found
    return factory


async def _memory_database(clock: KitClock) -> Reopenable[Database]:
    from lash.backends.memory import MemoryDatabase

    database = MemoryDatabase(clock=clock)
    return Reopenable(database, database, damage=memory_damage(database))


def _checked(make: Callable[..., Any]) -> Callable[[KitClock], Awaitable[Any]]:
    async def checked(clock: KitClock) -> Any:
        made = await call_factory(make, clock)
        check_database(made)
        return made

    return checked


def _looks_foreign(backend: str) -> bool:
    """Whether this is no path but `module:attribute`."""
    return ":" in backend and not Path(backend).drive and os.sep not in backend.partition(":")[0]
