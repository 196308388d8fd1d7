"""The engine on PostgreSQL: pooled connections, pipelines, and word from other processes by LISTEN."""

from lash.backends.sql.engine.postgres.engine import PostgresEngine
from lash.backends.sql.engine.postgres.migrations import PostgresSchema
from lash.backends.sql.engine.postgres.settings import PostgresSettings
from lash.backends.sql.engine.postgres.statements import Dialect, Lock, Statement
from lash.backends.sql.engine.postgres.transaction import PostgresTx

__all__ = [
    "Dialect",
    "Lock",
    "PostgresEngine",
    "PostgresSchema",
    "PostgresSettings",
    "PostgresTx",
    "Statement",
]
