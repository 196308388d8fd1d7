"""The event logs of processes, what their events bring about, and waiting for them (contract 2.C.8 to 2.C.15).

Event, record, wake and the wake's batch are one transaction; who waits is told after its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.holders import PROCESS_HOLDER
from lash.backends.sql.process_rows import (
    FIND_PID,
    FIND_REPLAYED,
    EventRow,
    PidRow,
    ProcessRow,
    decode_event,
    event_key,
    find_process,
    locked_process,
    only,
    pid_of,
    write_event,
)
from lash.backends.sql.store import Store
from lash.backends.sql.wake_rows import (
    ACK_WAKE,
    LOST_WAKES,
    OPEN_WAKE_EVENTS,
    WAKES_OF_PROCESS,
    LostWake,
    WakeRow,
    deliver_wake,
    redrive_wake,
)
from lash.backends.waiting import first_found
from lash.contracts import Subscription
from lash.rules.process_events import (
    Append,
    check_request,
    completion_request,
    decide_append,
    external_ref_append,
    replay_key_of,
)
from lash.rules.process_leases import check_not_held
from lash.rules.process_recovery import abandon_append, abandon_request_append
from lash.rules.storable import check_storable
from lash.values import (
    Json,
    ProcessAwaitOutput,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventAppendResult,
    ProcessExternalRef,
    ProcessRecord,
    ProcessScope,
    WakeDeliveryRecord,
)

LAST_SEQUENCE = 0xFFFFFFFF

EVENTS_BETWEEN = "SELECT body FROM process_event WHERE key > ? AND key <= ? ORDER BY key"
FIRST_OF_TYPE = """SELECT body FROM process_event WHERE key > ? AND key <= ? AND event_type = ?
    ORDER BY key LIMIT 1"""
FIND_END = "SELECT pid, last_sequence FROM process WHERE process_id = ? AND pruned_at_ms IS NULL"


class LogEnd(msgspec.Struct, frozen=True, gc=False):
    """How far a log goes."""

    pid: int
    last_sequence: int


class ProcessLog:
    """The logs of a registry."""

    def __init__(self, store: Store, subscribe: Callable[[Sequence[str]], Subscription]) -> None:
        self._store = store
        self._subscribe = subscribe

    async def append_event(
        self, process_id: str, request: ProcessEventAppendRequest
    ) -> ProcessEventAppendResult:
        """Append an event and apply what it means."""
        check_request(process_id, request)
        batch_id = self._store.new_id("batch")

        async def script(tx: Tx) -> ProcessEventAppendResult:
            row, append = await decided(tx, process_id, request)
            await store_append(tx, row, append, batch_id)
            return append.result

        return await self._store.run(script)

    async def set_external_ref(self, process_id: str, ref: ProcessExternalRef) -> ProcessRecord:
        """Say where the process lives elsewhere; the last write wins."""
        check_storable(ref, what=f"external ref of process {process_id!a}")

        async def script(tx: Tx) -> ProcessRecord:
            row = await locked_process(tx, process_id)
            append = external_ref_append(row.record(), ref, tx.now_ms)
            await write_event(tx, row, append)
            return append.record

        return await self._store.run(script)

    async def complete_process(self, process_id: str, output: ProcessAwaitOutput) -> ProcessRecord:
        """End a process with an output; the first terminal wins."""
        request = completion_request(process_id, output)
        check_request(process_id, request)
        batch_id = self._store.new_id("batch")

        async def script(tx: Tx) -> ProcessRecord:
            row, append = await decided(tx, process_id, request)
            await store_append(tx, row, append, batch_id)
            return append.record

        return await self._store.run(script)

    async def request_abandon(self, process_id: str, *, requested_by: str, reason: str) -> ProcessRecord:
        """Ask that a process be given up once nobody runs it."""

        async def script(tx: Tx) -> ProcessRecord:
            row = await locked_process(tx, process_id)
            record = row.record()
            append = abandon_request_append(
                record, requested_by=requested_by, reason=reason, now_ms=tx.now_ms
            )
            if append is None:
                return record
            await write_event(tx, row, append)
            return append.record

        return await self._store.run(script)

    async def abandon_process(self, process_id: str, *, written_by: str, evidence: Json) -> ProcessRecord:
        """End a process that must not, or should not, be run again."""

        async def script(tx: Tx) -> ProcessRecord:
            self._store.foresee_owners(tx, PROCESS_HOLDER, process_id)
            row = await locked_process(tx, process_id)
            dead = await self._store.dead_among(tx, [row.lease_owner_id])
            check_not_held(process_id, row.lease, tx.now_ms, dead)
            append = abandon_append(row.record(), written_by=written_by, evidence=evidence, now_ms=tx.now_ms)
            await write_event(tx, row, append)
            return append.record

        return await self._store.run(script)

    async def events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """Return events with a larger sequence, ascending."""
        return await self._events(process_id, sequence, EVENTS_BETWEEN)

    async def wake_events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """Return events with a larger sequence that woke somebody and are not acknowledged."""
        return await self._events(process_id, sequence, OPEN_WAKE_EVENTS)

    async def list_wake_deliveries(self, process_id: str) -> list[WakeDeliveryRecord]:
        """Return a process's wakes by sequence, and which batch carries each to its session."""

        async def script(tx: Tx) -> list[WakeDeliveryRecord]:
            pid = await pid_of(tx, process_id)
            first, last = event_key(pid, 0), event_key(pid, LAST_SEQUENCE)
            return [
                row.record(process_id) for row in await tx.fetch_all(WakeRow, WAKES_OF_PROCESS, first, last)
            ]

        return await self._store.read(script)

    async def list_discarded_wakes(
        self, *, after: tuple[str, int] | None = None, limit: int = 100
    ) -> list[WakeDeliveryRecord]:
        """Return the wakes that did not arrive, by process, then by sequence."""

        async def script(tx: Tx) -> list[WakeDeliveryRecord]:
            key = 0
            if after is not None:
                pid = await tx.fetch_one(PidRow, FIND_PID, after[0])
                if pid is None:
                    return []
                key = event_key(pid.pid, after[1])
            return [row.record() for row in await tx.fetch_all(LostWake, LOST_WAKES, key, max(limit, 0))]

        return await self._store.read(script)

    async def redrive_wake(
        self, process_id: str, sequence: int, *, target: ProcessScope | None = None
    ) -> WakeDeliveryRecord:
        """Send a discarded wake again, to its own target or to another one."""
        batch_id = self._store.new_id("batch")

        async def script(tx: Tx) -> WakeDeliveryRecord:
            return await redrive_wake(tx, process_id, sequence, target, batch_id)

        return await self._store.run(script)

    async def ack_wake(self, process_id: str, sequence: int) -> None:
        """Mark a wake as handled; anything else is left alone."""

        async def script(tx: Tx) -> None:
            pid = await pid_of(tx, process_id)
            if 0 < sequence <= LAST_SEQUENCE:
                await tx.write(ACK_WAKE, event_key(pid, sequence))

        await self._store.run(script)

    async def wait_event_after(self, process_id: str, event_type: str, sequence: int) -> ProcessEvent:
        """Return the first event of a type after `sequence`, now or once any handle appends it."""
        seen = max(sequence, 0)

        async def script(tx: Tx) -> ProcessEvent | int:
            end = await tx.fetch_one(LogEnd, FIND_END, process_id)
            if end is None:
                await pid_of(tx, process_id)  # refuses
                return seen
            first, last = event_key(end.pid, seen), event_key(end.pid, LAST_SEQUENCE)
            body = await tx.fetch_one(bytes, FIRST_OF_TYPE, first, last, event_type)
            return max(seen, end.last_sequence) if body is None else decode_event(process_id, body)

        async def look() -> ProcessEvent | None:
            nonlocal seen
            found = await self._store.read(script)
            if isinstance(found, ProcessEvent):
                return found
            seen = found  # what was looked through is not looked through again
            return None

        return await first_found(self._subscribe, f"process:{process_id}", look)

    async def await_process(self, process_id: str) -> ProcessAwaitOutput:
        """Return the output, now or once there is one."""

        async def script(tx: Tx) -> ProcessAwaitOutput | None:
            row = await locked_process(tx, process_id)
            return None if row.terminal_sequence is None else row.record().await_output

        return await first_found(self._subscribe, f"process:{process_id}", lambda: self._store.read(script))

    async def _events(self, process_id: str, sequence: int, select: str) -> list[ProcessEvent]:
        async def script(tx: Tx) -> list[ProcessEvent]:
            pid = await pid_of(tx, process_id)
            first, last = event_key(pid, sequence), event_key(pid, LAST_SEQUENCE)
            return [decode_event(process_id, body) for body in await tx.fetch_all(bytes, select, first, last)]

        return await self._store.read(script)


async def decided(tx: Tx, process_id: str, request: ProcessEventAppendRequest) -> tuple[ProcessRow, Append]:
    """Return a process's row, and what an append to it comes to.

    Raises:
        LashError: see `ProcessRegistry.append_event`.
    """
    row, recorded = await known_append(tx, process_id, request)
    return row, decide_append(row.record(), request, recorded, tx.now_ms)


async def known_append(
    tx: Tx, process_id: str, request: ProcessEventAppendRequest
) -> tuple[ProcessRow, ProcessEventAppendResult | None]:
    """Return a process's row, and what the same append returned before, if there was one.

    Raises:
        LashError: `process_unknown`.
    """
    rows, replayed = await tx.read(
        find_process(process_id), Query(EventRow, FIND_REPLAYED, process_id, replay_key_of(request))
    )
    return only(process_id, rows), replayed[0].result(process_id) if replayed else None


async def store_append(tx: Tx, row: ProcessRow, append: Append, batch_id: str) -> None:
    """Store an append that was decided, with its wake; of a replay, nothing.

    Args:
        tx: The transaction.
        row: The process as it was read.
        append: What was decided.
        batch_id: A fresh id, for the batch of a wake.
    """
    if not append.is_new:
        return
    await write_event(tx, row, append)
    delivery = append.result.wake_delivery
    if delivery is not None:
        await deliver_wake(tx, event_key(row.pid, delivery.sequence), delivery, batch_id)
