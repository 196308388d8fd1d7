"""Which processes want to be run, which wait, who watches them (contract 5, B-9, B-11, B-23).

What is ready is found in an index that holds nothing else, one walk for each host profile: neither what is parked
nor what is over is looked at, however much there is of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.process_handles import grant_columns
from lash.backends.sql.process_pruning import prune_processes
from lash.backends.sql.process_rows import (
    ProcessRow,
    find_process,
    locked_process,
    only,
    pid_of,
    select_processes,
    write_process_lease,
)
from lash.backends.sql.store import Store, json_list
from lash.backends.sql.wait_rows import over_among, park, waits_among
from lash.backends.sql.work_overview import dead_owned_work
from lash.contracts import Subscription
from lash.rules.process_events import already_terminal
from lash.rules.process_leases import check_live_lease, released_row
from lash.rules.waits import is_wanted_back, parking_keys
from lash.values import (
    ProcessHandleDescriptor,
    ProcessLease,
    ProcessRecord,
    ProcessScope,
    decode_record,
    encode_record,
)


class ParkedProcess(msgspec.Struct, frozen=True, gc=False):
    """What a process is parked on."""

    process_id: str
    keys: bytes


class ObservedRow(msgspec.Struct, frozen=True, gc=False):
    """An edge from a scope to a process that it watches."""

    process_id: str
    descriptor: bytes


_IS_READY = "terminal_sequence IS NULL AND park_id IS NULL AND is_external = 0"
READY_OF_PROFILE = select_processes("""WHERE p.host_profile = ? AND p.terminal_sequence IS NULL AND p.park_id IS NULL
    AND p.is_external = 0 AND p.process_id > ? AND (p.lease_owner_id IS NULL OR p.lease_expires_at_ms <= ?
    OR p.lease_owner_id IN (SELECT value FROM json_each(?))) ORDER BY p.process_id LIMIT ?""")
# Steps from one profile to the next through the index, past all processes between.
PROFILES = f"""WITH RECURSIVE profile (name) AS (
        SELECT min(host_profile) FROM process WHERE {_IS_READY}
        UNION ALL
        SELECT (SELECT min(p.host_profile) FROM process p WHERE {_IS_READY} AND p.host_profile > o.name)
        FROM profile o WHERE o.name IS NOT NULL
    ) SELECT name FROM profile WHERE name IS NOT NULL"""  # noqa: S608  # constants only
PARK_PROCESS = "UPDATE process SET park_id = ?, parked_on = ?, is_resumable = ? WHERE pid = ?"
RESUME = "UPDATE process SET is_resumable = 0 WHERE pid = ?"
PARKED_PROCESSES = """SELECT process_id, parked_on FROM process
    WHERE process_id IN (SELECT value FROM json_each(?)) AND park_id IS NOT NULL"""
PUT_FRAME = """INSERT INTO process_frame (pid, body) VALUES (?, ?)
    ON CONFLICT (pid) DO UPDATE SET body = excluded.body"""
FIND_FRAME = "SELECT body FROM process_frame WHERE pid = ?"
OBSERVE = """INSERT INTO process_observer (session_id, frame_id, process_id, descriptor) VALUES (?, ?, ?, ?)
    ON CONFLICT (session_id, frame_id, process_id) DO UPDATE SET descriptor = excluded.descriptor"""
UNOBSERVE = "DELETE FROM process_observer WHERE session_id = ? AND frame_id = ? AND process_id = ?"
EDGES_OF_SCOPE = "SELECT process_id, descriptor FROM process_observer WHERE session_id = ? AND frame_id = ?"
OBSERVED_PROCESSES = select_processes("""JOIN process_observer o ON o.process_id = p.process_id
    WHERE o.session_id = ? AND o.frame_id = ? ORDER BY o.process_id""")


class ProcessReadiness:
    """Parking, the list of what is ready, observers, and pruning."""

    def __init__(self, store: Store, subscribe: Callable[[Sequence[str]], Subscription]) -> None:
        self._store = store

    async def list_ready_processes(
        self, *, host_profiles: Sequence[str] | None, after: str | None = None, limit: int = 100
    ) -> list[ProcessRecord]:
        """Return processes that somebody should run now, ordered by id."""

        async def script(tx: Tx) -> list[ProcessRecord]:
            dead = json_list(sorted(await dead_owned_work(tx, self._store)))
            profiles = await tx.fetch_all(str, PROFILES) if host_profiles is None else host_profiles
            most = max(limit, 0)
            pages = await tx.read(
                *(
                    Query(ProcessRow, READY_OF_PROFILE, profile, after or "", tx.now_ms, dead, most)
                    for profile in dict.fromkeys(profiles)
                )
            )
            rows = sorted((row for page in pages for row in page), key=lambda row: row.process_id)
            return [row.record() for row in rows[:most]]

        return await self._store.read(script)

    async def park_process(
        self, lease: ProcessLease, wait_keys: Sequence[str], *, frame: bytes | None = None
    ) -> bool:
        """Give a process back until one of the waits is resolved, unless there is nothing to wait for."""
        keys, park_id = parking_keys(wait_keys), self._store.new_id("park")

        async def script(tx: Tx) -> bool:
            rows, waits, over = await tx.read(
                find_process(lease.process_id), waits_among(keys), over_among(keys)
            )
            row, record = _held(lease, only(lease.process_id, rows), tx.now_ms)
            if is_wanted_back(record) or over or any(wait.resolved_at_ms is not None for wait in waits):
                return False
            if frame is not None:
                await tx.write(PUT_FRAME, row.pid, frame)
            await write_process_lease(tx, row, released_row(row.lease))
            await tx.write(PARK_PROCESS, park_id, encode_record(keys), int(record.attempts > 0), row.pid)
            await park(tx, park_id, keys, pid=row.pid)
            return True

        return await self._store.run(script, durable=False)

    async def parked_processes(self, process_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return what those of the processes that are parked wait for."""

        async def script(tx: Tx) -> dict[str, tuple[str, ...]]:
            rows = await tx.fetch_all(ParkedProcess, PARKED_PROCESSES, json_list(process_ids))
            return {
                row.process_id: decode_record(
                    tuple[str, ...], row.keys, what=f"table process: parking of {row.process_id!r}"
                )
                for row in rows
            }

        return await self._store.read(script)

    async def save_process_frame(self, lease: ProcessLease, frame: bytes) -> None:
        """Store what to go on from if the process is taken up again."""

        async def script(tx: Tx) -> None:
            row, _ = _held(lease, await locked_process(tx, lease.process_id), tx.now_ms)
            await tx.write(PUT_FRAME, row.pid, frame)

        await self._store.run(script)

    async def process_frame(self, process_id: str) -> bytes | None:
        """Return what was stored last to go on from, or None."""

        async def script(tx: Tx) -> bytes | None:
            return await tx.fetch_one(bytes, FIND_FRAME, await pid_of(tx, process_id))

        return await self._store.read(script)

    async def observe_process(
        self, scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> None:
        """Note that a scope watches a process; the last descriptor wins."""
        columns = grant_columns(process_id, scope, descriptor)

        async def script(tx: Tx) -> None:
            await pid_of(tx, process_id)
            await tx.write(OBSERVE, *columns)

        await self._store.run(script)

    async def unobserve_process(self, scope: ProcessScope, process_id: str) -> None:
        """Take an edge back; no error when there is none."""

        async def script(tx: Tx) -> None:
            await tx.write(UNOBSERVE, *_place(scope), process_id)

        await self._store.run(script)

    async def list_observed(self, scope: ProcessScope) -> list[tuple[ProcessHandleDescriptor, ProcessRecord]]:
        """Return the processes that a scope watches, ordered by id."""

        async def script(tx: Tx) -> list[tuple[ProcessHandleDescriptor, ProcessRecord]]:
            edges, rows = await tx.read(
                Query(ObservedRow, EDGES_OF_SCOPE, *_place(scope)),
                Query(ProcessRow, OBSERVED_PROCESSES, *_place(scope)),
            )
            bodies = {edge.process_id: edge.descriptor for edge in edges}
            what = f"table process_observer: edges of {scope.id!r}"
            return [
                (decode_record(ProcessHandleDescriptor, bodies[row.process_id], what=what), row.record())
                for row in rows
            ]

        return await self._store.read(script)

    async def prune_processes(
        self, *, finished_before_ms: int, watermark: int | None, limit: int = 1000
    ) -> int:
        """Delete processes that ended before that time, the oldest change first; return how many."""

        async def script(tx: Tx) -> int:
            return await prune_processes(tx, finished_before_ms, watermark, max(limit, 0))

        return await self._store.run(script, durable=False)


def _held(lease: ProcessLease, row: ProcessRow, now_ms: int) -> tuple[ProcessRow, ProcessRecord]:
    """Return the running process that a lease is good for.

    Raises:
        LashError: `process_lease_lost`; `process_already_terminal`.
    """
    check_live_lease(lease, row.lease, now_ms)
    record = row.record()
    if record.is_terminal:
        raise already_terminal(record, "park")
    return row, record


def _place(scope: ProcessScope) -> tuple[str, str]:
    return scope.session_id, scope.agent_frame_id or ""
