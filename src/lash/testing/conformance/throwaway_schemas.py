"""Throw-away schemas in a PostgreSQL database that holds nothing: one a case, dropped after it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from lash.contracts import Database
from lash.errors import LashError
from lash.system import RandomIds
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.damage import postgres_damage
from lash.testing.conformance.opening import open_database
from lash.testing.conformance.trial import Reopenable

PREFIX = "lash_case_"  # what another run of the kit makes in the same database is no reason to refuse it
_SHOWN = 5
_HELD = """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%%'
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'lash\\_case\\_%%' ORDER BY 1"""


class ThrowAwaySchemas:
    """A template: the database of the URL, with schemas of its own.

    Args:
        url: As `open_database` takes it. Its role needs the right to create schemas.

    Raises:
        LashError: `conformance_database_not_empty` when there is a table of anybody in any schema;
            `store_unavailable` when the server cannot be reached; `extra_missing`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = RandomIds()
        self._made: str | None = None
        held = self._execute(_HELD)
        if held:
            shown = ", ".join(str(row[0]) for row in held[:_SHOWN])
            more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
            raise LashError(
                "conformance_database_not_empty",
                f"the database {_without_password(url)} holds {shown}{more}; name one that holds nothing "
                "(CREATE DATABASE …)",
                tables=[str(row[0]) for row in held],
            )

    async def make(self, clock: KitClock) -> Reopenable[Database]:
        """Return two handles on a fresh schema."""
        schema = PREFIX + "".join(filter(str.isalnum, self._ids.new("case"))).lower()
        await asyncio.to_thread(self._execute, f'CREATE SCHEMA "{schema}"')
        self._made = schema
        url = within_schema(self._url, schema)
        return Reopenable(
            open_database(url, clock),
            open_database(url, clock),
            address=url,
            damage=postgres_damage(driver_url(url)),
        )

    async def discard(self) -> None:
        """Drop the schema."""
        made, self._made = self._made, None
        if made is not None:
            await asyncio.to_thread(self._execute, f'DROP SCHEMA "{made}" CASCADE')

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:  # what the statement selects
        return execute(driver_url(self._url), sql)


def within_schema(url: str, schema: str) -> str:
    """Return the URL of a schema of the URL's database; a direct URL past a pooler goes with it."""

    def moved(name: str, value: str) -> str:
        return within_schema(value, schema) if name == "direct_url" else value

    parts = urlsplit(url)
    query = {name: moved(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    query["options"] = f"{query.get('options', '')} -csearch_path={schema}".strip()
    return _with_query(url, query)


def driver_url(url: str) -> str:
    """Return the URL as the driver takes it: without the parameters that are lash's, and past a pooler."""
    ours = ("pool_size", "prepare_threshold", "direct_url")
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if "direct_url" in query:
        return driver_url(query["direct_url"])
    return _with_query(url, {name: value for name, value in query.items() if name not in ours})


def execute(url: str, sql: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
    """Run one statement on a connection of its own.

    Raises:
        LashError: `store_unavailable`, `extra_missing`.
    """
    try:
        import psycopg
    except ModuleNotFoundError as problem:
        raise LashError(
            "extra_missing",
            "psycopg is not installed, and postgres: needs it; run: pip install lash-runtime[postgres]",
            extra="postgres",
        ) from problem
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), values)
            return cursor.fetchall() if cursor.description else []
    except psycopg.OperationalError as problem:
        raise LashError(
            "store_unavailable",
            f"the server of {_without_password(url)} cannot be reached: {problem}",
            retryable=True,
        ) from problem


def _with_query(url: str, query: Mapping[str, str]) -> str:
    parts = urlsplit(url)._replace(scheme="postgresql", query=urlencode(query, quote_via=quote))
    text = urlunsplit(parts)
    return text if parts.netloc else text.replace("postgresql:/", "postgresql:///", 1)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
