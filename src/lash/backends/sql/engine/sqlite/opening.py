"""Opens a database file for an engine: everything that blocks, and everything that can be refused.

A file that is refused is left as it was found, and nothing is put beside it: it is looked at before the
directory beside it is made, and again under the lock, because another process may have been faster.
"""

import errno
import os
from contextlib import ExitStack
from dataclasses import dataclass

import apsw

from lash.backends.sql.engine.sqlite.bells import Bells
from lash.backends.sql.engine.sqlite.connections import open_checkpointer, open_writer, use_log
from lash.backends.sql.engine.sqlite.failures import busy, io_failure, read_only, translate, translate_os
from lash.backends.sql.engine.sqlite.filelock import FileLock
from lash.backends.sql.engine.sqlite.migrations import Schema, inspect, migrate
from lash.backends.sql.engine.sqlite.settings import SqliteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What an engine holds while it is connected; each part belongs to one thread."""

    connection: apsw.Connection
    lock: FileLock
    checkpoint_connection: apsw.Connection
    checkpoint_lock: FileLock
    bells: Bells

    def abandon(self) -> None:
        """Let go of everything, before any thread was started."""
        self.checkpoint_connection.close()
        self.close()

    def close(self) -> None:
        """Let go of everything but the checkpointer's connection, which its thread closes."""
        self.connection.close()
        self.lock.let_go()
        self.checkpoint_lock.let_go()
        self.bells.close()


def open_database(path: str, schema: Schema, settings: SqliteSettings, owner_id: str) -> Opened:
    """Open a file, bring it to the schema, and make the bell of a new owner beside it.

    Raises:
        LashError: With one of the codes of `failures`.
    """
    with ExitStack() as undo:
        try:
            connection = open_writer(path, settings)
            undo.callback(connection.close)
            inspect(connection, schema)
            if connection.readonly("main"):
                raise read_only(path, "it was opened for reading only")
            opened = _open_parts(path, schema, settings, owner_id, connection, undo)
        except apsw.Error as error:
            raise translate(error, path, system_errno=errno.EACCES if _is_forbidden(path) else 0) from error
        except OSError as error:
            raise translate_os(error, path) from error
        undo.pop_all()
        return opened


def _open_parts(
    path: str,
    schema: Schema,
    settings: SqliteSettings,
    owner_id: str,
    connection: apsw.Connection,
    undo: ExitStack,
) -> Opened:
    directory = path + "-lash"
    os.makedirs(directory, exist_ok=True)
    lock = FileLock(os.path.join(directory, "lock"))
    undo.callback(lock.let_go)
    checkpoint_lock = FileLock(os.path.join(directory, "lock"))
    undo.callback(checkpoint_lock.let_go)
    _prepare(connection, lock, path, schema, settings)
    checkpoint_connection = open_checkpointer(path, settings)
    undo.callback(checkpoint_connection.close)
    bells = Bells(directory, owner_id)
    undo.callback(bells.close)
    return Opened(
        connection=connection,
        lock=lock,
        checkpoint_connection=checkpoint_connection,
        checkpoint_lock=checkpoint_lock,
        bells=bells,
    )


def _prepare(
    connection: apsw.Connection, lock: FileLock, path: str, schema: Schema, settings: SqliteSettings
) -> None:
    if not lock.acquire_within(settings.busy_timeout_ms):
        raise busy(path, settings.busy_timeout_ms)
    try:
        mode = use_log(connection)
        if mode != "wal":
            raise io_failure(path, f"its file system cannot share a write-ahead log: journal mode {mode}")
        migrate(connection, schema)
    finally:
        lock.release()
    # Only now: a migration that rebuilds a table must not trip over references to it.
    connection.pragma("foreign_keys", schema.foreign_keys)


def _is_forbidden(path: str) -> bool:
    """Say whether permissions explain why a file could not be opened: SQLite gave no connection to ask.

    It must not be tried by opening the file: see `connections`.
    """
    directory = os.path.dirname(path)
    return os.path.isdir(directory) and not (
        os.access(directory, os.W_OK | os.X_OK)
        and (os.access(path, os.R_OK | os.W_OK) or not os.path.exists(path))
    )
