"""Logs that grow, and running work beside work that is over: what stays flat, up to a million rows.

    python bench/events.py [--quick] [--backend sqlite|postgres] [--rows 1000000]

The rows are made by copies past lash; what is measured are lash's own calls. Each is made in turns with the same
call where there is little (a log of a few hundred events, a database without finished work), so that both meet
the same disk and the same neighbours: `times_little` is what the rows cost. At the end the plans are printed that
the statements have beside all the rows.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

from lash.backends import open_database
from lash.backends.sql import process_log, process_rows, queue_rows
from lash.contracts import Database
from lash.values import (
    AgentFrameRecord,
    AwaitSuccess,
    DeliveryPolicy,
    ExternalInput,
    GraphUnchanged,
    HydratedSessionCheckpoint,
    MergePayloadDefault,
    PersistedTurnState,
    ProcessEventAppendRequest,
    ProcessEventType,
    ProcessRegistration,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    RuntimeCommit,
    SessionConfig,
    SlotPolicy,
    TurnInput,
    TurnInputPayload,
)
from reporting import Report
from stores import BACKENDS, Tables, stores

SAMPLES = 100
RUNNING = 50
PAGE = 100
PLANS = {
    "events after": process_log.EVENTS_BETWEEN,
    "append: the process": process_rows.FIND_PROCESS,
    "append: a key again": process_rows.FIND_REPLAYED,
    "list non-terminal": process_rows.RUNNING_PROCESSES,
    "claim: free rows": queue_rows.FREE_ROWS,
    "claim: taken rows": queue_rows.TAKEN_ROWS,
    "claim: the batches": queue_rows.BATCHES_AT,
}

Call = Callable[[int], Awaitable[object]]


class Flatness:
    """Times of calls where there is much, each beside the same call where there is little."""

    def __init__(self, report: Report, backend: str) -> None:
        self._report, self._backend = report, backend

    async def measure(self, name: str, size: int, much: Call, little: Call) -> None:
        """Time both in turns, so that they meet the same disk and the same neighbours; a call gets its number."""
        times: list[float] = []
        others: list[float] = []
        for number in range(-2, SAMPLES):  # below 0 statements are prepared and pages are read
            took, other = await _timed_ms(much, number), await _timed_ms(little, number)
            if number >= 0:
                times.append(took)
                others.append(other)
        middle, beside = statistics.median(times), statistics.median(others)
        self._report.row(
            f"{self._backend}: {name}, {size:,} rows",
            lash_ms=middle,
            little_ms=beside,
            times_little=middle / beside,
        )


async def _timed_ms(call: Call, number: int) -> float:
    began = time.perf_counter()
    await call(number)
    return (time.perf_counter() - began) * 1e3


class Log:
    """One log, and what is done with it."""

    def __init__(self, database: Database, name: str) -> None:
        self._registry, self._name = database.process_registry, name
        self.length = PAGE
        self.era = 0  # keys are new in each

    async def begin(self) -> None:
        """Register the process and append a page of events."""
        line = ProcessEventType(name="line")
        registration = ProcessRegistration(id=self._name, input=ExternalInput())
        await self._registry.register_process(registration.with_extra_event_types([line]))
        for _ in range(PAGE):
            await self._registry.append_event(self._name, _event(None))

    async def append(self, number: int) -> None:
        await self._registry.append_event(self._name, _event(f"{self.era}.{number}"))

    async def append_again(self, number: int) -> None:
        await self._registry.append_event(self._name, _event(f"{self.era}.0"))

    async def look(self) -> None:
        """See how long it is now: what is appended in between must not count as read."""
        record = await self._registry.get_process(self._name)
        assert record is not None
        self.length = record.last_sequence

    async def read_page(self, number: int) -> None:
        events = await self._registry.events_after(self._name, self.length - PAGE)
        assert [event.sequence for event in (events[0], events[-1])] == [self.length - PAGE + 1, self.length]


async def logs(url: str, flatness: Flatness, sizes: Sequence[int]) -> None:
    """Measure one log as it grows, beside one that stays short."""
    database = open_database(url)
    log, short = Log(database, "log"), Log(database, "short")
    await log.begin()
    await short.begin()
    for size in sizes:
        _grow_log(url, size)
        log.era = short.era = size
        await flatness.measure("append an event to a log", size, log.append, short.append)
        await flatness.measure("append a key that is there", size, log.append_again, short.append_again)
        await log.look()
        await short.look()
        await flatness.measure(f"read {PAGE} events", size, log.read_page, short.read_page)
    await database.close()


class Work:
    """Running processes and waiting batches of one database."""

    def __init__(self, url: str) -> None:
        self.database = open_database(url)
        self._registry = self.database.process_registry
        self._store = self.database.runtime_persistence()

    async def begin(self) -> None:
        for number in range(RUNNING):
            await self._registry.register_process(
                ProcessRegistration(id=f"run{number}", input=ExternalInput())
            )
            await self._store.enqueue_queued_work(_work())
        await _finish_one(self.database)

    async def list_all(self, number: int) -> None:
        assert len(await self._registry.list_non_terminal()) == RUNNING

    async def lease(self, number: int) -> None:
        await self._registry.claim_process_lease(f"run{number % RUNNING}", "w", 0)

    async def claim(self, number: int) -> None:
        taken = await self._store.claim_ready_queued_work("s", "w", QueuedWorkClaimBoundary.IDLE, 60_000, 10)
        assert taken is not None
        assert len(taken.batches) == 10
        await self._store.abandon_queued_work_claim(taken)


async def running(url: str, small_url: str, flatness: Flatness, sizes: Sequence[int]) -> None:
    """Measure running processes and waiting work as finished ones pile up, beside a database without any."""
    work, small = Work(url), Work(small_url)
    await work.begin()
    await small.begin()
    done = 1
    for size in sizes:
        _pile_up(url, done, size)
        done = size
        await flatness.measure(f"list {RUNNING} non-terminal processes", size, work.list_all, small.list_all)
        await flatness.measure("claim a process", size, work.lease, small.lease)
        await flatness.measure("claim 10 batches and give them back", size, work.claim, small.claim)
    await work.database.close()
    await small.database.close()


def _event(key: str | None) -> ProcessEventAppendRequest:
    return ProcessEventAppendRequest(event_type="line", payload={"text": "x" * 200}, replay_key=key)


def _work() -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id="s",
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.JOIN,
        merge_key=MergePayloadDefault(),
        payloads=(TurnInputPayload(input=TurnInput.text("x" * 200)),),
    )


async def _finish_one(database: Database) -> None:
    """Let a process end and a batch be completed: what the others are copies of."""
    await database.process_registry.register_process(ProcessRegistration(id="over", input=ExternalInput()))
    await database.process_registry.complete_process("over", AwaitSuccess(value="x" * 200))
    store = database.runtime_persistence("s")
    claim = await store.claim_ready_queued_work("s", "w", QueuedWorkClaimBoundary.IDLE, 60_000, 1)
    assert claim is not None
    await store.commit_runtime_state(
        RuntimeCommit(
            session_id="s",
            config=SessionConfig(),
            agent_frames=(AgentFrameRecord(frame_id="f", session_id="s"),),
            current_agent_frame_id="f",
            graph=GraphUnchanged(),
            checkpoint=HydratedSessionCheckpoint(turn_state=PersistedTurnState()),
            completed_queue_claims=(claim.completion(),),
        )
    )
    await store.enqueue_queued_work(_work())


def _grow_log(url: str, size: int) -> None:
    """Copy the first event until the log has so many."""
    tables = Tables(url)
    ((pid, last),) = tables.run("SELECT pid, last_sequence FROM process WHERE process_id = 'log'")
    numbered = f"'\"sequence\":' || ({last} + n.i)"
    body = (
        f"""convert_to(replace(convert_from(t.body, 'UTF8'), '"sequence":1', {numbered}), 'UTF8')"""
        if tables.is_postgres
        else f"""CAST(replace(CAST(t.body AS TEXT), '"sequence":1', {numbered}) AS BLOB)"""
    )
    first = pid << 32 | 1
    if size <= last:
        return
    tables.copy(
        "process_event",
        f"t.key = {first}",
        size - last,
        key=f"{(pid << 32) + last} + n.i",
        replay_key=f"'old.' || ({last} + n.i)",
        body=body,
    )
    tables.run(f"UPDATE process SET last_sequence = {size} WHERE pid = {pid}")
    tables.settle()
    tables.close()


def _pile_up(url: str, done: int, size: int) -> None:
    """Copy the process and the batch that are over until there are so many of each."""
    more = size - done
    if more <= 0:
        return
    tables = Tables(url)
    ((pid,),) = tables.run("SELECT pid FROM process WHERE process_id = 'over'")
    ((newest, last_pid),) = tables.run("SELECT max(change_seq), max(pid) FROM process")
    tables.copy(
        "process",
        f"t.pid = {pid}",
        more,
        pid="",
        process_id=f"'over' || ({done} + n.i)",
        change_seq=f"{newest} + n.i",
    )
    tables.run(f"""INSERT INTO process_registered (pid, body) SELECT p.pid, r.body
        FROM process p, process_registered r WHERE r.pid = {pid} AND p.pid > {last_pid}""")
    tables.run(f"""INSERT INTO process_event (key, event_type, replay_key, body)
        SELECT p.pid << 32 | (e.key & 4294967295), e.event_type, e.replay_key, e.body
        FROM process p, process_event e WHERE e.key >> 32 = {pid} AND p.pid > {last_pid}""")
    ((batch_id, last_seq),) = tables.run(
        "SELECT min(batch_id), (SELECT max(enqueue_seq) FROM queue) FROM queue WHERE state = 'completed' "
        "AND batch_id NOT LIKE '%.%'"
    )
    tables.copy(
        "queue",
        f"t.batch_id = '{batch_id}'",
        more,
        enqueue_seq="",
        batch_id=f"t.batch_id || '.' || ({done} + n.i)",
    )
    tables.run(f"""INSERT INTO queue_items (enqueue_seq, items) SELECT q.enqueue_seq, i.items
        FROM queue q, queue_items i, queue t
        WHERE t.batch_id = '{batch_id}' AND i.enqueue_seq = t.enqueue_seq AND q.enqueue_seq > {last_seq}""")
    tables.settle()
    tables.close()


def show_plans(url: str, backend: str) -> None:
    """Print how the statements are run at the largest size."""
    tables = Tables(url)
    for name, sql in PLANS.items():
        print(f"{backend}: {name}")
        for line in tables.plan(sql):
            print(f"    {line}")
    tables.close()


def measure(report: Report, backend: str, sizes: Sequence[int]) -> None:
    with stores(backend) as new_url:
        flatness = Flatness(report, backend)
        asyncio.run(logs(new_url(), flatness, sizes))
        url = new_url()
        asyncio.run(running(url, new_url(), flatness, sizes))
        show_plans(url, backend)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 20,000 rows")
    parser.add_argument("--backend", choices=BACKENDS)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    sizes = (1_000, 20_000) if options.quick else (options.rows // 100, options.rows // 10, options.rows)
    report = Report("events")
    for backend in [options.backend] if options.backend else BACKENDS:
        measure(report, backend, sizes)
    report.finish()


if __name__ == "__main__":
    main()
