"""Wrong grants of processes."""

from __future__ import annotations

from typing import Any

from lash.errors import LashError
from lash.values import (
    ProcessHandleDescriptor,
    ProcessScope,
)

from .mutant import answers, mutant, value

REGISTRY = "lash.backends.memory.process_registry"
HANDLES = "lash.backends.memory.process_handles"
LOG = "lash.backends.memory.process_log"


def _copies(original: Any) -> Any:
    async def transfer(self: Any, source: Any, target: Any, ids: Any) -> None:
        kept = dict(self._tables.processes.granted(source))
        await original(self, source, target, ids)
        self._tables.processes.granted(source).update(kept)

    return transfer


mutant(
    "a transfer copies",
    "transfer_handle_grants_moves_addressability",
    (f"{HANDLES}:ProcessHandles.transfer_handle_grants", _copies),
)
mutant(
    "only the first holder is listed",
    "multiple_sessions_can_hold_grants",
    (f"{HANDLES}:ProcessHandles.handle_grants_for_process", answers(lambda grants, *_: grants[:1])),
)


async def _as_given(self: Any, process_id: str) -> Any:
    from lash.rules.process_grants import handle_grant

    self._tables.processes.check_known(process_id)
    return [
        handle_grant(scope, process_id, granted[process_id])
        for scope, granted in self._tables.processes.grants.items()
        if process_id in granted
    ]


mutant(
    "holders are listed as they came",
    "grants_are_ordered_by_session",
    (f"{HANDLES}:ProcessHandles.handle_grants_for_process", value(_as_given)),
)


def _grants_the_owner(original: Any) -> Any:
    async def register(self: Any, registration: Any) -> Any:
        record = await original(self, registration)
        self._tables.processes.granted(record.provenance.owner_scope)[record.id] = ProcessHandleDescriptor()
        return record

    return register


mutant(
    "the owner is granted its process",
    "processes_can_exist_with_zero_grants",
    (f"{REGISTRY}:InMemoryProcessRegistry.register_process", _grants_the_owner),
)
mutant(
    "finished processes are not counted as revoked",
    "delete_session_revokes_handles_by_session",
    (
        f"{HANDLES}:session_report",
        lambda original: (
            lambda session_id, *, revoked_count, running, still_granted: original(
                session_id, revoked_count=len(running), running=running, still_granted=still_granted
            )
        ),
    ),
)


def _only_the_session(original: Any) -> Any:
    async def delete(self: Any, session_id: str) -> Any:
        framed = {
            scope: granted
            for scope, granted in self._tables.processes.grants.items()
            if scope.session_id == session_id and scope.agent_frame_id
        }
        for scope in framed:
            del self._tables.processes.grants[scope]
        report = await original(self, session_id)
        self._tables.processes.grants.update(framed)
        return report

    return delete


mutant(
    "frames keep their grants when their session goes",
    "deleting_a_session_cancels_nothing_and_covers_its_frames",
    (f"{HANDLES}:ProcessHandles.delete_session_process_state", _only_the_session),
)
mutant(
    "finished processes are listed as live",
    "list_live_handle_grants_excludes_terminal_history",
    (
        f"{HANDLES}:ProcessHandles.list_live_handle_grants",
        lambda original: lambda self, scope: self.list_handle_grants(scope),
    ),
)
mutant(
    "grants are kept by the text of their scope",
    "frames_are_scopes_of_their_own",
    (f"{HANDLES}:grant_scope", value(lambda scope: ProcessScope(scope.id))),
    ("lash.backends.memory.process_table:grant_scope", value(lambda scope: ProcessScope(scope.id))),
)
mutant(
    "the first descriptor stays",
    "a_grant_again_replaces_its_descriptor",
    (f"{HANDLES}:ProcessHandles.grant_handle", lambda original: _first_stays(original)),
)


def _first_stays(original: Any) -> Any:
    async def grant(self: Any, scope: Any, process_id: str, descriptor: Any) -> Any:
        known = self._tables.processes.granted(scope).get(process_id)
        return await original(self, scope, process_id, known or descriptor)

    return grant


def _one_by_one(original: Any) -> Any:
    async def transfer(self: Any, source: Any, target: Any, ids: Any) -> None:
        for process_id in dict.fromkeys(ids):
            await original(self, source, target, [process_id])

    return transfer


mutant(
    "a transfer moves what it can",
    "transfers_are_all_or_nothing",
    (f"{HANDLES}:ProcessHandles.transfer_handle_grants", _one_by_one),
)


def _twice_is_two(original: Any) -> Any:
    async def transfer(self: Any, source: Any, target: Any, ids: Any) -> None:
        if len(set(ids)) != len(ids):
            raise LashError("process_handle_not_granted", "it was moved already")
        await original(self, source, target, ids)

    return transfer


mutant(
    "an id twice is moved twice",
    "transfers_collapse_duplicates_and_keep_descriptors",
    (f"{HANDLES}:ProcessHandles.transfer_handle_grants", _twice_is_two),
)
