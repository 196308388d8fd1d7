"""The queue: items claimed and completed a second, beside the same promise by hand in the same run.

    python bench/queues.py [--quick] [--backend sqlite|postgres] [--items 10000] [--rounds 3]

One worker process and four, item by item and 64 at once. A session's work is done in order, one claim after the
other, so what one worker does at once it does for several sessions: `16 sessions` is a worker that serves as
many, and shares its fsyncs among them. (It is not called `queue.py`: beside the other scripts that name would
hide the module of the standard library from all of them.)
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lash.backends import open_database
from lash.values import (
    DeliveryPolicy,
    MergePayloadDefault,
    QueuedWorkBatchDraft,
    SlotPolicy,
    TurnInput,
    TurnInputPayload,
)
from queue_workers import RAW_INDEX, RAW_TABLE
from reporting import Report
from stores import BACKENDS, Tables, stores

BODY = "x" * 200
WORKER = Path(__file__).with_name("queue_workers.py")


@dataclass(frozen=True)
class Shape:
    """How work is taken: by so many processes, each for so many sessions, so many items at once."""

    workers: int
    sessions: int
    batch: int

    def __str__(self) -> str:
        of = "item by item" if self.batch == 1 else f"{self.batch} at once"
        sessions = "" if self.sessions == 1 else f", {self.sessions} sessions each"
        return f"{self.workers} worker{'s' * (self.workers > 1)}{sessions}, {of}"

    @property
    def names(self) -> list[list[str]]:
        """The sessions of each worker."""
        return [
            [f"s{worker}-{session}" for session in range(self.sessions)] for worker in range(self.workers)
        ]


SHAPES = [
    Shape(workers, sessions, batch)
    for batch, sessions in ((1, 1), (1, 16), (64, 1), (64, 4))
    for workers in (1, 4)
]


def lash_rate(url: str, shape: Shape, items: int) -> float:
    """Return the items a second of lash's workers."""
    asyncio.run(_fill(url, shape, items))
    commands = [["lash", url, "w", str(shape.batch), *names] for names in shape.names]
    return _timed(commands, items)


def raw_rate(url: str, shape: Shape, items: int) -> float:
    """Return the items a second of the same promise by hand."""
    tables = Tables(url)
    if not tables.is_postgres:
        tables.run("PRAGMA journal_mode = WAL")
    tables.run(RAW_TABLE)
    tables.run(RAW_INDEX)
    tables.run(f"""INSERT INTO raw_queue (seq, body) WITH RECURSIVE n(i) AS
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {items}) SELECT i, '{BODY}' FROM n""")
    tables.settle()
    tables.close()
    return _timed([["raw", url, f"w{n}", str(shape.batch)] for n in range(shape.workers)], items)


async def _fill(url: str, shape: Shape, items: int) -> None:
    """Enqueue one item a session through lash, and the others as copies of its rows."""
    database = open_database(url)
    batches = {}
    names = [name for of_worker in shape.names for name in of_worker]
    for session_id in names:
        draft = QueuedWorkBatchDraft(
            session_id=session_id,
            delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=SlotPolicy.JOIN,
            merge_key=MergePayloadDefault(),
            payloads=(TurnInputPayload(input=TurnInput.text(BODY)),),
        )
        batch = await database.runtime_persistence().enqueue_queued_work(draft)
        batches[session_id] = batch.batch_id
    await database.close()
    tables = Tables(url)
    for batch_id in batches.values():
        ((first,),) = tables.run(f"SELECT enqueue_seq FROM queue WHERE batch_id = '{batch_id}'")
        count = items // len(names) - 1
        tables.copy(
            "queue", f"t.batch_id = '{batch_id}'", count, enqueue_seq="", batch_id="t.batch_id || '.' || n.i"
        )
        tables.run(f"""INSERT INTO queue_items (enqueue_seq, items) SELECT q.enqueue_seq, i.items
            FROM queue q, queue_items i WHERE i.enqueue_seq = {first} AND q.batch_id LIKE '{batch_id}.%'""")
    tables.settle()
    tables.close()


def _timed(commands: list[list[str]], items: int) -> float:
    """Start the workers, let them go together, and return the items a second until the last one is done."""
    workers: list[Any] = [
        subprocess.Popen(
            [sys.executable, str(WORKER), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    done = sum(int(worker.stdout.readline()) for worker in workers)
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.communicate()
    assert done == items // 64 * 64, f"{done} of {items} items were done"
    return done / seconds


def measure(report: Report, backend: str, items: int, rounds: int) -> None:
    with stores(backend) as new_url:
        for shape in SHAPES:
            pairs = [
                (raw_rate(new_url(), shape, items), lash_rate(new_url(), shape, items)) for _ in range(rounds)
            ]
            raw, lash = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(ours / by_hand for by_hand, ours in pairs)
            report.row(f"{backend}: {shape}", items_a_second=lash, raw=raw, times_raw=ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of fewer items")
    parser.add_argument("--backend", choices=BACKENDS)
    parser.add_argument("--items", type=int, default=10_048)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    items, rounds = (1_024, 1) if options.quick else (options.items // 64 * 64, options.rounds)
    report = Report("queues")
    for backend in [options.backend] if options.backend else BACKENDS:
        measure(report, backend, items, rounds)
    report.finish()


if __name__ == "__main__":
    main()
