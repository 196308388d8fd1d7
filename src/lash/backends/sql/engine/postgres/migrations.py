"""Brings a database schema to what the program knows, forwards only, and looks whether it still is that.

The table `lash_schema` says whose tables these are, how many migrations they have seen, and which columns came
out of the last one. Each migration is one transaction under a lock that all openers take. A newer schema is
refused, because an older program cannot know what it would break; so are tables whose columns somebody
changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg

from lash.backends.sql.engine.postgres.connections import Driver
from lash.backends.sql.engine.postgres.failures import corrupt
from lash.backends.sql.engine.postgres.marks import MARK_TABLE
from lash.backends.sql.engine.postgres.owners import CLOCK_FUNCTIONS, OWNER_FUNCTIONS
from lash.backends.sql.engine.postgres.statements import Lock
from lash.errors import LashError

OLDEST_SERVER = 140_000

_LEDGER = """CREATE TABLE lash_schema (
    application_id bigint NOT NULL,
    version bigint NOT NULL,
    columns text NOT NULL                    -- JSON: of each table, its columns with their types
)"""
_READ_LEDGER = "SELECT application_id, version, columns FROM lash_schema"
_WRITE_LEDGER = "INSERT INTO lash_schema (application_id, version, columns) VALUES (%s, %s, %s)"
_COLUMNS = """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) ||
        CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
        AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'lash_schema'
    ORDER BY c.relname, a.attname"""
_TABLES = """SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"""

Columns = dict[str, dict[str, str]]
Row = tuple[Any, ...]  # what the statement selects


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSchema:
    """What the tables should look like."""

    application_id: int
    """Whose tables these are."""
    migrations: tuple[str, ...]
    """SQL texts, oldest first; the n-th leads from version n-1 to n. Published ones are never changed."""
    tables: frozenset[str]
    """The names that the migrations make; a schema that has one of them already is another program's."""

    @property
    def version(self) -> int:
        """The version that all migrations lead to."""
        return len(self.migrations)


async def prepare_schema(driver: Driver, schema: PostgresSchema, url: str) -> None:
    """Make the tables, migrate them, or find them as they should be.

    Raises:
        LashError: `store_foreign`, `schema_newer`, `store_corrupt`, `store_io` for a server that is too old.
        psycopg.Error: A migration failed. Its own step left no trace, the steps before it stay.
    """
    _check_server(driver, url)
    if await _inspect_at_once(driver, schema, url) == schema.version:
        return
    for _ in range(schema.version):
        async with driver.transaction():
            await driver.execute(
                "SELECT pg_advisory_xact_lock(%s)", (Lock(f"migration {schema.application_id}").number,)
            )
            found = await _inspect(driver, schema, url)  # another process may have been faster
            if found == schema.version:
                return
            await _step(driver, schema, found)


async def _inspect_at_once(driver: Driver, schema: PostgresSchema, url: str) -> int:
    """Inspect on one snapshot, without the lock: somebody may be migrating."""
    await driver.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    async with driver.transaction():
        found = await _inspect(driver, schema, url)
    await driver.set_isolation_level(None)
    return found


async def _inspect(driver: Driver, schema: PostgresSchema, url: str) -> int:
    """Return the version of tables that may be used; 0 if there are none."""
    # Catalogs are read by selects only: their functions answer from caches that may be behind.
    there = {row[0] for row in await _rows(driver, _TABLES)}
    if "lash_schema" not in there:
        if there & schema.tables:
            name = sorted(there & schema.tables)[0]
            raise _foreign(url, f"it has a table {name!r} and no table 'lash_schema'")
        return 0
    application_id, version, recorded = await _row(driver, _READ_LEDGER)
    if application_id != schema.application_id:
        raise _foreign(url, f"application id {application_id}, expected {schema.application_id}")
    if version > schema.version:
        raise LashError(
            "schema_newer",
            f"{url} has schema version {version}, and this lash knows versions up to {schema.version};"
            " nothing was changed: use a newer lash, or a copy that was made before it was migrated",
            url=url,
            found_version=version,
            known_version=schema.version,
        )
    _check_columns(url, msgspec.json.decode(recorded, type=Columns), await _columns(driver))
    return int(version)


async def _step(driver: Driver, schema: PostgresSchema, found: int) -> None:
    if found == 0:
        await driver.execute(_LEDGER)
        await driver.execute(CLOCK_FUNCTIONS)
        await driver.execute(OWNER_FUNCTIONS)
        await driver.execute(MARK_TABLE)
    await driver.execute(schema.migrations[found].encode())
    await driver.execute("DELETE FROM lash_schema")
    columns = msgspec.json.encode(await _columns(driver)).decode()
    await driver.execute(_WRITE_LEDGER, (schema.application_id, found + 1, columns))


def _check_columns(url: str, expected: Columns, actual: Columns) -> None:
    missing, changed = [], []
    for table, columns in expected.items():
        if table not in actual:
            missing.append(table)
            continue
        for column, kind in columns.items():
            if column not in actual[table]:
                missing.append(f"{table}.{column}")
            elif actual[table][column] != kind:
                changed.append(f"{table}.{column}: {actual[table][column]}, was {kind}")
    if missing or changed:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"changed {', '.join(changed)}"] if changed else []
        raise corrupt(url, "; ".join(parts), missing=missing, changed=changed)


def _check_server(driver: Driver, url: str) -> None:
    if driver.info.server_version < OLDEST_SERVER:
        raise LashError(
            "store_io",
            f"the server of {url} is PostgreSQL {driver.info.server_version // 10_000}; lash needs"
            f" {OLDEST_SERVER // 10_000} or newer",
            url=url,
        )


def _foreign(url: str, detail: str) -> LashError:
    return LashError(
        "store_foreign",
        f"the schema of {url} belongs to another program ({detail}); nothing was changed: name another database,"
        " or another schema by options=-csearch_path=NAME",
        url=url,
        detail=detail,
    )


async def _columns(driver: Driver) -> Columns:
    columns: Columns = {}
    for table, column, kind in await _rows(driver, _COLUMNS):
        columns.setdefault(table, {})[column] = kind
    return columns


async def _rows(driver: Driver, sql: str) -> list[Row]:
    return list(await (await driver.execute(sql.encode())).fetchall())


async def _row(driver: Driver, sql: str) -> Row:
    row = await (await driver.execute(sql.encode())).fetchone()
    if row is None:
        raise psycopg.DataError("lash_schema has no row")
    return row
