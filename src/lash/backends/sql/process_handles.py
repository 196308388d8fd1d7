"""Who may see which process, as rows (contract 2.C.3 to 2.C.7)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.process_rows import (
    LIVE_PROCESSES_OF_SCOPE,
    PROCESSES_OF_SCOPE,
    ProcessRow,
    pid_of,
)
from lash.backends.sql.store import Store, json_list
from lash.rules.process_events import process_unknown
from lash.rules.process_grants import check_grant, handle_grant, not_granted, session_report
from lash.values import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessRecord,
    ProcessScope,
    ProcessSessionDeleteReport,
    decode_record,
    encode_record,
)


class GrantRow(msgspec.Struct, frozen=True, gc=False):
    """A grant as stored."""

    session_id: str
    frame_id: str
    process_id: str
    descriptor: bytes

    def grant(self) -> ProcessHandleGrant:
        """Return it as callers see it."""
        what = f"table process_grant: handle of {self.session_id!r} on process {self.process_id!r}"
        descriptor = decode_record(ProcessHandleDescriptor, self.descriptor, what=what)
        scope = ProcessScope(self.session_id, self.frame_id or None)
        return handle_grant(scope, self.process_id, descriptor)


class RevokedRow(msgspec.Struct, frozen=True, gc=False):
    """A grant of a session that is deleted, and what is left of its process."""

    process_id: str
    is_terminal: int
    is_still_granted: int


_GRANT = "SELECT session_id, frame_id, process_id, descriptor FROM process_grant"

PUT_GRANT = """INSERT INTO process_grant (session_id, frame_id, process_id, descriptor) VALUES (?, ?, ?, ?)
    ON CONFLICT (session_id, frame_id, process_id) DO UPDATE SET descriptor = excluded.descriptor"""
HAS_GRANT = "SELECT 1 FROM process_grant WHERE session_id = ? AND frame_id = ? AND process_id = ?"
REMOVE_GRANT = "DELETE FROM process_grant WHERE session_id = ? AND frame_id = ? AND process_id = ?"
GRANTS_OF_SCOPE = f"{_GRANT} WHERE session_id = ? AND frame_id = ?"
GRANTS_AMONG = f"""{_GRANT} WHERE session_id = ? AND frame_id = ?
    AND process_id IN (SELECT value FROM json_each(?))"""  # noqa: S608  # constants only
GRANTS_OF_PROCESS = f"{_GRANT} WHERE process_id = ? ORDER BY session_id, frame_id"
KNOWN_PROCESSES = "SELECT process_id FROM process WHERE process_id IN (SELECT value FROM json_each(?))"
REVOKED_OF_SESSION = """SELECT g.process_id, p.terminal_sequence IS NOT NULL,
    EXISTS (SELECT 1 FROM process_grant o WHERE o.process_id = g.process_id AND o.session_id <> g.session_id)
    FROM process_grant g JOIN process p ON p.process_id = g.process_id WHERE g.session_id = ?"""
REVOKE_SESSION = "DELETE FROM process_grant WHERE session_id = ?"


class ProcessHandles:
    """The grants of a registry. They are kept under the pair of session and frame (R-10)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def grant_handle(
        self,
        scope: ProcessScope,
        process_id: str,
        descriptor: ProcessHandleDescriptor = ProcessHandleDescriptor(),  # noqa: B008  # frozen
    ) -> ProcessHandleGrant:
        """Let a scope see a process; the last descriptor wins."""
        columns = grant_columns(process_id, scope, descriptor)

        async def script(tx: Tx) -> None:
            await pid_of(tx, process_id)
            await tx.write(PUT_GRANT, *columns)

        await self._store.run(script)
        return handle_grant(scope, process_id, descriptor)

    async def revoke_handle(self, scope: ProcessScope, process_id: str) -> None:
        """Take a grant back; no error when there is none."""

        async def script(tx: Tx) -> None:
            await tx.write(REMOVE_GRANT, *_place(scope), process_id)

        await self._store.run(script)

    async def has_handle_grant(self, scope: ProcessScope, process_id: str) -> bool:
        """Whether exactly that scope may see the process."""

        async def script(tx: Tx) -> bool:
            return await tx.fetch_one(int, HAS_GRANT, *_place(scope), process_id) is not None

        return await self._store.read(script)

    async def list_handle_grants(self, scope: ProcessScope) -> list[tuple[ProcessHandleGrant, ProcessRecord]]:
        """Return what a scope may see, finished processes included, ordered by process id."""
        return await self._entries(scope, PROCESSES_OF_SCOPE)

    async def list_live_handle_grants(
        self, scope: ProcessScope
    ) -> list[tuple[ProcessHandleGrant, ProcessRecord]]:
        """Return what a scope may see and is not over, ordered by process id."""
        return await self._entries(scope, LIVE_PROCESSES_OF_SCOPE)

    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]:
        """Return who may see a process, ordered by session id, then scope."""

        async def script(tx: Tx) -> list[ProcessHandleGrant]:
            await pid_of(tx, process_id)
            return [row.grant() for row in await tx.fetch_all(GrantRow, GRANTS_OF_PROCESS, process_id)]

        return await self._store.read(script)

    async def transfer_handle_grants(
        self, from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Sequence[str]
    ) -> None:
        """Move grants, all or none."""
        moved = list(dict.fromkeys(process_ids))
        source, target = _place(from_scope), _place(to_scope)
        if moved and source != target:
            check_grant(to_scope)

        async def script(tx: Tx) -> None:
            known, granted = await tx.read(
                Query(str, KNOWN_PROCESSES, json_list(moved)),
                Query(GrantRow, GRANTS_AMONG, *source, json_list(moved)),
            )
            bodies = {row.process_id: row.descriptor for row in granted}
            for process_id in moved:
                if process_id not in known:
                    raise process_unknown(process_id)
            for process_id in moved:
                if process_id not in bodies:
                    raise not_granted(from_scope, process_id)
            if source != target:
                await tx.write_many(REMOVE_GRANT, [(*source, process_id) for process_id in moved])
                await tx.write_many(
                    PUT_GRANT, [(*target, process_id, bodies[process_id]) for process_id in moved]
                )

        await self._store.run(script)

    async def delete_session_process_state(self, session_id: str) -> ProcessSessionDeleteReport:
        """Revoke a session's grants and report what that leaves alone."""

        async def script(tx: Tx) -> ProcessSessionDeleteReport:
            revoked = await tx.fetch_all(RevokedRow, REVOKED_OF_SESSION, session_id)
            if revoked:
                await tx.write(REVOKE_SESSION, session_id)
            return session_report(
                session_id,
                revoked_count=len(revoked),
                running={row.process_id for row in revoked if not row.is_terminal},
                still_granted={row.process_id for row in revoked if row.is_still_granted},
            )

        return await self._store.run(script)

    async def _entries(
        self, scope: ProcessScope, processes: str
    ) -> list[tuple[ProcessHandleGrant, ProcessRecord]]:
        async def script(tx: Tx) -> list[tuple[ProcessHandleGrant, ProcessRecord]]:
            grants, rows = await tx.read(
                Query(GrantRow, GRANTS_OF_SCOPE, *_place(scope)),
                Query(ProcessRow, processes, *_place(scope)),
            )
            by_id = {row.process_id: row.grant() for row in grants}
            return [(by_id[row.process_id], row.record()) for row in rows]

        return await self._store.read(script)


def grant_columns(
    process_id: str, scope: ProcessScope, descriptor: ProcessHandleDescriptor
) -> tuple[str, str, str, bytes]:
    """Return what is stored for a grant.

    Raises:
        LashError: `invalid_argument`; `json_not_representable`.
    """
    check_grant(scope, descriptor)
    return (*_place(scope), process_id, encode_record(descriptor))


def _place(scope: ProcessScope) -> tuple[str, str]:
    return scope.session_id, scope.agent_frame_id or ""
