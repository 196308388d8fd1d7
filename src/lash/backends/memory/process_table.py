"""The processes of a memory database: records, logs, leases, grants.

What may hold JSON is kept encoded, so that nobody can change it from outside.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from lash.rules.process_events import Append, no_longer_retained, process_unknown
from lash.rules.process_leases import NO_PROCESS_LEASE, ProcessLeaseRow
from lash.values import (
    ProcessEvent,
    ProcessEventAppendResult,
    ProcessHandleDescriptor,
    ProcessRecord,
    ProcessScope,
    WakeDeliveryRecord,
    WakeDeliveryState,
    WakeDiscardReason,
    decode_record,
    encode_record,
)


class StoredProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process, and when it changed last in the order of all changes."""

    process_id: str
    is_terminal: bool
    change_seq: int
    body: bytes

    def record(self) -> ProcessRecord:
        return decode_record(ProcessRecord, self.body, what=f"process {self.process_id!r}")


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event, with its wake if it has one."""

    event_type: str
    body: bytes
    wake: bytes | None = None
    is_acked: bool = False

    @property
    def is_open_wake(self) -> bool:
        return self.wake is not None and not self.is_acked

    def event(self) -> ProcessEvent:
        return decode_record(ProcessEvent, self.body, what="process event")

    def wake_record(self) -> WakeDeliveryRecord | None:
        return None if self.wake is None else decode_record(WakeDeliveryRecord, self.wake, what="wake")

    def result(self) -> ProcessEventAppendResult:
        wake = self.wake_record()
        return ProcessEventAppendResult(
            event=self.event(), wake_delivery=None if wake is None else wake.delivery
        )


class ProcessTable:
    """All processes of a database."""

    def __init__(self) -> None:
        self.processes: dict[str, StoredProcess] = {}
        self.leases: dict[str, ProcessLeaseRow] = {}
        self.grants: dict[ProcessScope, dict[str, ProcessHandleDescriptor]] = {}
        self.frames: dict[str, bytes] = {}  # what parked processes go on from
        self.resumable: set[str] = set()  # those whose next start goes on with the attempt that was parked
        self.observed: dict[ProcessScope, dict[str, ProcessHandleDescriptor]] = {}
        self.pruned: set[str] = set()
        self._events: dict[str, list[StoredEvent]] = {}
        self._by_key: dict[tuple[str, str], int] = {}
        self._last_change = 0

    def record(self, process_id: str) -> ProcessRecord:
        """Return a process.

        Raises:
            LashError: `process_unknown`.
        """
        self.check_known(process_id)
        return self.processes[process_id].record()

    def check_known(self, process_id: str) -> None:
        """Refuse an id under which nothing is registered.

        Raises:
            LashError: `process_unknown`, `process_no_longer_retained`.
        """
        if process_id in self.pruned:
            raise no_longer_retained(process_id)
        if process_id not in self.processes:
            raise process_unknown(process_id)

    def is_over(self, process_id: str) -> bool:
        """Whether a process has ended, whatever is left of it."""
        stored = self.processes.get(process_id)
        return process_id in self.pruned or (stored is not None and stored.is_terminal)

    def remove(self, process_id: str) -> None:
        """Delete a process; its id stays known as that of one that was pruned."""
        self.pruned.add(process_id)
        del self.processes[process_id]
        self.leases.pop(process_id, None)
        self._events.pop(process_id, None)
        for key in [key for key in self._by_key if key[0] == process_id]:
            del self._by_key[key]
        for edges in (*self.grants.values(), *self.observed.values()):
            edges.pop(process_id, None)

    def put(self, record: ProcessRecord) -> None:
        """Store a process as it is now."""
        self._last_change += 1
        self.processes[record.id] = StoredProcess(
            process_id=record.id,
            is_terminal=record.is_terminal,
            change_seq=self._last_change,
            body=encode_record(record),
        )

    def add_event(self, append: Append, wake: WakeDeliveryRecord | None) -> None:
        """Store the next event of a process and what it makes of the record."""
        event = append.result.event
        stored = StoredEvent(
            event_type=event.event_type,
            body=encode_record(event),
            wake=None if wake is None else encode_record(wake),
        )
        self._events.setdefault(event.process_id, []).append(stored)
        if event.invocation.replay_key is not None:
            self._by_key[event.process_id, event.invocation.replay_key] = event.sequence
        self.put(append.record)

    def events(self, process_id: str, after: int = 0) -> list[StoredEvent]:
        """Return the events of a process with a larger sequence."""
        return self._events.get(process_id, [])[max(after, 0) :]

    def event_at(self, process_id: str, sequence: int) -> StoredEvent | None:
        """Return one event."""
        events = self._events.get(process_id, [])
        return events[sequence - 1] if 0 < sequence <= len(events) else None

    def under_key(self, process_id: str, replay_key: str | None) -> StoredEvent | None:
        """Return the event that was appended under a replay key."""
        sequence = None if replay_key is None else self._by_key.get((process_id, replay_key))
        return None if sequence is None else self.event_at(process_id, sequence)

    def mark_acked(self, process_id: str, sequence: int) -> None:
        """Note that a wake was handled."""
        event = self._events[process_id][sequence - 1]
        self._events[process_id][sequence - 1] = msgspec.structs.replace(event, is_acked=True)

    def set_wake(self, process_id: str, sequence: int, wake: WakeDeliveryRecord) -> None:
        """Store a wake that was sent again."""
        event = self._events[process_id][sequence - 1]
        self._events[process_id][sequence - 1] = msgspec.structs.replace(
            event, wake=encode_record(wake), is_acked=False
        )

    def discard_wakes(self, batch_ids: Collection[str]) -> None:
        """Note that the wakes which these batches carry will not arrive: their session is gone."""
        for events in self._events.values():
            for place, stored in enumerate(events):
                wake = stored.wake_record()
                if wake is not None and wake.batch_id in batch_ids:
                    lost = wake.replace(
                        state=WakeDeliveryState.DISCARDED, reason=WakeDiscardReason.TARGET_GONE
                    )
                    events[place] = msgspec.structs.replace(stored, wake=encode_record(lost))

    def lease(self, process_id: str) -> ProcessLeaseRow:
        """Return a process's lease row."""
        return self.leases.get(process_id, NO_PROCESS_LEASE)

    def granted(self, scope: ProcessScope) -> dict[str, ProcessHandleDescriptor]:
        """Return what exactly this scope may see, by process id."""
        return self.grants.setdefault(grant_scope(scope), {})


def grant_scope(scope: ProcessScope) -> ProcessScope:
    """Return a scope as grants are kept under it: an empty frame is none (R-10)."""
    return ProcessScope(scope.session_id, scope.agent_frame_id or None)
