"""What the SQLite engine costs: awaited commits against the same statements by hand, in the same run.

    python bench/engine.py [--seconds 1.5] [--rounds 3]

Two shapes. `turn` is the commit of a turn: four checks, five nodes of 740 bytes, a head, two usage rows, a
queue delete and a stamp. `row` is the smallest useful step: two checks, one row, a head and a stamp. `raw` is
one connection in one thread, one transaction each. Absolute times depend on the disk of the day; only the
ratios are worth comparing. Prints a table for each shape, and one JSON line.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import apsw

from lash.backends.sql.engine import Query, RowType, Tx, Value
from lash.backends.sql.engine.sqlite import Schema, SqliteEngine
from lash.system import RandomIds, SystemClock

SCHEMA = Schema(
    application_id=0x6C627631,
    migrations=(
        "CREATE TABLE head(sid INTEGER PRIMARY KEY, revision INTEGER NOT NULL, leaf TEXT) WITHOUT ROWID;"
        "CREATE TABLE node(k INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL);"
        "CREATE INDEX node_id ON node(k >> 32, id);"
        "CREATE TABLE usage(k INTEGER PRIMARY KEY, sid INTEGER NOT NULL, tokens INTEGER NOT NULL);"
        "CREATE TABLE queue(sid INTEGER, seq INTEGER, PRIMARY KEY(sid, seq)) WITHOUT ROWID;"
        "CREATE TABLE stamp(sid INTEGER, turn TEXT, PRIMARY KEY(sid, turn)) WITHOUT ROWID;",
    ),
)
BODY = b"x" * 740
READ_HEAD = "SELECT revision FROM head WHERE sid=?"
READ_STAMP = "SELECT turn FROM stamp WHERE sid=? AND turn=?"
READ_QUEUE = "SELECT seq FROM queue WHERE sid=? AND seq=?"
READ_LEAF = "SELECT id FROM node WHERE k=?"
ADD_NODE = "INSERT INTO node(k, id, body) VALUES(?, ?, ?)"
SET_HEAD = (
    "INSERT INTO head(sid, revision, leaf) VALUES(?, ?, ?)"
    " ON CONFLICT(sid) DO UPDATE SET revision=excluded.revision, leaf=excluded.leaf"
)
ADD_USAGE = "INSERT INTO usage(sid, tokens) VALUES(?, ?)"
DROP_QUEUED = "DELETE FROM queue WHERE sid=? AND seq=?"
ADD_STAMP = "INSERT INTO stamp(sid, turn) VALUES(?, ?)"
CALLERS = (1, 8, 50, 200)


class Cell(NamedTuple):
    rate: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Step:
    """One commit of one session, in one of the two shapes."""

    sid: int
    turn: int
    nodes: int

    def checks(self) -> list[tuple[RowType[int | str], str, tuple[Value, ...]]]:
        checks: list[tuple[RowType[int | str], str, tuple[Value, ...]]] = [
            (int, READ_HEAD, (self.sid,)),
            (str, READ_STAMP, (self.sid, f"turn-{self.turn}")),
        ]
        if self.nodes > 1:
            checks.append((int, READ_QUEUE, (self.sid, self.turn)))
            checks.append((str, READ_LEAF, ((self.sid << 32) | (self.turn * self.nodes),)))
        return checks

    def node_rows(self) -> list[tuple[Value, ...]]:
        first = self.turn * self.nodes + 1
        return [
            ((self.sid << 32) | seq, f"{seq:010}-{self.sid}", BODY)
            for seq in range(first, first + self.nodes)
        ]

    def writes(self, revision: int) -> list[tuple[str, tuple[Value, ...]]]:
        writes: list[tuple[str, tuple[Value, ...]]] = [
            (SET_HEAD, (self.sid, revision, "leaf")),
            (ADD_STAMP, (self.sid, f"turn-{self.turn}")),
        ]
        if self.nodes > 1:
            writes += [
                (ADD_USAGE, (self.sid, 7)),
                (ADD_USAGE, (self.sid, 8)),
                (DROP_QUEUED, (self.sid, self.turn)),
            ]
        return writes

    async def __call__(self, tx: Tx) -> int:
        heads, *_ = await tx.read(*[Query(kind, sql, *params) for kind, sql, params in self.checks()])
        revision = int(heads[0]) + 1 if heads else 1
        await tx.write_many(ADD_NODE, self.node_rows())
        for sql, params in self.writes(revision):
            await tx.write(sql, *params)
        return revision

    def by_hand(self, connection: apsw.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        heads, *_ = [connection.execute(sql, params).fetchall() for _, sql, params in self.checks()]
        revision = heads[0][0] + 1 if heads else 1
        connection.executemany(ADD_NODE, self.node_rows())
        for sql, params in self.writes(revision):
            connection.execute(sql, params)
        connection.execute("COMMIT")


def cell(count: int, elapsed_s: float, waits_ms: list[float]) -> Cell:
    waits_ms.sort()
    return Cell(count / elapsed_s, waits_ms[len(waits_ms) // 2], waits_ms[int(len(waits_ms) * 0.99)])


def raw(nodes: int, seconds: float) -> Cell:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        connection = apsw.Connection(str(Path(directory) / "raw.db"), statementcachesize=200)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        connection.execute(SCHEMA.migrations[0])
        waits: list[float] = []
        start = time.perf_counter()
        while (began := time.perf_counter()) - start < seconds:
            Step(1, len(waits), nodes).by_hand(connection)
            waits.append((time.perf_counter() - began) * 1000)
        elapsed = time.perf_counter() - start
        connection.close()
        return cell(len(waits), elapsed, waits)


async def engine(nodes: int, callers: int, seconds: float, *, durable: bool = True) -> Cell:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        store = SqliteEngine(Path(directory) / "engine.db", clock=SystemClock(), ids=RandomIds())
        await store.connect(SCHEMA)
        waits: list[float] = []
        start = time.perf_counter()

        async def caller(sid: int) -> None:
            turn = 0
            while (began := time.perf_counter()) - start < seconds:
                await store.run(Step(sid, turn, nodes), durable=durable)
                waits.append((time.perf_counter() - began) * 1000)
                turn += 1

        await asyncio.gather(*(caller(sid) for sid in range(1, callers + 1)))
        elapsed = time.perf_counter() - start
        await store.close()
        return cell(len(waits), elapsed, waits)


def median_of(rounds: int, measure: Callable[[], Cell]) -> Cell:
    cells = []
    for _ in range(rounds):
        cells.append(measure())
        time.sleep(0.2)  # let a throttled disk rest between runs
    return Cell(*(statistics.median(column) for column in zip(*cells, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps({shape: table(shape, nodes, options) for shape, nodes in (("turn", 5), ("row", 1))}))


def table(shape: str, nodes: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    rounds, seconds = options.rounds, options.seconds
    rows = {"raw serial": median_of(rounds, lambda: raw(nodes, seconds))}
    for callers in CALLERS:
        name = f"engine, {callers} caller{'s' * (callers > 1)}"
        rows[name] = median_of(rounds, lambda n=callers: asyncio.run(engine(nodes, n, seconds)))
    rows["engine, 1 caller, durable=False"] = median_of(
        rounds, lambda: asyncio.run(engine(nodes, 1, seconds, durable=False))
    )
    base = rows["raw serial"]
    print(f"{shape:34}{'commits/s':>11}{'x raw':>8}{'p50 ms':>9}{'x raw':>8}{'p99 ms':>9}")
    for name, measured in rows.items():
        print(
            f"{name:34}{measured.rate:11.0f}{measured.rate / base.rate:8.2f}{measured.p50_ms:9.3f}"
            f"{measured.p50_ms / base.p50_ms:8.2f}{measured.p99_ms:9.2f}"
        )
    return {name: measured._asdict() for name, measured in rows.items()}


if __name__ == "__main__":
    main()
