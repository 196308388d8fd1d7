"""Processes as rows: registration, listing, leases (contract 2.C)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lash.backends.sql.engine import Tx
from lash.backends.sql.holders import PROCESS_HOLDER
from lash.backends.sql.process_handles import PUT_GRANT, ProcessHandles, grant_columns
from lash.backends.sql.process_log import ProcessLog, known_append, store_append
from lash.backends.sql.process_readiness import RESUME, ProcessReadiness
from lash.backends.sql.process_rows import (
    ADD_PROCESS,
    ADD_REGISTERED,
    CHANGED_PROCESSES,
    FIND_PROCESS,
    RUNNING_PROCESSES,
    ProcessRow,
    locked_process,
    write_event,
    write_process_lease,
)
from lash.backends.sql.store import Store
from lash.contracts import Subscription
from lash.rules.identifiers import check_text
from lash.rules.leases import expires_at
from lash.rules.process_events import (
    check_request,
    completion_request,
    decide_append,
    no_longer_retained,
)
from lash.rules.process_leases import (
    check_claim,
    check_live_lease,
    claimed_lease,
    is_released_by,
    released_row,
    renewed_lease,
)
from lash.rules.process_recovery import attempt_append
from lash.rules.process_registration import check_same_registration, registered_record
from lash.values import (
    DurabilityTier,
    ProcessAwaitOutput,
    ProcessLease,
    ProcessLeaseCompletion,
    ProcessRecord,
    ProcessRegistration,
    ProcessStartGrant,
    RecoveryDisposition,
    encode_record,
)


class SqlProcessRegistry(ProcessLog, ProcessHandles, ProcessReadiness):
    """See `ProcessRegistry` for the contract. Leases need visibility, not durability; events need both.

    Args:
        store: The database that it is a view on.
        subscribe: How waits learn of commits.
    """

    durability_tier = DurabilityTier.DURABLE

    def __init__(self, store: Store, subscribe: Callable[[Sequence[str]], Subscription]) -> None:
        super().__init__(store, subscribe)

    async def register_process(
        self, registration: ProcessRegistration, *, grants: Sequence[ProcessStartGrant] = ()
    ) -> ProcessRecord:
        """Create a process, or return the existing one of the same registration hash as it is now."""
        prepared = registered_record(registration, 0)
        granted = [grant_columns(prepared.id, grant.owner_scope, grant.descriptor) for grant in grants]

        async def script(tx: Tx) -> ProcessRecord:
            known = await tx.fetch_one(ProcessRow, FIND_PROCESS, prepared.id)
            if known is None:
                record = await _add(tx, prepared)
            elif known.pruned_at_ms is not None:
                raise no_longer_retained(prepared.id)
            else:
                record = known.record()
                check_same_registration(record, prepared)
            await tx.write_many(PUT_GRANT, granted)
            return record

        return await self._store.run(script)

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        """Return a process, or None."""

        async def script(tx: Tx) -> ProcessRecord | None:
            row = await tx.fetch_one(ProcessRow, FIND_PROCESS, process_id)
            return None if row is None or row.pruned_at_ms is not None else row.record()

        return await self._store.read(script)

    async def list_non_terminal(self) -> list[ProcessRecord]:
        """Return every running process, ordered by id."""

        async def script(tx: Tx) -> list[ProcessRecord]:
            return [row.record() for row in await tx.fetch_all(ProcessRow, RUNNING_PROCESSES)]

        return await self._store.read(script)

    async def processes_changed_since(
        self, cursor: int, *, limit: int = 100
    ) -> tuple[list[ProcessRecord], int]:
        """Return processes in the order of their last change, after a cursor, and the next cursor."""

        async def script(tx: Tx) -> tuple[list[ProcessRecord], int]:
            rows = await tx.fetch_all(ProcessRow, CHANGED_PROCESSES, cursor, max(limit, 0))
            return [row.record() for row in rows], rows[-1].change_seq if rows else cursor

        return await self._store.read(script)

    async def claim_process_lease(self, process_id: str, owner_id: str, ttl_ms: int) -> ProcessLease:
        """Take the right to run a process."""
        check_claim(process_id, owner_id, ttl_ms)
        check_text(owner_id, what="owner id")
        token = self._store.new_id("token")

        async def script(tx: Tx) -> ProcessLease:
            self._store.foresee_owners(tx, PROCESS_HOLDER, process_id)
            row = await locked_process(tx, process_id)
            lease = claimed_lease(
                process_id,
                row.lease,
                owner_id=owner_id,
                lease_token=token,
                now_ms=tx.now_ms,
                ttl_ms=ttl_ms,
                dead_owners=await self._store.dead_among(tx, [row.lease_owner_id]),
            )
            await write_process_lease(tx, row, lease)
            return lease

        return await self._store.run(script, durable=False)

    async def renew_process_lease(self, lease: ProcessLease, ttl_ms: int) -> ProcessLease:
        """Extend a lease."""
        expires_at(0, ttl_ms)  # refuses a negative time to live

        async def script(tx: Tx) -> ProcessLease:
            row = await locked_process(tx, lease.process_id)
            renewed = renewed_lease(lease, row.lease, now_ms=tx.now_ms, ttl_ms=ttl_ms)
            await write_process_lease(tx, row, renewed)
            return renewed

        return await self._store.run(script, durable=False)

    async def complete_process_lease(self, completion: ProcessLeaseCompletion) -> None:
        """Give a lease back; a stale token is left alone. The fence is kept."""

        async def script(tx: Tx) -> None:
            row = await locked_process(tx, completion.process_id)
            if is_released_by(completion, row.lease):
                await write_process_lease(tx, row, released_row(row.lease))
                tx.notify("processes")

        await self._store.run(script, durable=False)

    async def complete_process_with_lease(
        self, lease: ProcessLease, output: ProcessAwaitOutput
    ) -> ProcessRecord:
        """End a process and give its lease back at once."""
        process_id = lease.process_id
        request = completion_request(process_id, output)
        check_request(process_id, request)
        batch_id = self._store.new_id("batch")

        async def script(tx: Tx) -> ProcessRecord:
            row, recorded = await known_append(tx, process_id, request)
            # A token that ended the process already is the retry of a completion whose answer was lost.
            if row.ended_under == lease.lease_token:
                return decide_append(row.record(), request, recorded, tx.now_ms).record
            check_live_lease(lease, row.lease, tx.now_ms)
            append = decide_append(row.record(), request, recorded, tx.now_ms)
            await store_append(tx, row, append, batch_id)
            await write_process_lease(tx, row, released_row(row.lease, ended_under=lease.lease_token))
            tx.notify("processes")
            return append.record

        return await self._store.run(script)

    async def start_process_attempt(self, lease: ProcessLease) -> ProcessRecord:
        """Note that the holder of a lease runs the process now."""

        async def script(tx: Tx) -> ProcessRecord:
            row = await locked_process(tx, lease.process_id)
            check_live_lease(lease, row.lease, tx.now_ms)
            record = row.record()
            if row.is_resumable and not record.is_terminal:
                await tx.write(RESUME, row.pid)
                return record
            append = attempt_append(record, lease, tx.now_ms)
            await write_event(tx, row, append)
            return append.record

        return await self._store.run(script)


async def _add(tx: Tx, prepared: ProcessRecord) -> ProcessRecord:
    """Store a new process and return it with its times."""
    record = prepared.replace(created_at_ms=tx.now_ms, updated_at_ms=tx.now_ms)
    is_external = record.recovery is RecoveryDisposition.EXTERNALLY_OWNED
    profile = record.provenance.host_profile_id
    pid = await tx.fetch_one(int, ADD_PROCESS, record.id, tx.now_ms, profile, int(is_external))
    await tx.write(ADD_REGISTERED, pid, encode_record(record))
    tx.notify("processes")
    return record
