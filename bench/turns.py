"""A turn as the history grows: time, fsyncs and bytes, against the same rows written by hand in the same run.

One turn: 1 KB of user text, 2 tool calls with results, a 2 KB answer. Raw is one acceptance insert and one
turn commit, two transactions, in a file of its own, turn by turn beside lash's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path

import apsw
import msgspec

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import TokenUsage
from reporting import Report

SIZES = (10, 100, 1_000, 3_000)
SAMPLES = 40
GROWTH_SAMPLES = 400
USER = "u" * 1024
RESULT = "r" * 300
ANSWER = "a" * 2048
CONTENT_BYTES = len(USER) + 2 * len(RESULT) + len(ANSWER)
COST = TokenUsage(input_tokens=100, output_tokens=20)


class CountingDisk(apsw.VFS):
    """Counts syncs of every SQLite file of this process."""

    def __init__(self) -> None:
        self.syncs = 0
        super().__init__("counting", "unix", makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:
        return CountingFile(self, name, flags)


class CountingFile(apsw.VFSFile):
    def __init__(self, disk: CountingDisk, name: object, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:
        self._disk.syncs += 1
        super().xSync(flags)


class Raw:
    """The same bytes by hand."""

    def __init__(self, path: Path) -> None:
        self._db = apsw.Connection(str(path))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "temp_store=memory"):
            list(self._db.execute(f"pragma {pragma}"))
        self._db.execute(
            """
            create table queue(seq integer primary key autoincrement, body blob, state text);
            create table nodes(k integer primary key, id text, parent text, body blob);
            create unique index nodes_id on nodes(id);
            create table head(session text primary key, revision int, leaf text, body blob);
            create table usage(session text, key text primary key, body blob) without rowid;
            create table stamps(session text, turn text, hash text, body blob,
                                primary key(session, turn)) without rowid;
            """
        )
        self._turn = 0

    def turn(self) -> None:
        self._turn += 1
        turn = f"turn-{self._turn}"
        encode = msgspec.json.encode
        db = self._db
        with transaction(db):
            db.execute("insert into queue(body, state) values(?, 'claimed')", (encode({"text": USER}),))
        texts = [USER, "call call", RESULT, RESULT, ANSWER]
        with transaction(db):
            row = db.execute("select revision, leaf from head where session='s'").fetchone()
            revision, leaf = row or (0, None)
            db.execute("select body from stamps where session='s' and turn=?", (turn,)).fetchone()
            rows = []
            for at, text in enumerate(texts):
                node = f"n{revision:08x}.{at:03x}.0123456789abcdef"
                rows.append((revision << 8 | at, node, leaf, encode({"role": "x", "text": text})))
                leaf = node
            db.executemany("insert into nodes values(?,?,?,?)", rows)
            db.execute(
                "insert or replace into head values('s',?,?,?)", (revision + 1, leaf, encode({"turn": turn}))
            )
            for call_number in range(2):
                db.execute("insert into usage values('s',?,?)", (f"{turn}:{call_number}", encode(COST)))
            db.execute("update queue set state='completed', body=null where seq=?", (self._turn,))
            db.execute("insert into stamps values('s',?,?,?)", (turn, "h" * 64, encode({"ok": turn})))


@contextlib.contextmanager
def transaction(db: apsw.Connection):
    db.execute("begin immediate")
    yield
    db.execute("commit")


def agent(effect: str | None) -> lash.Agent:
    """Return an agent that makes two tool calls a turn, or none."""

    @lash.tool(effect=effect or "read_only")
    async def look(number: int) -> str:
        """Look something up."""
        return RESULT

    steps = (
        [reply(ANSWER, usage=COST)]
        if effect is None
        else [reply(call("look", number=1), call("look", number=2), usage=COST), reply(ANSWER, usage=COST)]
    )
    model = ScriptedModel(steps, by_request=True, chunk_chars=4096)
    # The model keeps no record of its requests here: it would copy the history for each of them.
    model.requests = Forgetful()
    return lash.Agent("bench", model=model, tools=[look])


class Forgetful(list):  # type: ignore[type-arg]
    def append(self, _: object) -> None:
        pass


async def history(folder: Path, disk: CountingDisk, report: Report, sizes: tuple[int, ...]) -> None:
    """Measure turns with two read-only calls at growing history."""
    raw = Raw(folder / "raw.db")
    async with lash.open(folder / "lash.db", agent("read_only")) as runtime:
        session = await runtime.session("s")
        done = 0
        first_ms = 0.0
        for size in sizes:
            while done < size:
                await session.turn(USER)
                raw.turn()
                done += 1
            lash_ms, raw_ms, syncs = [], [], []
            for _ in range(SAMPLES):
                raw_ms.append(timed(raw.turn))
                before = disk.syncs
                start = time.perf_counter()
                await session.turn(USER)
                lash_ms.append((time.perf_counter() - start) * 1e3)
                syncs.append(disk.syncs - before)
                done += 1
            middle = statistics.median(lash_ms)
            first_ms = first_ms or middle
            report.row(
                f"turn with 2 tool calls, {size} turns of history",
                lash_ms=middle,
                raw_ms=statistics.median(raw_ms),
                times_raw=middle / statistics.median(raw_ms),
                times_first=middle / first_ms,
                fsyncs=statistics.median(syncs),
            )


async def growth(folder: Path, report: Report, sizes: tuple[int, ...]) -> None:
    """Count the bytes of a turn. A file grows by whole pages, each tree for itself: few turns would tell little."""
    path, raw_path = folder / "growth.db", folder / "raw-growth.db"
    raw = Raw(raw_path)
    async with lash.open(path, agent("read_only")) as runtime:
        session = await runtime.session("s")
        done = 0
        for size in (sizes[0], sizes[-1]):
            for target in (size, size + GROWTH_SAMPLES):
                before, raw_before = content_bytes(path), content_bytes(raw_path)
                while done < target:
                    await session.turn(USER)
                    raw.turn()
                    done += 1
            bytes_a_turn = (content_bytes(path) - before) / GROWTH_SAMPLES
            report.row(
                f"growth over {GROWTH_SAMPLES} turns after {size} turns of history",
                bytes_a_turn=bytes_a_turn,
                times_content=bytes_a_turn / CONTENT_BYTES,
                raw_bytes_a_turn=(content_bytes(raw_path) - raw_before) / GROWTH_SAMPLES,
            )


async def kinds(folder: Path, disk: CountingDisk, report: Report) -> None:
    """Count the fsyncs of turns without tools and with each kind of tool."""
    for effect in (None, "read_only", "idempotent", "at_most_once"):
        async with lash.open(folder / f"kind-{effect}.db", agent(effect)) as runtime:
            session = await runtime.session("s")
            await session.turn(USER)
            syncs, times = [], []
            for _ in range(SAMPLES):
                before = disk.syncs
                start = time.perf_counter()
                await session.turn(USER)
                times.append((time.perf_counter() - start) * 1e3)
                syncs.append(disk.syncs - before)
            report.row(
                f"fsyncs of a turn, {'no tools' if effect is None else effect + ' tools'}",
                fsyncs=statistics.median(syncs),
                most=max(syncs),
                lash_ms=statistics.median(times),
            )


async def resume(folder: Path, report: Report) -> None:
    """Time a new process's way to its first turn on the long session."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        async with lash.open(folder / "lash.db", agent("read_only")) as runtime:
            session = await runtime.session("s")
            await session.turn(USER)
            times.append((time.perf_counter() - start) * 1e3)
    report.row("resume: open, load, one turn, on the longest history", lash_ms=statistics.median(times))


async def concurrent(folder: Path, report: Report) -> None:
    """Compare turns of many sessions at once with raw turns one after the other."""
    raw = Raw(folder / "raw-serial.db")
    count = 200
    start = time.perf_counter()
    for _ in range(count):
        raw.turn()
    raw_rate = count / (time.perf_counter() - start)
    for callers in (1, 8, 50, 200):
        async with lash.open(folder / f"callers-{callers}.db", agent(None)) as runtime:
            sessions = [await runtime.session(f"s{n}") for n in range(callers)]
            await asyncio.gather(*(session.turn(USER) for session in sessions))
            rounds = max(1, 400 // callers)
            start = time.perf_counter()
            for _ in range(rounds):
                await asyncio.gather(*(session.turn(USER) for session in sessions))
            rate = rounds * callers / (time.perf_counter() - start)
            report.row(
                f"turns without tools, {callers} sessions at once",
                turns_a_second=rate,
                raw_serial=raw_rate,
                times_raw=rate / raw_rate,
            )


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def content_bytes(path: Path) -> int:
    """Return the bytes in use of a database: its pages, without the free ones and the log."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    size = connection.pragma("page_size")
    used = connection.pragma("page_count") - connection.pragma("freelist_count")
    connection.close()
    return int(size) * int(used)


async def measure(folder: Path, disk: CountingDisk, report: Report, sizes: tuple[int, ...]) -> None:
    await history(folder, disk, report, sizes)
    await growth(folder, report, sizes if len(sizes) > 2 else (sizes[0], 600))
    await kinds(folder, disk, report)
    await resume(folder, report)
    await concurrent(folder, report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short histories only")
    options = parser.parse_args()
    report = Report("turns")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        disk = CountingDisk()
        sizes = SIZES[:2] if options.quick else SIZES
        asyncio.run(measure(Path(folder), disk, report, sizes))
    report.finish()


if __name__ == "__main__":
    main()
