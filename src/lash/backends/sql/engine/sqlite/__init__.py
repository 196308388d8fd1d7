"""The engine on SQLite: one writing thread with group commit, readers, many processes on one file."""

from lash.backends.sql.engine.sqlite.engine import SqliteEngine
from lash.backends.sql.engine.sqlite.migrations import Schema
from lash.backends.sql.engine.sqlite.settings import SqliteSettings

__all__ = ["Schema", "SqliteEngine", "SqliteSettings"]
