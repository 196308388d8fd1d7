"""Where lash keeps what it promises to keep: one package for each kind of store.

The packages are siblings that do not know each other. A backend is chosen by URL and imported only then.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from lash.backends.elsewhere import with_attachments
from lash.contracts import AttachmentStore, Database
from lash.errors import LashError
from lash.values import Clock, IdSource

__all__ = ["open_database"]

_BACKENDS = {
    "memory": "lash.backends.memory:MemoryDatabase",
    "sqlite": "lash.backends.sql:SqliteDatabase",
    "postgres": "lash.backends.sql.postgres_database:PostgresDatabase",
    "postgresql": "lash.backends.sql.postgres_database:PostgresDatabase",
}
_EXTRAS = {"psycopg": "postgres"}  # what installs the driver that a backend imports
_ENTRY_POINTS = "lash.backends"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two characters at least: C: is a drive


def open_database(
    url: str | os.PathLike[str],
    *,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    test_clock: Clock | None = None,
    attachments: AttachmentStore | None = None,
    **options: Any,  # each backend has its own
) -> Database:
    """Return the database that a URL names. Nothing is opened before `connect` or its first use.

    Args:
        url: A path, `sqlite:///PATH`, `memory:`, `postgresql://…`, or a URL whose scheme a package offers
            under the entry point group `lash.backends`.
        clock: Where time comes from; the machine's clock by default.
        ids: Where ids come from; random by default.
        test_clock: A clock that a test sets, used in place of every other one, a server's included.
        attachments: Where attachment bytes are kept (`lash.backends.files`, `lash.backends.s3`); in the
            database by default. Which session owns which is kept in the database in any case.
        options: Passed on to the backend.

    Raises:
        LashError: `backend_unknown_scheme`, `extra_missing` for a driver that is not installed.
    """
    text = os.fspath(url)
    scheme = _scheme_of(text)
    make = _factory(scheme, text)
    if scheme == "memory":
        database = make(text, clock=test_clock or clock, ids=ids, **options)
    else:
        database = make(text, clock=clock, ids=ids, test_clock=test_clock, **options)
    return database if attachments is None else with_attachments(database, attachments)


def _scheme_of(text: str) -> str:
    found = _SCHEME.match(text)
    if found is None or os.path.exists(text):
        return "sqlite"
    return found[1].lower()


def _factory(scheme: str, url: str) -> Callable[..., Database]:
    name = _BACKENDS.get(scheme)
    if name is not None:
        return _imported(name, scheme)
    for entry in entry_points(group=_ENTRY_POINTS, name=scheme):
        made_elsewhere: Callable[..., Database] = entry.load()
        return made_elsewhere
    raise LashError(
        "backend_unknown_scheme",
        f"no backend serves {scheme}: ({url!r}); use a path, sqlite:///PATH, memory: or postgresql://…, or "
        f"install a package that offers {scheme!r} under the entry point group {_ENTRY_POINTS!r}",
        scheme=scheme,
        known=sorted(_BACKENDS),
    )


def _imported(name: str, scheme: str) -> Callable[..., Database]:
    module, _, attribute = name.partition(":")
    try:
        made_here: Callable[..., Database] = getattr(import_module(module), attribute)
    except ModuleNotFoundError as problem:
        extra = _EXTRAS.get((problem.name or "").partition(".")[0])
        if extra is None:
            raise
        raise LashError(
            "extra_missing",
            f"{problem.name} is not installed, and {scheme}: needs it; run: pip install lash-runtime[{extra}]",
            extra=extra,
        ) from problem
    return made_here
