"""Opens SQLite connections the way that the engine needs them.

Nobody else in this process may open the database file, not even to read a byte: closing any descriptor of it
would take away the locks that SQLite holds on it (POSIX locks belong to the process, not to the descriptor).
"""

import apsw

from lash.backends.sql.engine.sqlite.settings import SqliteSettings

_READ_WRITE = apsw.SQLITE_OPEN_READWRITE


def open_writer(path: str, settings: SqliteSettings) -> apsw.Connection:
    """Open, and create if need be, the database for writing. Its contents are not touched yet."""
    connection = _open(path, settings, _READ_WRITE | apsw.SQLITE_OPEN_CREATE)
    # Counts for a file that is still empty. Rows of 1 to 2 KB leave a third of a 4 KiB page empty, and a tenth of
    # one of 8 KiB; larger ones would only make the log longer.
    connection.execute("PRAGMA page_size=8192")
    return connection


def use_log(connection: apsw.Connection) -> str:
    """Switch to the write-ahead log, make a commit wait for the disk, and return the journal mode."""
    mode = str(connection.pragma("journal_mode", "wal"))
    connection.execute("PRAGMA synchronous=FULL")
    # On macOS an ordinary fsync leaves the data in the drive's cache. No effect elsewhere.
    connection.execute("PRAGMA fullfsync=1")
    return mode


def open_checkpointer(path: str, settings: SqliteSettings) -> apsw.Connection:
    """Open a connection that copies the log back; the database uses the log already."""
    connection = _open(path, settings, _READ_WRITE)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA checkpoint_fullfsync=1")
    return connection


def open_reader(path: str, settings: SqliteSettings) -> apsw.Connection:
    """Open a connection on which writes fail."""
    connection = _open(path, settings, _READ_WRITE)
    connection.execute("PRAGMA query_only=1")
    return connection


def _open(path: str, settings: SqliteSettings, flags: int) -> apsw.Connection:
    connection = apsw.Connection(path, flags=flags, statementcachesize=settings.statement_cache)
    connection.set_busy_timeout(settings.busy_timeout_ms)
    # Plans must not depend on values: SQLite would plan some statements anew for each value that it may look at,
    # which takes ten times as long as running them.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    # Savepoints keep page images; in memory that is half the price of a temporary file.
    connection.execute("PRAGMA temp_store=memory")
    return connection
