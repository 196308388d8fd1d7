"""Brings a database file to the schema that the program knows, forwards only.

`PRAGMA user_version` counts the migrations that a file has seen, `PRAGMA application_id` says whose file it
is. Each migration is one transaction: killed in the middle, the next start goes on from the last whole step.
Before the first step an older file is copied aside, so that there is a way back to the older program. A newer
file is refused, because an older program cannot know what it would break.
"""

import os
from dataclasses import dataclass

import apsw

from lash.backends.sql.engine.sqlite.failures import corrupt
from lash.errors import LashBug, LashError


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a database file should look like."""

    application_id: int
    """Whose files these are: a positive 32-bit number."""
    migrations: tuple[str, ...]
    """SQL texts, oldest first; the n-th leads from version n-1 to n. Published ones are never changed."""
    foreign_keys: bool = False
    """Whether foreign keys are enforced, and checked after each migration."""

    @property
    def version(self) -> int:
        """The version that all migrations lead to."""
        return len(self.migrations)


def _stamped(connection: apsw.Connection) -> tuple[int, int, int]:
    """Return the number of tables, the application id and the version, all of one moment.

    Another process may be making the same new file: read one by one, the three could contradict each other.
    """
    begins = not connection.in_transaction
    if begins:
        connection.execute("BEGIN")
    try:
        tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").get)
        return tables, int(connection.pragma("application_id")), int(connection.pragma("user_version"))
    finally:
        if begins and connection.in_transaction:
            connection.execute("ROLLBACK")


def inspect(connection: apsw.Connection, schema: Schema) -> int:
    """Return the version of a file that may be used; 0 if it is new. Changes nothing.

    Raises:
        LashError: `store_corrupt`, `store_foreign` or `schema_newer`.
        apsw.Error: The file could not be read.
    """
    path = connection.filename
    tables, application_id, version = _stamped(connection)
    if application_id == 0 and version == 0 and tables == 0:
        return 0
    if application_id != schema.application_id:
        raise LashError(
            "store_foreign",
            f"{path} is an SQLite database of another program (application id {application_id}, expected"
            f" {schema.application_id}); nothing was changed: name another file",
            path=path,
            application_id=application_id,
            expected_application_id=schema.application_id,
        )
    if version > schema.version:
        raise LashError(
            "schema_newer",
            f"{path} has schema version {version}, and this lash knows versions up to {schema.version};"
            " nothing was changed: use a newer lash, or a copy that was made before the file was migrated",
            path=path,
            found_version=version,
            known_version=schema.version,
        )
    if version < 1 or tables == 0:
        raise corrupt(path, f"schema version {version} with {tables} tables")
    return version


def migrate(connection: apsw.Connection, schema: Schema) -> None:
    """Run the migrations that a file has not seen. The caller holds off every other writer.

    Raises:
        LashError: As `inspect` does.
        LashBug: A migration left rows that break a foreign key.
        apsw.Error: A migration failed. Its own step left no trace, the steps before it stay.
    """
    found = inspect(connection, schema)
    if 0 < found < schema.version:
        copy_aside(connection, f"{connection.filename}.v{found}.bak")
    for version in range(found + 1, schema.version + 1):
        _step(connection, schema, version)


def copy_aside(connection: apsw.Connection, target: str) -> None:
    """Copy the whole database to another file, which gets its name only once it is complete and on the
    disk.
    """
    unfinished = target + ".new"
    if os.path.exists(unfinished):
        os.unlink(unfinished)
    copy = apsw.Connection(unfinished)
    try:
        with copy.backup("main", connection, "main") as backup:
            backup.step()
        copy.pragma("journal_mode", "delete")  # one file, no log beside it
    finally:
        copy.close()
    _sync(unfinished)
    os.replace(unfinished, target)
    _sync(os.path.dirname(target) or ".")


def _step(connection: apsw.Connection, schema: Schema, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(schema.migrations[version - 1])
        if schema.foreign_keys:
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise LashBug(f"migration {version} breaks foreign keys: {broken[:3]}")
        connection.execute(f"PRAGMA application_id={schema.application_id}")
        connection.execute(f"PRAGMA user_version={version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
