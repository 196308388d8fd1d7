"""A process as rows: the small one that changes, what it was registered with, and its events."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.session_rows import corrupt
from lash.backends.sql.wait_rows import ParkedRow, make_ready, resolve_if_known, resolve_key
from lash.rules.process_events import Append, no_longer_retained, process_unknown
from lash.rules.process_leases import ProcessLeaseRow
from lash.rules.process_projection import status_of
from lash.rules.waits import is_wanted_back
from lash.values import (
    PROCESS_SIGNAL,
    EffectScope,
    ProcessEvent,
    ProcessEventAppendResult,
    ProcessExternalRef,
    ProcessLease,
    ProcessRecord,
    ProcessRunning,
    ProcessStatus,
    ProcessWakeDelivery,
    decode_record,
    encode_record,
    plain,
    process_wait_key,
    signal_wait_key,
)


class ProcessRow(msgspec.Struct, frozen=True, gc=False):
    """A process with its bodies, in the order in which they are selected."""

    pid: int
    process_id: str
    change_seq: int
    updated_at_ms: int
    last_sequence: int
    terminal_sequence: int | None
    attempts: int
    abandon_requested: int
    cancel_requested: int
    external_ref: bytes | None
    fencing_token: int
    lease_owner_id: str | None
    lease_token: str | None
    lease_claimed_at_ms: int
    lease_expires_at_ms: int
    ended_under: str | None
    park_id: str | None
    is_resumable: int
    pruned_at_ms: int | None
    registered: bytes | None
    terminal_event: bytes | None

    @property
    def lease(self) -> ProcessLeaseRow:
        """The lease as decisions see it."""
        return ProcessLeaseRow(
            fencing_token=self.fencing_token,
            owner_id=self.lease_owner_id,
            lease_token=self.lease_token,
            claimed_at_ms=self.lease_claimed_at_ms,
            expires_at_ms=self.lease_expires_at_ms,
            ended_under=self.ended_under,
        )

    def record(self) -> ProcessRecord:
        """Return the process.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        if self.registered is None:
            raise corrupt("process_registered", f"process {self.process_id!r}", "no row")
        what = f"table process_registered: process {self.process_id!r}"
        registered = decode_record(ProcessRecord, self.registered, what=what)
        if registered.id != self.process_id:
            raise corrupt("process_registered", f"process {self.process_id!r}", f"it is {registered.id!r}")
        return registered.replace(
            updated_at_ms=self.updated_at_ms,
            last_sequence=self.last_sequence,
            attempts=self.attempts,
            abandon_requested=bool(self.abandon_requested),
            cancel_requested=bool(self.cancel_requested),
            external_ref=self._external_ref(),
            status=self._status(),
        )

    def _external_ref(self) -> ProcessExternalRef | None:
        if self.external_ref is None:
            return None
        what = f"table process: external ref of process {self.process_id!r}"
        return decode_record(ProcessExternalRef, self.external_ref, what=what)

    def _status(self) -> ProcessStatus:
        if self.terminal_sequence is None:
            return ProcessRunning()
        place = f"event {self.terminal_sequence} of process {self.process_id!r}"
        if self.terminal_event is None:
            raise corrupt("process_event", place, "the process ended with it and it is not stored")
        terminal = decode_event(self.process_id, self.terminal_event).semantics.terminal
        if terminal is None:
            raise corrupt("process_event", place, "the process ended with it and it is not terminal")
        return status_of(terminal)


class PidRow(msgspec.Struct, frozen=True, gc=False):
    """The number that a process's rows carry, and whether there are any left."""

    pid: int
    pruned_at_ms: int | None


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """An event, with its wake if it has one."""

    body: bytes
    delivery: bytes | None

    def result(self, process_id: str) -> ProcessEventAppendResult:
        """Return what the append of this event returned."""
        return ProcessEventAppendResult(
            event=decode_event(process_id, self.body),
            wake_delivery=None if self.delivery is None else decode_delivery(process_id, self.delivery),
        )


_PROCESS = """SELECT p.pid, p.process_id, p.change_seq, p.updated_at_ms, p.last_sequence, p.terminal_sequence,
    p.attempts, p.abandon_requested, p.cancel_requested, p.external_ref, p.fencing_token, p.lease_owner_id,
    p.lease_token, p.lease_claimed_at_ms, p.lease_expires_at_ms, p.ended_under, p.park_id, p.is_resumable,
    p.pruned_at_ms, r.body, t.body
    FROM process p LEFT JOIN process_registered r USING (pid)
    LEFT JOIN process_event t ON t.key = p.pid << 32 | p.terminal_sequence"""

FIND_PROCESS = f"{_PROCESS} WHERE p.process_id = ?"
RUNNING_PROCESSES = f"{_PROCESS} WHERE p.terminal_sequence IS NULL ORDER BY p.process_id"
CHANGED_PROCESSES = f"""{_PROCESS} WHERE p.change_seq > ? AND p.pruned_at_ms IS NULL
    ORDER BY p.change_seq LIMIT ?"""
PROCESSES_OF_SCOPE = f"""{_PROCESS} JOIN process_grant g ON g.process_id = p.process_id
    WHERE g.session_id = ? AND g.frame_id = ? ORDER BY g.process_id"""
LIVE_PROCESSES_OF_SCOPE = f"""{_PROCESS} JOIN process_grant g ON g.process_id = p.process_id
    WHERE g.session_id = ? AND g.frame_id = ? AND p.terminal_sequence IS NULL ORDER BY g.process_id"""
FIND_PID = "SELECT pid, pruned_at_ms FROM process WHERE process_id = ?"
ADD_PROCESS = """INSERT INTO process (process_id, change_seq, updated_at_ms, host_profile, is_external)
    VALUES (?, (SELECT coalesce(max(change_seq), 0) + 1 FROM process), ?, ?, ?) RETURNING pid"""
ADD_REGISTERED = "INSERT INTO process_registered (pid, body) VALUES (?, ?)"
SET_PROCESS = """UPDATE process SET change_seq = (SELECT max(change_seq) + 1 FROM process),
    updated_at_ms = ?, last_sequence = ?, terminal_sequence = ?, attempts = ?, abandon_requested = ?,
    cancel_requested = ?, external_ref = ? WHERE pid = ?"""
SET_PROCESS_LEASE = """UPDATE process SET fencing_token = ?, lease_owner_id = ?, lease_token = ?,
    lease_claimed_at_ms = ?, lease_expires_at_ms = ?, ended_under = ? WHERE pid = ?"""
LAST_SIGNAL = """SELECT key FROM process_event WHERE key > ? AND key < ? AND event_type = ?
    ORDER BY key DESC LIMIT 1"""
DROP_OTHER_WAITS = "DELETE FROM wait WHERE scope_key = ? AND scope_key <> '' AND wait_key <> ?"
DROP_FRAME = "DELETE FROM process_frame WHERE pid = ?"
ADD_EVENT = "INSERT INTO process_event (key, event_type, replay_key, body) VALUES (?, ?, ?, ?)"
# `+ 0` makes an expression of the column: a bare one would make the comparison convert types, and the index on
# the expression would not be used.
FIND_REPLAYED = """SELECT e.body, w.delivery FROM process_event e LEFT JOIN process_wake w USING (key)
    WHERE e.key >> 32 = (SELECT pid + 0 FROM process WHERE process_id = ?) AND e.replay_key = ?"""


def select_processes(rest: str) -> str:
    """Return a select of processes (`p`), with the conditions that follow `FROM`."""
    return f"{_PROCESS} {rest}"


def find_process(process_id: str) -> Query[ProcessRow]:
    """Return the read of a process."""
    return Query(ProcessRow, FIND_PROCESS, process_id)


def only(process_id: str, rows: list[ProcessRow]) -> ProcessRow:
    """Return the row that was read.

    Raises:
        LashError: `process_unknown`, `process_no_longer_retained`.
    """
    if not rows:
        raise process_unknown(process_id)
    if rows[0].pruned_at_ms is not None:
        raise no_longer_retained(process_id)
    return rows[0]


async def locked_process(tx: Tx, process_id: str) -> ProcessRow:
    """Return a process's row, with which a script that writes begins.

    Raises:
        LashError: `process_unknown`, `process_no_longer_retained`.
    """
    (rows,) = await tx.read(find_process(process_id))
    return only(process_id, rows)


async def pid_of(tx: Tx, process_id: str) -> int:
    """Return the number that a process's rows carry.

    Raises:
        LashError: `process_unknown`, `process_no_longer_retained`.
    """
    return known_pid(process_id, await tx.fetch_all(PidRow, FIND_PID, process_id))


def known_pid(process_id: str, rows: Sequence[PidRow]) -> int:
    """Return the number of the process that was looked for.

    Raises:
        LashError: `process_unknown`, `process_no_longer_retained`.
    """
    if not rows:
        raise process_unknown(process_id)
    if rows[0].pruned_at_ms is not None:
        raise no_longer_retained(process_id)
    return rows[0].pid


def event_key(pid: int, sequence: int) -> int:
    """Return the key of an event; a sequence outside of what a log can have is the nearest end of it."""
    return pid << 32 | min(max(sequence, 0), 0xFFFFFFFF)


async def write_event(tx: Tx, row: ProcessRow, append: Append) -> None:
    """Store the next event of a process and what it makes of the record; wakes those who wait.

    The first event that ends it also resolves the wait for its end, if anybody has one, and what it waited for
    itself is dropped. One that asks something of it makes it ready if it is parked.
    """
    record, event = append.record, append.result.event
    is_end = record.is_terminal and row.terminal_sequence is None
    replay_key = event.invocation.replay_key
    key = event_key(row.pid, event.sequence)
    await tx.write(ADD_EVENT, key, event.event_type, replay_key, encode_record(event))
    await tx.write(
        SET_PROCESS,
        record.updated_at_ms,
        record.last_sequence,
        record.last_sequence if is_end else row.terminal_sequence,
        record.attempts,
        int(record.abandon_requested),
        int(record.cancel_requested),
        None if record.external_ref is None else encode_record(record.external_ref),
        row.pid,
    )
    tx.notify(f"process:{record.id}")
    if event.event_type == PROCESS_SIGNAL and not record.is_terminal:
        await _resolve_signal(tx, row, event)
    if is_end:
        await _end(tx, row, record)
    elif row.park_id is not None and is_wanted_back(record):
        await make_ready(tx, [_parked(row, row.park_id)])


async def _resolve_signal(tx: Tx, row: ProcessRow, event: ProcessEvent) -> None:
    """Resolve the wait for what comes after the signal before this one."""
    first, this = event_key(row.pid, 0), event_key(row.pid, event.sequence)
    before = await tx.fetch_one(int, LAST_SIGNAL, first, this, PROCESS_SIGNAL)
    key = signal_wait_key(event.process_id, 0 if before is None else before - first)
    await resolve_key(tx, key, event.sequence, scope_key=EffectScope.process(event.process_id).key)


async def _end(tx: Tx, row: ProcessRow, record: ProcessRecord) -> None:
    key = process_wait_key(record.id)
    await resolve_if_known(tx, key, plain(record.await_output))
    if row.park_id is not None:
        await make_ready(tx, [_parked(row, row.park_id)])
    await tx.write(DROP_OTHER_WAITS, EffectScope.process(record.id).key, key)
    await tx.write(DROP_FRAME, row.pid)


def _parked(row: ProcessRow, park_id: str) -> ParkedRow:
    return ParkedRow("", park_id, None, row.pid, None)


async def write_process_lease(tx: Tx, row: ProcessRow, lease: ProcessLeaseRow | ProcessLease) -> None:
    """Store who runs a process."""
    await tx.write(
        SET_PROCESS_LEASE,
        lease.fencing_token,
        lease.owner_id,
        lease.lease_token,
        lease.claimed_at_ms,
        lease.expires_at_ms,
        lease.ended_under if isinstance(lease, ProcessLeaseRow) else row.ended_under,
        row.pid,
    )


def decode_event(process_id: str, body: bytes) -> ProcessEvent:
    """Return the event of a row.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    return decode_record(ProcessEvent, body, what=f"table process_event: an event of process {process_id!r}")


def decode_delivery(process_id: str, body: bytes) -> ProcessWakeDelivery:
    """Return the wake of a row.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    return decode_record(
        ProcessWakeDelivery, body, what=f"table process_wake: a wake of process {process_id!r}"
    )
