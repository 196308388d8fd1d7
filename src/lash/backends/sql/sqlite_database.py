"""`SqliteDatabase`: every contract over one SQLite file."""

from __future__ import annotations

import os

from lash.backends.sql.database import SqlDatabase
from lash.backends.sql.engine.sqlite import Schema, SqliteEngine, SqliteSettings
from lash.backends.sql.schema import APPLICATION_ID, MIGRATIONS
from lash.backends.sql.store import Store
from lash.errors import LashError
from lash.system import RandomIds, SystemClock
from lash.values import Clock, IdSource

SCHEMA = Schema(application_id=APPLICATION_ID, migrations=MIGRATIONS)


class SqliteDatabase(SqlDatabase):
    """See `Database` for the contract. Opened when it is first used; many processes may share the file."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        test_clock: Clock | None = None,
        settings: SqliteSettings | None = None,
    ) -> None:
        """Name the file; nothing is opened before `connect` or the first operation.

        Args:
            path: A path, or `sqlite:///PATH` (four slashes for an absolute one).
            clock: Where time comes from; the machine's clock by default.
            ids: Where ids come from; random by default.
            test_clock: A clock that a test sets. It is used in place of `clock`.
            settings: The numbers that the engine works by.

        Raises:
            LashError: `invalid_argument` for a path that names no file.
        """
        file = sqlite_path(os.fspath(path))
        time, source = test_clock or clock or SystemClock(), ids or RandomIds()
        engine = SqliteEngine(file, clock=time, ids=source, settings=settings)
        store = Store(engine, lambda: engine.connect(SCHEMA), source)
        super().__init__(engine, store, url=f"sqlite:///{file}", clock=time)
        self.path = engine.path
        """The file, with links followed."""


def sqlite_path(path_or_url: str) -> str:
    """Return the file that a path or a `sqlite:///` URL names.

    Raises:
        LashError: `invalid_argument` when there is none.
    """
    file = path_or_url.removeprefix("sqlite:///")
    if not file.strip() or "\0" in file or file.startswith("sqlite:"):
        raise LashError(
            "invalid_argument",
            f"{path_or_url!r} names no file; give a path or sqlite:///PATH",
            url=path_or_url,
        )
    return file
