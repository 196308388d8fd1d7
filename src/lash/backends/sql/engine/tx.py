"""What a storage script may do: the `Tx` protocol, and the `Engine` that runs scripts.

A script is a plain `async def` over a `Tx`. One text runs on every engine: a thread drives it to its end
without an event loop (SQLite), or a connection awaits it (PostgreSQL). That works only while scripts keep
four rules:

* nothing is awaited except methods of the `Tx`, and nothing outside it is changed: a script may be run again
  from its start when the transaction it shared with others was lost;
* reads come first, in one flight (`Tx.read`), then the decision, then writes whose answers nobody needs. A
  failed write may show only at the next read or at the commit, so a script never catches the error of a
  write;
* SQL text is constant, with `?` for each parameter. Lists are bound as one JSON text, never spliced in;
* a script that raises leaves no trace. That is how a failed precondition is reported.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar, overload

from lash.backends.sql.engine.hub import Hub

Value: TypeAlias = str | bytes | int | float | None
"""What a column holds and a parameter may be. A `bool` is bound as 0 or 1."""

T = TypeVar("T")
Row = TypeVar("Row")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")

RowType: TypeAlias = Callable[..., Row]
"""Makes a row out of its columns, given by position: a `NamedTuple`, a `msgspec.Struct`, or, for one column
that is never null, `int`, `str` or `bytes`."""


class Query(Generic[Row]):
    """A select that has not been sent yet, with the type of its rows; `Tx.read` sends several at once."""

    __slots__ = ("params", "row_type", "sql")

    def __init__(self, row_type: RowType[Row], sql: str, *params: Value) -> None:
        self.row_type = row_type
        self.sql = sql
        self.params = params


class Tx(Protocol):
    """One script's view of the transaction that it runs in."""

    @property
    def now_ms(self) -> int:
        """The time of this script, in milliseconds since the epoch: read once, in it (rule R-3)."""
        ...

    async def fetch_one(self, row_type: RowType[Row], sql: str, /, *params: Value) -> Row | None:
        """Return the first row of a statement, or None if it has none."""
        ...

    async def fetch_all(self, row_type: RowType[Row], sql: str, /, *params: Value) -> list[Row]:
        """Return every row of a statement."""
        ...

    @overload
    async def read(self, a: Query[A], /) -> tuple[list[A]]: ...
    @overload
    async def read(self, a: Query[A], b: Query[B], /) -> tuple[list[A], list[B]]: ...
    @overload
    async def read(self, a: Query[A], b: Query[B], c: Query[C], /) -> tuple[list[A], list[B], list[C]]: ...
    @overload
    async def read(
        self, a: Query[A], b: Query[B], c: Query[C], d: Query[D], /
    ) -> tuple[list[A], list[B], list[C], list[D]]: ...
    @overload
    async def read(
        self, a: Query[A], b: Query[B], c: Query[C], d: Query[D], e: Query[E], /
    ) -> tuple[list[A], list[B], list[C], list[D], list[E]]: ...
    @overload
    async def read(
        self, a: Query[A], b: Query[B], c: Query[C], d: Query[D], e: Query[E], f: Query[F], /
    ) -> tuple[list[A], list[B], list[C], list[D], list[E], list[F]]: ...
    @overload
    async def read(self, *queries: Query[Row]) -> tuple[list[Row], ...]: ...

    async def write(self, sql: str, /, *params: Value) -> None:
        """Queue one statement whose answer nobody needs."""
        ...

    async def write_many(self, sql: str, rows: Iterable[Sequence[Value]], /) -> None:
        """Queue one statement for each of the rows of parameters; no rows, no statement."""
        ...

    async def write_counted(self, sql: str, /, *params: Value) -> int:
        """Run a statement now and return how many rows it changed.

        For fences that cannot be decided by reading first; it costs a flight of its own.
        """
        ...

    def notify(self, topic: str, /) -> None:
        """Wake the subscribers of a topic, here and in other processes, once this script is committed.

        Notifications of one commit are merged by topic. They carry no data: whoever is woken reads the
        database. A topic is any text; short ones reach only their subscribers in other processes, too.
        """
        ...


Script: TypeAlias = Callable[[Tx], Coroutine[None, None, T]]
"""A storage transaction: `async def script(tx: Tx) -> T`, its arguments bound by a closure or
`functools.partial`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatistics:
    """What an engine has done since it was connected."""

    scripts: int
    """Write scripts that were committed."""
    commits: int
    """Transactions that committed them; fewer than `scripts` when callers shared one."""
    durable_commits: int
    """Commits that waited for the disk."""
    checkpoints: int
    """Times the write-ahead log was copied back completely; 0 on an engine that has none."""
    log_frames: int
    """Pages in the write-ahead log after the last commit; 0 on an engine that has none."""


class Engine(Protocol):
    """Runs scripts on one database. Belongs to the event loop on which it was connected."""

    @property
    def owner_id(self) -> str:
        """Names this engine among all that share the database, new at each start; claims carry it."""
        ...

    @property
    def hub(self) -> Hub:
        """Where to subscribe to the topics that scripts notify."""
        ...

    async def run(self, script: Script[T], *, durable: bool = True) -> T:
        """Run a script that writes, and return its result once it has been committed.

        With `durable=False` the commit is visible to everyone at once, but may be lost if the *machine* fails
        (not if a process is killed) before the next durable commit, which carries it along. That suits claims
        and heartbeats, and nothing that a caller is told is safe.

        A caller that is cancelled does not stop its script: it is run, or has been run, as a whole or not at
        all.
        """
        ...

    def submit(self, script: Script[T], *, durable: bool = True) -> asyncio.Future[T]:
        """Hand in a script that writes without waiting for it.

        Scripts, those of `run` included, are run in the order in which they were handed in. The future fails
        as `run` would; cancelling it does not stop the script.
        """
        ...

    async def read(self, script: Script[T]) -> T:
        """Run a script that only reads, on one snapshot, beside the writers.

        It sees everything that was answered before it started; a script that was submitted and not awaited
        may or may not have been committed yet.
        """
        ...

    def dead_owners(self, owner_ids: Collection[str]) -> set[str]:
        """Return those of the given engines, all of this host, that are gone, killed ones included."""
        ...

    def statistics(self) -> EngineStatistics:
        """Return what this engine has done since it was connected."""
        ...

    async def close(self) -> None:
        """Finish what was handed in, then let go of the database. Closing twice does nothing."""
        ...
