"""The durable contracts on SQL: storage scripts written once, and the engines that run them.

A port's method checks and encodes, then hands one script to the engine: reads in one flight, a decision of
`lash.rules`, writes. Nothing is cached between two operations, because other processes share the database.
"""

from lash.backends.sql.sqlite_database import SqliteDatabase

__all__ = ["SqliteDatabase"]
