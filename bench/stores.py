"""The databases that storage benchmarks measure: a file and a server, and a way past lash to fill and to explain."""

from __future__ import annotations

import importlib.util
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from lash.backends.sql.postgres_dialect import postgres_statement

BACKENDS = ("sqlite", "postgres")


@contextmanager
def stores(backend: str) -> Iterator[Any]:
    """Return what makes fresh databases: in a folder of their own, or on a server with PostgreSQL's own settings."""
    if backend == "sqlite":
        with tempfile.TemporaryDirectory(prefix="lash-bench-") as folder:
            names = iter(range(1_000_000))
            yield lambda: str(Path(folder) / f"bench-{next(names)}.db")
        return
    spec = importlib.util.spec_from_file_location(
        "postgres_server", Path(__file__).parents[1] / "tests" / "postgres_server.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.PostgresServer(is_durable=True)
    try:
        yield server.new_database
    finally:
        server.stop()


class Tables:
    """One connection past lash."""

    def __init__(self, url: str) -> None:
        self.is_postgres = url.startswith("postgres")
        self._connection: Any = None
        if self.is_postgres:
            import psycopg

            self._connection = psycopg.connect(url, autocommit=True)
        else:
            self._connection = apsw.Connection(url)
            self._connection.set_busy_timeout(60_000)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement that is the same in both dialects, and return its rows."""
        cursor = self._connection.execute(sql.encode() if self.is_postgres else sql)
        if self.is_postgres:
            return list(cursor.fetchall()) if cursor.description else []
        return list(cursor)

    def copy(self, table: str, where: str, count: int, **instead: str) -> None:
        """Copy one row so often; `instead` gives columns as expressions over the row `t` and the number `n.i`."""
        columns = self._columns(table)
        names = [name for name in columns if instead.get(name) != ""]
        values = [instead.get(name, f"t.{name}") for name in names]
        self.run(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
            f"INSERT INTO {table} ({', '.join(names)}) "
            f"SELECT {', '.join(values)} FROM {table} t, n WHERE {where} ORDER BY n.i"
        )

    def settle(self) -> None:
        """Bring statistics up to date, as the server's own housekeeping does in time."""
        if self.is_postgres:
            self.run("VACUUM ANALYZE")
        else:
            self.run("PRAGMA wal_checkpoint(TRUNCATE)")

    def plan(self, sql: str) -> list[str]:
        """Return how a statement of lash would be run, whatever its values."""
        if not self.is_postgres:
            return [str(row[3]) for row in self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", _nulls(sql))]
        text = postgres_statement(sql).text
        count = max(map(int, re.findall(r"\$(\d+)", text)), default=0)
        self.run("SET plan_cache_mode = force_generic_plan")
        self.run(f"PREPARE planned AS {text}")
        values = f"({', '.join(['NULL'] * count)})" if count else ""
        lines = self.run(f"EXPLAIN (COSTS OFF) EXECUTE planned{values}")
        self.run("DEALLOCATE planned")
        return [str(line[0]) for line in lines]

    def close(self) -> None:
        self._connection.close()

    def _columns(self, table: str) -> list[str]:
        if not self.is_postgres:
            return [row[1] for row in self.run(f"PRAGMA table_info({table})")]
        return [
            row[0]
            for row in self.run(
                f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' "
                "AND table_schema = current_schema() ORDER BY ordinal_position"
            )
        ]


def _nulls(sql: str) -> tuple[None, ...]:
    return (None,) * sql.count("?")
