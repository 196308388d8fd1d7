"""What the SQLite engine costs: awaited commits against the same statements by hand, in the same run.

    python bench/engine.py [--seconds 1.5] [--rounds 3]

The script has the shape of a small storage operation: two reads, then one row of about 700 bytes, a counter
and a stamp. `raw` is one connection in one thread, one transaction each. Absolute times depend on the disk of
the day; only the ratios are worth comparing. Prints a table and one JSON line.
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

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.engine.sqlite import Schema, SqliteEngine
from lash.system import RandomIds, SystemClock

SCHEMA = Schema(
    application_id=0x6C627631,
    migrations=(
        "CREATE TABLE head(sid INTEGER PRIMARY KEY, revision INTEGER NOT NULL);"
        "CREATE TABLE node(k INTEGER PRIMARY KEY, body BLOB NOT NULL);"
        "CREATE TABLE stamp(sid INTEGER, turn TEXT, PRIMARY KEY(sid, turn)) WITHOUT ROWID;",
    ),
)
BODY = b"x" * 700
READ_HEAD = "SELECT revision FROM head WHERE sid=?"
READ_STAMP = "SELECT turn FROM stamp WHERE sid=? AND turn=?"
ADD_NODE = "INSERT INTO node(k, body) VALUES(?, ?)"
SET_HEAD = (
    "INSERT INTO head(sid, revision) VALUES(?, ?) ON CONFLICT(sid) DO UPDATE SET revision=excluded.revision"
)
ADD_STAMP = "INSERT INTO stamp(sid, turn) VALUES(?, ?)"
CALLERS = (1, 8, 50, 200)


class Cell(NamedTuple):
    rate: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Step:
    """One commit of one session."""

    sid: int
    turn: int

    async def __call__(self, tx: Tx) -> int:
        turn = f"turn-{self.turn}"
        heads, _ = await tx.read(Query(int, READ_HEAD, self.sid), Query(str, READ_STAMP, self.sid, turn))
        revision = (heads[0] if heads else 0) + 1
        await tx.write(ADD_NODE, (self.sid << 32) | revision, BODY)
        await tx.write(SET_HEAD, self.sid, revision)
        await tx.write(ADD_STAMP, self.sid, turn)
        return revision

    def by_hand(self, connection: apsw.Connection) -> None:
        turn = f"turn-{self.turn}"
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute(READ_HEAD, (self.sid,)).fetchone()
        connection.execute(READ_STAMP, (self.sid, turn)).fetchone()
        revision = (row[0] if row else 0) + 1
        connection.execute(ADD_NODE, ((self.sid << 32) | revision, BODY))
        connection.execute(SET_HEAD, (self.sid, revision))
        connection.execute(ADD_STAMP, (self.sid, turn))
        connection.execute("COMMIT")


def cell(count: int, elapsed_s: float, waits_ms: list[float]) -> Cell:
    waits_ms.sort()
    return Cell(count / elapsed_s, waits_ms[len(waits_ms) // 2], waits_ms[int(len(waits_ms) * 0.99)])


def raw(seconds: float) -> Cell:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        connection = apsw.Connection(str(Path(directory) / "raw.db"), statementcachesize=200)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        connection.execute(SCHEMA.migrations[0])
        waits: list[float] = []
        start = time.perf_counter()
        while (began := time.perf_counter()) - start < seconds:
            Step(1, len(waits)).by_hand(connection)
            waits.append((time.perf_counter() - began) * 1000)
        elapsed = time.perf_counter() - start
        connection.close()
        return cell(len(waits), elapsed, waits)


async def engine(callers: int, seconds: float, *, durable: bool = True) -> Cell:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        store = SqliteEngine(Path(directory) / "engine.db", clock=SystemClock(), ids=RandomIds())
        await store.connect(SCHEMA)
        waits: list[float] = []
        start = time.perf_counter()

        async def caller(sid: int) -> None:
            turn = 0
            while (began := time.perf_counter()) - start < seconds:
                await store.run(Step(sid, turn), durable=durable)
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

    rows = {"raw serial": median_of(options.rounds, lambda: raw(options.seconds))}
    for callers in CALLERS:
        rows[f"engine, {callers} callers"] = median_of(
            options.rounds, lambda callers=callers: asyncio.run(engine(callers, options.seconds))
        )
    rows["engine, 1 caller, durable=False"] = median_of(
        options.rounds, lambda: asyncio.run(engine(1, options.seconds, durable=False))
    )
    base = rows["raw serial"]
    print(f"{'':34}{'commits/s':>11}{'x raw':>8}{'p50 ms':>9}{'x raw':>8}{'p99 ms':>9}")
    for name, measured in rows.items():
        print(
            f"{name:34}{measured.rate:11.0f}{measured.rate / base.rate:8.2f}{measured.p50_ms:9.3f}"
            f"{measured.p50_ms / base.p50_ms:8.2f}{measured.p99_ms:9.2f}"
        )
    print(json.dumps({name: measured._asdict() for name, measured in rows.items()}))


if __name__ == "__main__":
    main()
