"""The event logs of processes, what their events bring about, and waiting for them (contract 2.C.8 to 2.C.15).

An append checks everything first; then event, record, wake and the wake's batch are stored, and only then is
anybody told.
"""

from __future__ import annotations

from lash.backends.memory.parking import ParkedProcess, make_ready, resolve_end, resolve_key
from lash.backends.memory.queue_table import StoredBatch
from lash.backends.memory.tables import Tables
from lash.backends.waiting import first_found
from lash.rules.commits import session_deleted
from lash.rules.process_events import (
    Append,
    check_request,
    completion_request,
    decide_append,
    external_ref_append,
    redriven_delivery,
    replay_key_of,
)
from lash.rules.process_leases import check_not_held
from lash.rules.process_recovery import abandon_append, abandon_request_append
from lash.rules.queue import stored_under_key
from lash.rules.storable import check_storable
from lash.rules.waits import is_wanted_back
from lash.values import (
    PROCESS_SIGNAL,
    EffectScope,
    Json,
    ProcessAwaitOutput,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventAppendResult,
    ProcessExternalRef,
    ProcessRecord,
    ProcessScope,
    ProcessWakeDelivery,
    WakeDeliveryRecord,
    WakeDeliveryState,
    WakeDiscardReason,
    process_wake_batch_draft,
    signal_wait_key,
)


class ProcessLog:
    """The logs of a registry."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def append_event(
        self, process_id: str, request: ProcessEventAppendRequest
    ) -> ProcessEventAppendResult:
        """Append an event and apply what it means."""
        check_request(process_id, request)
        append = self._decide(process_id, request)
        self._store(append)
        return append.result

    async def set_external_ref(self, process_id: str, ref: ProcessExternalRef) -> ProcessRecord:
        """Say where the process lives elsewhere; the last write wins."""
        check_storable(ref, what=f"external ref of process {process_id!a}")
        record = self._tables.processes.record(process_id)
        return self._store(external_ref_append(record, ref, self._tables.clock.now_ms()))

    async def complete_process(self, process_id: str, output: ProcessAwaitOutput) -> ProcessRecord:
        """End a process with an output; the first terminal wins."""
        request = completion_request(process_id, output)
        check_request(process_id, request)
        return self._store(self._decide(process_id, request))

    async def request_abandon(self, process_id: str, *, requested_by: str, reason: str) -> ProcessRecord:
        """Ask that a process be given up once nobody runs it."""
        record = self._tables.processes.record(process_id)
        append = abandon_request_append(
            record, requested_by=requested_by, reason=reason, now_ms=self._tables.clock.now_ms()
        )
        return record if append is None else self._store(append)

    async def abandon_process(self, process_id: str, *, written_by: str, evidence: Json) -> ProcessRecord:
        """End a process that must not, or should not, be run again."""
        tables, now_ms = self._tables, self._tables.clock.now_ms()
        record = tables.processes.record(process_id)
        check_not_held(process_id, tables.processes.lease(process_id), now_ms, tables.dead_owners)
        return self._store(abandon_append(record, written_by=written_by, evidence=evidence, now_ms=now_ms))

    async def events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """Return events with a larger sequence, ascending."""
        self._tables.processes.check_known(process_id)
        return [stored.event() for stored in self._tables.processes.events(process_id, sequence)]

    async def wake_events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """Return events with a larger sequence that woke somebody and are not acknowledged."""
        self._tables.processes.check_known(process_id)
        events = self._tables.processes.events(process_id, sequence)
        return [stored.event() for stored in events if stored.is_open_wake]

    async def list_wake_deliveries(self, process_id: str) -> list[WakeDeliveryRecord]:
        """Return a process's wakes by sequence, and which batch carries each to its session."""
        self._tables.processes.check_known(process_id)
        wakes = [stored.wake_record() for stored in self._tables.processes.events(process_id)]
        return [wake for wake in wakes if wake is not None]

    async def list_discarded_wakes(
        self, *, after: tuple[str, int] | None = None, limit: int = 100
    ) -> list[WakeDeliveryRecord]:
        """Return the wakes that did not arrive, by process, then by sequence."""
        table = self._tables.processes
        process_ids = list(table.processes)
        if after is not None:
            if after[0] not in table.processes:
                return []
            process_ids = process_ids[process_ids.index(after[0]) :]
        found: list[WakeDeliveryRecord] = []
        for process_id in process_ids:
            seen = after[1] if after is not None and process_id == after[0] else 0
            wakes = [stored.wake_record() for stored in table.events(process_id, seen)]
            found += [
                wake for wake in wakes if wake is not None and wake.state is WakeDeliveryState.DISCARDED
            ]
        return found[: max(limit, 0)]

    async def redrive_wake(
        self, process_id: str, sequence: int, *, target: ProcessScope | None = None
    ) -> WakeDeliveryRecord:
        """Send a discarded wake again, to its own target or to another one."""
        tables = self._tables
        tables.processes.check_known(process_id)
        stored = tables.processes.event_at(process_id, sequence)
        known = None if stored is None else stored.wake_record()
        delivery = redriven_delivery(known, process_id, sequence, target)
        wake, batch = _prepared_wake(tables, delivery)
        if wake.state is WakeDeliveryState.DISCARDED:
            raise session_deleted(delivery.target_session_id)
        tables.processes.set_wake(process_id, sequence, wake)
        if batch is not None:
            tables.queue.put(batch)
            tables.announce(batch.session_id, queue=True)
        return wake

    async def ack_wake(self, process_id: str, sequence: int) -> None:
        """Mark a wake as handled; anything else is left alone."""
        self._tables.processes.check_known(process_id)
        stored = self._tables.processes.event_at(process_id, sequence)
        if stored is not None and stored.is_open_wake:
            self._tables.processes.mark_acked(process_id, sequence)

    async def wait_event_after(self, process_id: str, event_type: str, sequence: int) -> ProcessEvent:
        """Return the first event of a type after `sequence`, now or once one is appended."""
        seen = max(sequence, 0)

        async def look() -> ProcessEvent | None:
            nonlocal seen
            self._tables.processes.check_known(process_id)
            for stored in self._tables.processes.events(process_id, seen):
                if stored.event_type == event_type:
                    return stored.event()
                seen += 1
            return None

        return await first_found(self._tables.hub.subscribe, f"process:{process_id}", look)

    async def await_process(self, process_id: str) -> ProcessAwaitOutput:
        """Return the output, now or once there is one."""

        async def look() -> ProcessAwaitOutput | None:
            self._tables.processes.check_known(process_id)
            stored = self._tables.processes.processes[process_id]
            return stored.record().await_output if stored.is_terminal else None

        return await first_found(self._tables.hub.subscribe, f"process:{process_id}", look)

    def _decide(self, process_id: str, request: ProcessEventAppendRequest) -> Append:
        table = self._tables.processes
        record = table.record(process_id)
        known = table.under_key(process_id, replay_key_of(request))
        recorded = None if known is None else known.result()
        return decide_append(record, request, recorded, self._tables.clock.now_ms())

    def _store(self, append: Append) -> ProcessRecord:
        """Store an append that was decided, tell who waits, and return the record."""
        if append.is_new:
            tables, delivery = self._tables, append.result.wake_delivery
            wake, batch = (None, None) if delivery is None else _prepared_wake(tables, delivery)
            signalled = _signalled(tables, append)
            tables.processes.add_event(append, wake)
            if signalled is not None:
                scope_key = EffectScope.process(append.record.id).key
                resolve_key(tables, signalled, append.result.event.sequence, scope_key=scope_key)
            if append.record.is_terminal:
                resolve_end(tables, append.record)
            elif is_wanted_back(append.record):
                make_ready(tables, [ParkedProcess(append.record.id)])
            if batch is not None:
                tables.queue.put(batch)
                tables.announce(batch.session_id, queue=True)
            tables.hub.publish(f"process:{append.record.id}")
        return append.record


def _signalled(tables: Tables, append: Append) -> str | None:
    """Return the wait that an appended signal ends: the one for what comes after the signal before it."""
    event = append.result.event
    if event.event_type != PROCESS_SIGNAL or append.record.is_terminal:
        return None
    events = tables.processes.events(event.process_id)
    before = [at for at, one in enumerate(events, 1) if one.event_type == PROCESS_SIGNAL]
    return signal_wait_key(event.process_id, before[-1] if before else 0)


def _prepared_wake(
    tables: Tables, delivery: ProcessWakeDelivery
) -> tuple[WakeDeliveryRecord, StoredBatch | None]:
    """Return a wake as it is to be stored, and its batch unless one that is there carries it (rulings 2, 4)."""
    draft = process_wake_batch_draft(delivery)
    if draft.session_id in tables.deleted:
        return _wake(delivery, reason=WakeDiscardReason.TARGET_GONE), None
    known = tables.queue.under_key(draft.session_id, draft.source_key or "")
    carrier = stored_under_key(draft, [stored.keyed_row() for stored in known])
    if carrier is not None:
        return _wake(delivery, batch_id=carrier), None
    batch = tables.queue.prepare(draft, now_ms=tables.clock.now_ms())
    return _wake(delivery, batch_id=batch.row.batch_id), batch


def _wake(
    delivery: ProcessWakeDelivery, *, batch_id: str | None = None, reason: WakeDiscardReason | None = None
) -> WakeDeliveryRecord:
    state = WakeDeliveryState.ENQUEUED if reason is None else WakeDeliveryState.DISCARDED
    return WakeDeliveryRecord(delivery=delivery, state=state, batch_id=batch_id, reason=reason)
