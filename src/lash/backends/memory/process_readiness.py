"""Which processes want to be run, which wait, and which are long over (contract 5, B-9, B-11, B-19, B-23)."""

from __future__ import annotations

from collections.abc import Sequence

from lash.backends.memory.parking import ParkedProcess, is_ready
from lash.backends.memory.process_table import grant_scope
from lash.backends.memory.tables import Tables
from lash.rules.leases import is_live
from lash.rules.process_events import already_terminal
from lash.rules.process_grants import check_grant
from lash.rules.process_leases import check_live_lease, released_row
from lash.rules.waits import is_wanted_back, parking_keys
from lash.values import (
    EffectScope,
    ProcessHandleDescriptor,
    ProcessLease,
    ProcessRecord,
    ProcessScope,
    RecoveryDisposition,
    process_wait_key,
)


class ProcessReadiness:
    """Parking, the list of what is ready, observers, and pruning."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def list_ready_processes(
        self, *, host_profiles: Sequence[str] | None, after: str | None = None, limit: int = 100
    ) -> list[ProcessRecord]:
        """Return processes that somebody should run now, ordered by id."""
        table, ready = self._tables.processes, list[ProcessRecord]()
        for process_id, stored in sorted(table.processes.items()):
            if len(ready) >= max(limit, 0):
                break
            if stored.is_terminal or (after is not None and process_id <= after) or self._is_kept(process_id):
                continue
            record = stored.record()
            if record.recovery is not RecoveryDisposition.EXTERNALLY_OWNED and (
                host_profiles is None or record.provenance.host_profile_id in host_profiles
            ):
                ready.append(record)
        return ready

    async def park_process(
        self, lease: ProcessLease, wait_keys: Sequence[str], *, frame: bytes | None = None
    ) -> bool:
        """Give a process back until one of the waits is resolved, unless there is nothing to wait for."""
        tables, table, process_id = self._tables, self._tables.processes, lease.process_id
        keys = parking_keys(wait_keys)
        record = self._held(lease)
        if is_wanted_back(record) or is_ready(tables, keys):
            return False
        if frame is not None:
            table.frames[process_id] = bytes(frame)
        table.leases[process_id] = released_row(table.lease(process_id))
        if record.attempts:
            table.resumable.add(process_id)
        tables.parking.park(ParkedProcess(process_id), keys)
        return True

    async def parked_processes(self, process_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return what those of the processes that are parked wait for."""
        keys = {one: self._tables.parking.keys_of(ParkedProcess(one)) for one in process_ids}
        return {process_id: parked_on for process_id, parked_on in keys.items() if parked_on}

    async def save_process_frame(self, lease: ProcessLease, frame: bytes) -> None:
        """Store what to go on from if the process is taken up again."""
        self._held(lease)
        self._tables.processes.frames[lease.process_id] = bytes(frame)

    async def process_frame(self, process_id: str) -> bytes | None:
        """Return what was stored last to go on from, or None."""
        self._tables.processes.check_known(process_id)
        return self._tables.processes.frames.get(process_id)

    async def observe_process(
        self, scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> None:
        """Note that a scope watches a process; the last descriptor wins."""
        check_grant(scope, descriptor)
        self._tables.processes.check_known(process_id)
        self._tables.processes.observed.setdefault(grant_scope(scope), {})[process_id] = descriptor

    async def unobserve_process(self, scope: ProcessScope, process_id: str) -> None:
        """Take an edge back; no error when there is none."""
        self._tables.processes.observed.get(grant_scope(scope), {}).pop(process_id, None)

    async def list_observed(self, scope: ProcessScope) -> list[tuple[ProcessHandleDescriptor, ProcessRecord]]:
        """Return the processes that a scope watches, ordered by id."""
        edges = self._tables.processes.observed.get(grant_scope(scope), {})
        return [
            (descriptor, self._tables.processes.record(process_id))
            for process_id, descriptor in sorted(edges.items(), key=lambda edge: edge[0])
        ]

    async def prune_processes(
        self, *, finished_before_ms: int, watermark: int | None, limit: int = 1000
    ) -> int:
        """Delete processes that ended before that time, the oldest change first; return how many."""
        tables = self._tables
        ended = [
            stored
            for stored in tables.processes.processes.values()
            if stored.is_terminal
            and (watermark is None or stored.change_seq <= watermark)
            and stored.record().updated_at_ms < finished_before_ms
        ]
        gone = sorted(ended, key=lambda stored: stored.change_seq)[: max(limit, 0)]
        for stored in gone:
            self._forget(stored.process_id)
        return len(gone)

    def _forget(self, process_id: str) -> None:
        tables, scope_key = self._tables, EffectScope.process(process_id).key
        tables.processes.remove(process_id)
        tables.waits.remove(
            lambda wait: wait.scope_key == scope_key or wait.key == process_wait_key(process_id)
        )
        tables.effects.remove(tables.effects.of_scope(scope_key))

    def _is_kept(self, process_id: str) -> bool:
        """Whether somebody runs the process, or it waits."""
        row = self._tables.processes.lease(process_id)
        now_ms, dead = self._tables.clock.now_ms(), self._tables.dead_owners
        is_parked = bool(self._tables.parking.keys_of(ParkedProcess(process_id)))
        return is_parked or is_live(row.owner_id, row.expires_at_ms, now_ms, dead)

    def _held(self, lease: ProcessLease) -> ProcessRecord:
        """Return the running process that a lease is good for."""
        record = self._tables.processes.record(lease.process_id)
        check_live_lease(lease, self._tables.processes.lease(lease.process_id), self._tables.clock.now_ms())
        if record.is_terminal:
            raise already_terminal(record, "park")
        return record
