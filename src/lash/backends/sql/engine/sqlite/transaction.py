"""`Tx` on SQLite: one for each script, on a connection that is already inside a transaction.

Once a statement has failed, the transaction may be gone (SQLite undoes all of it when the disk is full), and
a further statement would commit on its own. So after a failure every later call fails in the same way, and
the script counts as failed even if it caught the error.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import apsw

from lash.backends.sql.engine.tx import Query, RowType, Value
from lash.errors import LashBug

Row = TypeVar("Row")


class SqliteTx:
    """A script's view of the open transaction of one connection."""

    __slots__ = ("_connection", "failure", "now_ms", "topics")

    def __init__(self, connection: apsw.Connection, now_ms: int) -> None:
        self._connection = connection
        self.now_ms = now_ms
        self.topics: dict[str, None] = {}
        self.failure: apsw.Error | None = None

    async def fetch_one(self, row_type: RowType[Row], sql: str, /, *params: Value) -> Row | None:
        try:
            row = self._execute(sql, params).fetchone()
        except apsw.Error as error:
            self._fail(error)
        return None if row is None else row_type(*row)

    async def fetch_all(self, row_type: RowType[Row], sql: str, /, *params: Value) -> list[Row]:
        return self._select(row_type, sql, params)

    async def read(self, *queries: Query[Any]) -> Any:  # the overloads of Tx.read give the types
        return tuple([self._select(query.row_type, query.sql, query.params) for query in queries])

    async def write(self, sql: str, /, *params: Value) -> None:
        try:
            self._execute(sql, params)
        except apsw.Error as error:
            self._fail(error)

    async def write_many(self, sql: str, rows: Iterable[Sequence[Value]], /) -> None:
        self._refuse_after_failure()
        try:
            self._connection.executemany(sql, rows)
        except apsw.Error as error:
            self._fail(error)

    async def write_counted(self, sql: str, /, *params: Value) -> int:
        try:
            self._execute(sql, params)
            return self._connection.changes()
        except apsw.Error as error:
            self._fail(error)

    def notify(self, topic: str, /) -> None:
        self.topics[topic] = None

    def _select(self, row_type: RowType[Row], sql: str, params: tuple[Value, ...]) -> list[Row]:
        try:
            rows = self._execute(sql, params).fetchall()
        except apsw.Error as error:
            self._fail(error)
        return [row_type(*row) for row in rows]

    def _execute(self, sql: str, params: tuple[Value, ...]) -> apsw.Cursor:
        self._refuse_after_failure()
        return self._connection.execute(sql, params)

    def _refuse_after_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _fail(self, error: apsw.Error) -> NoReturn:
        self.failure = error
        raise error


class ReadOnlyTx(SqliteTx):
    """A reader's view of one snapshot: whatever writes is refused as a bug of the script."""

    __slots__ = ()

    async def write(self, sql: str, /, *params: Value) -> None:
        _refuse("write")

    async def write_many(self, sql: str, rows: Iterable[Sequence[Value]], /) -> None:
        _refuse("write_many")

    async def write_counted(self, sql: str, /, *params: Value) -> int:
        _refuse("write_counted")

    def notify(self, topic: str, /) -> None:
        _refuse("notify")


def _refuse(what: str) -> NoReturn:
    raise LashBug(f"a read script called Tx.{what}; scripts that write belong to Engine.run or Engine.submit")
