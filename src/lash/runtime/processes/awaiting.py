"""Waiting for durable waits and for the ends of processes, while this operating-system process lives.

The one place where a wait is looked at and listened for. Subscribe, look, wait: a wake-up is never lost, and a
slow look around is the safety net behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lash.contracts import Database
from lash.errors import LashError
from lash.values import (
    Json,
    JsonRecord,
    ProcessAwaitOutput,
    ProcessRecord,
    plain,
    process_of_wait_key,
)

_LOOK_AROUND_FIRST_MS = 1_000
_LOOK_AROUND_CAP_MS = 30_000
_RETRY_MS = 20


class Resolved(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A wait that is over: its value, and whether only its time was up."""

    key: str
    value: Json
    timed_out: bool = False


async def existing_process(database: Database, process_id: str) -> ProcessRecord:
    """Return a process.

    Raises:
        LashError: `process_unknown`; `process_no_longer_retained` for one that was pruned.
    """
    record = await database.process_registry.get_process(process_id)
    if record is None:
        # Says which of the two it is: one that was pruned has left its id behind.
        await database.process_registry.events_after(process_id, 0)
        raise LashError("process_unknown", f"there is no process {process_id!r}", process_id=process_id)
    return record


async def find_resolved(database: Database, keys: Sequence[str]) -> Resolved | None:
    """Return the first of these waits that is over, or None.

    Raises:
        LashError: `process_unknown`, `process_no_longer_retained` for the end of a process that is none.
    """
    for key in keys:
        process_id = process_of_wait_key(key)
        if process_id is not None:
            output = (await existing_process(database, process_id)).await_output
            if output is not None:
                return Resolved(key=key, value=plain(output))
            continue
        wait = await database.durable_waits.get_wait(key)
        if wait is not None and wait.is_resolved:
            return Resolved(key=key, value=wait.resolution, timed_out=wait.timed_out)
    return None


async def first_resolved(database: Database, keys: Sequence[str]) -> Resolved:
    """Return the first of these waits that is over, once one is.

    Raises:
        LashError: see `find_resolved`.
    """
    topics = [f"wait:{key}" for key in keys]
    topics += [key for key in keys if process_of_wait_key(key) is not None]  # `process:{id}` is its topic too
    subscription = database.subscribe(topics)
    look_around_ms = _LOOK_AROUND_FIRST_MS
    try:
        while True:
            found = await find_resolved(database, keys)
            if found is not None:
                return found
            left_ms = await _due_in_ms(database, keys)
            if left_ms is not None and left_ms <= 0 and await database.durable_waits.resolve_due():
                continue
            # A server's clock may be behind this one: it is asked again a moment later.
            timeout_ms = look_around_ms if left_ms is None else min(look_around_ms, max(left_ms, _RETRY_MS))
            if await subscription.wait(timeout_ms=timeout_ms):
                look_around_ms = _LOOK_AROUND_FIRST_MS
            else:
                look_around_ms = min(2 * look_around_ms, _LOOK_AROUND_CAP_MS)
    finally:
        subscription.close()


async def first_output(database: Database, process_id: str) -> ProcessAwaitOutput:
    """Return the output of a process, once it is over."""
    await first_resolved(database, [f"process:{process_id}"])
    output = (await existing_process(database, process_id)).await_output
    assert output is not None, "a process that is over has an output"
    return output


async def _due_in_ms(database: Database, keys: Sequence[str]) -> int | None:
    """Return how long the earliest deadline of these waits is away, by the database's clock; None without."""
    deadlines = []
    for key in keys:
        if process_of_wait_key(key) is None:
            wait = await database.durable_waits.get_wait(key)
            if wait is not None and not wait.is_resolved and wait.deadline_ms is not None:
                deadlines.append(wait.deadline_ms)
    return min(deadlines) - database.clock.now_ms() if deadlines else None
