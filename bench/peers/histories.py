"""A child: turns of one system as its history grows, against the same turn by hand in the same process.

python -m peers.histories SYSTEM FOLDER SIZES
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path

import turns as alone
from peers import fsyncs
from peers.children import Rows
from peers.systems import TALKERS
from peers.workload import ANSWER, RESULT, USER, Conversation, Talker

BLOCKS = 4  # raw and peer take turns in blocks, so that a noisy moment of the disk hits both
BLOCK = 10
CONTENT = len(USER) + 2 * len(RESULT) + len(ANSWER)
RESUMES = 5
LEAST_MESSAGES = 4  # of a turn, however a system cuts it: question, calls, results, answer


class Counted:
    """Turns of one conversation, counted, and checked to be answered over the whole history."""

    def __init__(self) -> None:
        self.done = 0

    async def turn(self, conversation: Conversation) -> float:
        """Take a turn; return its milliseconds."""
        start = time.perf_counter()
        answer = await conversation.turn()
        took_ms = (time.perf_counter() - start) * 1e3
        assert answer == ANSWER
        assert conversation.messages_seen() >= LEAST_MESSAGES * self.done, "the model was shown less than all"
        self.done += 1
        return took_ms


def bytes_written() -> int | None:
    """Return the bytes that this process has passed to write calls; None where the system does not say."""
    account = Path("/proc/self/io")
    if not account.exists():
        return None
    return int(account.read_text().split("wchar: ")[1].split()[0])


def a_turn(before: int | None, after: int | None) -> float | None:
    """Return the share of a turn in what a block added; None where nobody counts."""
    return None if before is None or after is None else (after - before) / BLOCK


def mean(figures: list[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return statistics.mean(known) if known else None


async def sample(
    rows: Rows, label: str, path: Path, talk: Conversation, turns: Counted, raw: alone.Raw
) -> None:
    """Measure blocks of turns at the present length of the history; the ratio is the median of theirs."""
    size, before = turns.done, alone.content_bytes(path)
    times, raws, syncs, written, worked = [], [], [], [], []
    for _ in range(BLOCKS):
        raws.append(statistics.median(alone.timed(raw.turn) for _ in range(BLOCK)))
        synced, wrote, cpu = fsyncs.so_far(), bytes_written(), time.process_time()
        times.append(statistics.median([await turns.turn(talk) for _ in range(BLOCK)]))
        worked.append((time.process_time() - cpu) * 1e3 / BLOCK)
        syncs.append(a_turn(synced, fsyncs.so_far()))
        written.append(a_turn(wrote, bytes_written()))
    grown = (alone.content_bytes(path) - before) / (BLOCKS * BLOCK)
    rows.row(
        f"{label}: turn at {size:,} turns of history",
        ms=statistics.median(times),
        raw_ms=statistics.median(raws),
        times_raw=statistics.median(took / by_hand for took, by_hand in zip(times, raws, strict=True)),
        cpu_ms=statistics.median(
            worked
        ),  # of all threads: what neither the disk nor a neighbour changes much
        fsyncs=mean(syncs),
        bytes_a_turn=grown,
        times_content=grown / CONTENT,
        written_a_turn=mean(written),
    )


async def measure(rows: Rows, label: str, folder: Path, sizes: list[int]) -> None:
    assert (USER, RESULT, ANSWER) == (alone.USER, alone.RESULT, alone.ANSWER)
    module, name = TALKERS[label]
    opened: Talker = getattr(import_module(f"peers.{module}"), name)
    path, raw, turns = folder / "peer.db", alone.Raw(folder / "raw.db"), Counted()
    async with opened(path) as talk:
        for size in sizes:
            while turns.done < size:
                await turns.turn(talk)
                raw.turn()
            await sample(rows, label, path, talk, turns, raw)
    resumes = []
    for _ in range(RESUMES):
        start = time.perf_counter()
        async with opened(path) as talk:
            await turns.turn(talk)
            resumes.append((time.perf_counter() - start) * 1e3)
    rows.row(f"{label}: open, load, one turn, at {turns.done:,} turns", ms=statistics.median(resumes))


def main() -> None:
    label, folder, sizes = sys.argv[1:]
    asyncio.run(measure(Rows(), label, Path(folder), [int(size) for size in sizes.split(",")]))
    sys.stderr.flush()
    os._exit(0)  # what a peer left running in threads is no part of the measurement


if __name__ == "__main__":
    main()
