"""The tables themselves, read past lash: what a port would not show, half a write for instance."""

from __future__ import annotations

import time
from typing import Any

import apsw

_PATIENCE_SECONDS = 60


class Rows:
    """One connection that only reads."""

    def __init__(self, url: str) -> None:
        self._sqlite: apsw.Connection | None = None
        self._postgres: Any = None  # psycopg ships no types to those who do not install it
        if url.startswith("postgres"):
            import psycopg

            self._postgres = psycopg.connect(url, autocommit=True, application_name="checker")
        else:
            self._sqlite = apsw.Connection(url, flags=apsw.SQLITE_OPEN_READONLY)

    def of(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that is the same in both dialects."""
        if self._sqlite is not None:
            return list(self._sqlite.execute(sql))
        return [
            tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
            for row in self._postgres.execute(sql).fetchall()
        ]

    def one(self, sql: str) -> Any:
        ((value,),) = self.of(sql)
        return value

    def check_integrity(self) -> None:
        """Ask SQLite whether the file is sound."""
        if self._sqlite is not None:
            assert self.one("PRAGMA integrity_check") == "ok"

    def wait_until_alone(self) -> None:
        """Wait for the server to notice that its clients are gone; a file has nobody who could still write."""
        if self._postgres is None:
            return
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        others = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
        while self.one(others):
            assert time.monotonic() < give_up_at, "the server still has sessions of killed writers"
            time.sleep(0.002)

    def close(self) -> None:
        (self._sqlite or self._postgres).close()
