"""Who may see which process (contract 2.C.3 to 2.C.7)."""

from __future__ import annotations

from collections.abc import Sequence

from lash.backends.memory.process_table import grant_scope
from lash.backends.memory.tables import Tables
from lash.rules.process_grants import check_grant, handle_grant, not_granted, session_report
from lash.values import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessRecord,
    ProcessScope,
    ProcessSessionDeleteReport,
)


class ProcessHandles:
    """The grants of a registry."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def grant_handle(
        self,
        scope: ProcessScope,
        process_id: str,
        descriptor: ProcessHandleDescriptor = ProcessHandleDescriptor(),  # noqa: B008  # frozen
    ) -> ProcessHandleGrant:
        """Let a scope see a process; the last descriptor wins."""
        check_grant(scope, descriptor)
        self._tables.processes.check_known(process_id)
        self._tables.processes.granted(scope)[process_id] = descriptor
        return handle_grant(scope, process_id, descriptor)

    async def revoke_handle(self, scope: ProcessScope, process_id: str) -> None:
        """Take a grant back; no error when there is none."""
        self._tables.processes.grants.get(grant_scope(scope), {}).pop(process_id, None)

    async def has_handle_grant(self, scope: ProcessScope, process_id: str) -> bool:
        """Whether exactly that scope may see the process."""
        return process_id in self._tables.processes.grants.get(grant_scope(scope), {})

    async def list_handle_grants(self, scope: ProcessScope) -> list[tuple[ProcessHandleGrant, ProcessRecord]]:
        """Return what a scope may see, finished processes included, ordered by process id."""
        table = self._tables.processes
        granted = table.grants.get(grant_scope(scope), {})
        return [
            (handle_grant(scope, process_id, descriptor), table.record(process_id))
            for process_id, descriptor in sorted(granted.items(), key=lambda entry: entry[0])
        ]

    async def list_live_handle_grants(
        self, scope: ProcessScope
    ) -> list[tuple[ProcessHandleGrant, ProcessRecord]]:
        """Return what a scope may see and is not over, ordered by process id."""
        return [entry for entry in await self.list_handle_grants(scope) if not entry[1].is_terminal]

    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]:
        """Return who may see a process, ordered by session id, then scope."""
        table = self._tables.processes
        table.check_known(process_id)
        holders = [
            (scope, granted[process_id]) for scope, granted in table.grants.items() if process_id in granted
        ]
        holders.sort(key=lambda holder: (holder[0].session_id, holder[0].agent_frame_id or ""))
        return [handle_grant(scope, process_id, descriptor) for scope, descriptor in holders]

    async def transfer_handle_grants(
        self, from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Sequence[str]
    ) -> None:
        """Move grants, all or none."""
        table = self._tables.processes
        moved = dict.fromkeys(process_ids)
        for process_id in moved:
            table.check_known(process_id)
        source = table.grants.get(grant_scope(from_scope), {})
        for process_id in moved:
            if process_id not in source:
                raise not_granted(from_scope, process_id)
        if not moved or grant_scope(from_scope) == grant_scope(to_scope):
            return
        check_grant(to_scope)
        for process_id in moved:
            table.granted(to_scope)[process_id] = source.pop(process_id)

    async def delete_session_process_state(self, session_id: str) -> ProcessSessionDeleteReport:
        """Revoke a session's grants and report what that leaves alone."""
        table = self._tables.processes
        mine = [scope for scope in table.grants if scope.session_id == session_id]
        revoked = [process_id for scope in mine for process_id in table.grants.pop(scope)]
        running = {process_id for process_id in revoked if not table.processes[process_id].is_terminal}
        kept = {process_id for granted in table.grants.values() for process_id in granted}
        return session_report(session_id, revoked_count=len(revoked), running=running, still_granted=kept)
