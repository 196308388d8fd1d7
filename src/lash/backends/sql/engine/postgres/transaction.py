"""`Tx` on PostgreSQL: statements go out as they come, and are waited for only where an answer is needed.

The first flight opens the transaction and brings the server's time, which tells whether the one that the
script works with was right. Each flight begins with its locks, in one order, so that scripts whose flights
lock the same names wait for each other instead of stopping each other.

Once a statement has failed, the script counts as failed even if it caught the error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import psycopg

from lash.backends.sql.engine.postgres.clock import ServerClock
from lash.backends.sql.engine.postgres.connections import Session
from lash.backends.sql.engine.postgres.settings import PostgresSettings
from lash.backends.sql.engine.postgres.statements import Dialect, Lock, Locks, Statement
from lash.backends.sql.engine.postgres.turnstile import Ticket
from lash.backends.sql.engine.tx import Query, RowType, Value
from lash.errors import LashBug

Row = TypeVar("Row")
Cursor = psycopg.AsyncRawCursor[tuple[Any, ...]]  # a row holds what its statement selects

_TAKE_ALONE = "SELECT pg_advisory_xact_lock(n) FROM unnest($1::bigint[]) n"
_TAKE_SHARED = "SELECT pg_advisory_xact_lock_shared(n) FROM unnest($1::bigint[]) n"
_BEGIN_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN_READING_LOCKED = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
_LIMITS = """set_config('lock_timeout', $1::text, true),
    set_config('idle_in_transaction_session_timeout', $2::text, true)"""
_OPENING = f"SELECT lash_now(), {_LIMITS}"  # constants only
_OPENING_VISIBLE = f"{_OPENING}, set_config('synchronous_commit', 'off', true)"
_FREEZE = "SELECT set_config('lash.test_now_ms', $1::text, true)"


class ClockWasWrong(Exception):
    """The script was given a time too far from the server's; it has to be run again."""


class PostgresTx:
    """A script's view of the transaction of one session, which its first statement opens."""

    __slots__ = (
        "_clock",
        "_dialect",
        "_foretold",
        "_held",
        "_opening",
        "_sent_ms",
        "_settings",
        "_take",
        "_ticket",
        "failure",
        "foreseen",
        "has_written",
        "is_answered",
        "is_durable",
        "now_ms",
        "session",
        "topics",
    )

    def __init__(
        self,
        take: Callable[[], Awaitable[Session]],
        dialect: Dialect,
        clock: ServerClock,
        settings: PostgresSettings,
        *,
        ticket: Ticket,
        is_durable: bool = False,
    ) -> None:
        """Begin nothing yet.

        Args:
            take: Returns the session to use. It is asked only when the script's turn has come.
            dialect: What statements mean.
            clock: The server's time.
            settings: The numbers to work by.
            ticket: The script's place among those that lock the same names.
            is_durable: Whether the commit waits for the disk.
        """
        self._take = take
        self._ticket = ticket
        self.session: Session | None = None
        self._dialect = dialect
        self._clock = clock
        self._settings = settings
        self._held: set[Lock] = set()
        self._foretold: list[Query[Any]] = []  # rows of several types, as are those of `foreseen`
        self._opening: Cursor | None = None
        self._sent_ms = 0
        self.is_durable = is_durable
        self.now_ms = clock.now_ms()
        self.is_answered = False
        self.topics: dict[str, None] = {}
        self.foreseen: list[Any] = []  # the rows of whatever was foretold
        self.has_written = False
        self.failure: BaseException | None = None

    is_writer = True

    @property
    def is_open(self) -> bool:
        """Whether the transaction was begun."""
        return self._opening is not None

    async def fetch_one(self, row_type: RowType[Row], sql: str, /, *params: Value) -> Row | None:
        rows = await self.fetch_all(row_type, sql, *params)
        return rows[0] if rows else None

    async def fetch_all(self, row_type: RowType[Row], sql: str, /, *params: Value) -> list[Row]:
        rows: list[Row] = (await self.read(Query(row_type, sql, *params)))[0]
        return rows

    def foretell(self, query: Query[Any]) -> None:  # of any row type
        """Send a query along with the next flight; its rows are added to `foreseen`."""
        self._foretold.append(query)

    async def read(self, *queries: Query[Any]) -> Any:  # the overloads of Tx.read give the types
        with _Noting(self):
            along, self._foretold = self._foretold, []
            await self._begin_flight([(query.sql, query.params) for query in (*queries, *along)])
            cursors = [await self._send(query.sql, query.params) for query in queries]
            extra = [await self._send(query.sql, query.params) for query in along]
            await self.sync()
            for query, cursor in zip(along, extra, strict=True):
                self.foreseen += [query.row_type(*row) for row in await cursor.fetchall()]
            return tuple(
                [
                    [query.row_type(*row) for row in await cursor.fetchall()]
                    for query, cursor in zip(queries, cursors, strict=True)
                ]
            )

    async def write(self, sql: str, /, *params: Value) -> None:
        with _Noting(self):
            self.has_written = True
            await self._begin_flight([(sql, params)])
            await self._send(sql, params)

    async def write_many(self, sql: str, rows: Iterable[Sequence[Value]], /) -> None:
        bound = [tuple(row) for row in rows]
        if not bound:
            return
        with _Noting(self):
            self.has_written = True
            session = await self._begin_flight([(sql, params) for params in bound])
            await session.send_many(self._dialect(sql).writing_text, bound)

    async def write_counted(self, sql: str, /, *params: Value) -> int:
        with _Noting(self):
            self.has_written = True
            await self._begin_flight([(sql, params)])
            cursor = await self._send(sql, params)
            await self.sync()
            return cursor.rowcount

    def notify(self, topic: str, /) -> None:
        self.topics[topic] = None

    async def sync(self) -> None:
        """Wait for all answers, and check what the opening of the transaction brought.

        Raises:
            psycopg.Error: A statement failed.
            ClockWasWrong: The script has to be run again.
        """
        assert self.session is not None
        await self.session.sync()
        if self._opening is None or self.is_answered:
            return
        row = await self._opening.fetchone()
        assert row is not None
        self.is_answered = True
        off_ms = self._clock.learn(row[0], self._sent_ms, self._clock.local_ms())
        if off_ms > self._settings.clock_tolerance_ms:
            raise ClockWasWrong

    async def _send(self, sql: str, params: tuple[Value, ...]) -> Cursor:
        statement, session = self._dialect(sql), self.session
        assert session is not None
        self.has_written |= statement.is_change
        if statement.before is not None and self.is_writer:
            await session.send(statement.before, params)
        return await session.send(self._text(statement), params)

    async def _begin_flight(self, flight: Sequence[tuple[str, tuple[Value, ...]]]) -> Session:
        """Open the transaction if this is its first flight, take the flight's locks, and return the session.

        Raises:
            ClockWasWrong: The script's turn came so late that it needs another time.
        """
        if self.failure is not None:
            raise self.failure
        statements = [(self._dialect(sql), params) for sql, params in flight]
        locks = {lock for statement, params in statements for lock in self._locks(statement)(params)}
        if self._opening is None:
            await self._ticket.take(lock.name for lock in locks if not lock.is_shared)
            if self._clock.now_ms() - self.now_ms > self._settings.clock_tolerance_ms:
                raise ClockWasWrong
            self.session = await self._take()
            await self._open(self.session, statements[0][0])
        assert self.session is not None
        await self._lock(self.session, locks - self._held)
        return self.session

    async def _lock(self, session: Session, locks: set[Lock]) -> None:
        self._held |= locks
        for text, is_shared in ((_TAKE_ALONE, False), (_TAKE_SHARED, True)):
            numbers = sorted(lock.number for lock in locks if lock.is_shared is is_shared)
            if numbers:
                await session.send(text, (numbers,))

    async def _open(self, session: Session, first: Statement) -> None:
        self._sent_ms = self._clock.local_ms()
        await session.send(self._begin(first))
        if self._clock.is_frozen:
            await session.send(_FREEZE, (str(self.now_ms),))
        limits = (str(self._settings.busy_timeout_ms), str(self._settings.abandoned_ms))
        self._opening = await session.send(self._opening_text(), limits)

    def _text(self, statement: Statement) -> str:
        return statement.writing_text

    def _locks(self, statement: Statement) -> Locks:
        return statement.locks

    def _begin(self, first: Statement) -> str:
        return _BEGIN_WRITING

    def _opening_text(self) -> str:
        return _OPENING if self.is_durable else _OPENING_VISIBLE


class ReadOnlyTx(PostgresTx):
    """A reader's view of one snapshot: whatever writes is refused as a bug of the script."""

    __slots__ = ()
    is_writer = False

    async def write(self, sql: str, /, *params: Value) -> None:
        _refuse("write")

    async def write_many(self, sql: str, rows: Iterable[Sequence[Value]], /) -> None:
        _refuse("write_many")

    async def write_counted(self, sql: str, /, *params: Value) -> int:
        _refuse("write_counted")

    def notify(self, topic: str, /) -> None:
        _refuse("notify")

    def _text(self, statement: Statement) -> str:
        return statement.text

    def _locks(self, statement: Statement) -> Locks:
        return statement.reading_locks

    def _begin(self, first: Statement) -> str:
        # A lock is of use only to a snapshot that is taken after it.
        return _BEGIN_READING if not first.reading_locks_anything else _BEGIN_READING_LOCKED

    def _opening_text(self) -> str:
        return _OPENING


class _Noting:
    """Remembers the first failure of a transaction, whatever the script makes of it."""

    __slots__ = ("_tx",)

    def __init__(self, tx: PostgresTx) -> None:
        self._tx = tx

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (psycopg.Error, ClockWasWrong)) and self._tx.failure is None:
            self._tx.failure = error


def _refuse(what: str) -> NoReturn:
    raise LashBug(f"a read script called Tx.{what}; scripts that write belong to Engine.run or Engine.submit")
