"""Processes in memory: registration, listing, leases (contract 2.C)."""

from __future__ import annotations

from collections.abc import Sequence

from lash.backends.memory.process_handles import ProcessHandles
from lash.backends.memory.process_log import ProcessLog
from lash.backends.memory.process_readiness import ProcessReadiness
from lash.backends.memory.tables import Tables
from lash.rules.process_events import check_request, completion_request, no_longer_retained
from lash.rules.process_grants import check_grant
from lash.rules.process_leases import (
    check_claim,
    check_live_lease,
    claimed_lease,
    claimed_row,
    is_released_by,
    released_row,
    renewed_lease,
)
from lash.rules.process_recovery import attempt_append
from lash.rules.process_registration import check_same_registration, registered_record
from lash.system import RandomIds, SystemClock
from lash.values import (
    Clock,
    DurabilityTier,
    IdSource,
    ProcessAwaitOutput,
    ProcessLease,
    ProcessLeaseCompletion,
    ProcessRecord,
    ProcessRegistration,
    ProcessStartGrant,
)


class InMemoryProcessRegistry(ProcessLog, ProcessHandles, ProcessReadiness):
    """See `ProcessRegistry` for the contract.

    Args:
        tables: The database that it is a view on; a little one of its own by default.
        clock: Where time comes from, without `tables`; the machine's clock by default.
        ids: Where ids come from, without `tables`; random by default.
    """

    durability_tier = DurabilityTier.INLINE

    def __init__(
        self, tables: Tables | None = None, *, clock: Clock | None = None, ids: IdSource | None = None
    ) -> None:
        super().__init__(tables or Tables(clock or SystemClock(), ids or RandomIds()))

    async def register_process(
        self, registration: ProcessRegistration, *, grants: Sequence[ProcessStartGrant] = ()
    ) -> ProcessRecord:
        """Create a process, or return the existing one of the same registration hash as it is now."""
        table = self._tables.processes
        registered = registered_record(registration, self._tables.clock.now_ms())
        for grant in grants:
            check_grant(grant.owner_scope, grant.descriptor)
        if registered.id in table.pruned:
            raise no_longer_retained(registered.id)
        if registered.id in table.processes:
            check_same_registration(table.record(registered.id), registered)
        else:
            table.put(registered)
            self._tables.hub.publish("processes")
        for grant in grants:
            table.granted(grant.owner_scope)[registered.id] = grant.descriptor
        return table.record(registered.id)

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        """Return a process, or None."""
        stored = self._tables.processes.processes.get(process_id)
        return None if stored is None else stored.record()

    async def list_non_terminal(self) -> list[ProcessRecord]:
        """Return every running process, ordered by id."""
        running = [one for one in self._tables.processes.processes.values() if not one.is_terminal]
        return [one.record() for one in sorted(running, key=lambda one: one.process_id)]

    async def processes_changed_since(
        self, cursor: int, *, limit: int = 100
    ) -> tuple[list[ProcessRecord], int]:
        """Return processes in the order of their last change, after a cursor, and the next cursor."""
        stored = self._tables.processes.processes.values()
        changed = sorted((one for one in stored if one.change_seq > cursor), key=lambda one: one.change_seq)
        page = changed[: max(limit, 0)]
        return [one.record() for one in page], page[-1].change_seq if page else cursor

    async def claim_process_lease(self, process_id: str, owner_id: str, ttl_ms: int) -> ProcessLease:
        """Take the right to run a process."""
        tables, table = self._tables, self._tables.processes
        check_claim(process_id, owner_id, ttl_ms)
        table.check_known(process_id)
        row = table.lease(process_id)
        lease = claimed_lease(
            process_id,
            row,
            owner_id=owner_id,
            lease_token=tables.ids.new("token"),
            now_ms=tables.clock.now_ms(),
            ttl_ms=ttl_ms,
            dead_owners=tables.dead_owners,
        )
        table.leases[process_id] = claimed_row(row, lease)
        return lease

    async def renew_process_lease(self, lease: ProcessLease, ttl_ms: int) -> ProcessLease:
        """Extend a lease."""
        table = self._tables.processes
        table.check_known(lease.process_id)
        row = table.lease(lease.process_id)
        renewed = renewed_lease(lease, row, now_ms=self._tables.clock.now_ms(), ttl_ms=ttl_ms)
        table.leases[lease.process_id] = claimed_row(row, renewed)
        return renewed

    async def complete_process_lease(self, completion: ProcessLeaseCompletion) -> None:
        """Give a lease back; a stale token is left alone. The fence is kept."""
        self._tables.processes.check_known(completion.process_id)
        row = self._tables.processes.lease(completion.process_id)
        if is_released_by(completion, row):
            self._release(completion.process_id)

    async def complete_process_with_lease(
        self, lease: ProcessLease, output: ProcessAwaitOutput
    ) -> ProcessRecord:
        """End a process and give its lease back at once."""
        table, process_id = self._tables.processes, lease.process_id
        request = completion_request(process_id, output)
        check_request(process_id, request)
        table.check_known(process_id)
        row = table.lease(process_id)
        if row.ended_under == lease.lease_token:  # the retry of a completion whose answer was lost
            return self._decide(process_id, request).record
        check_live_lease(lease, row, self._tables.clock.now_ms())
        record = self._store(self._decide(process_id, request))
        self._release(process_id, ended_under=lease.lease_token)
        return record

    async def start_process_attempt(self, lease: ProcessLease) -> ProcessRecord:
        """Note that the holder of a lease runs the process now."""
        now_ms = self._tables.clock.now_ms()
        record = self._tables.processes.record(lease.process_id)
        check_live_lease(lease, self._tables.processes.lease(lease.process_id), now_ms)
        if lease.process_id in self._tables.processes.resumable and not record.is_terminal:
            self._tables.processes.resumable.discard(lease.process_id)
            return record
        return self._store(attempt_append(record, lease, now_ms))

    def _release(self, process_id: str, *, ended_under: str | None = None) -> None:
        row = self._tables.processes.lease(process_id)
        self._tables.processes.leases[process_id] = released_row(row, ended_under=ended_under)
        self._tables.hub.publish("processes")
