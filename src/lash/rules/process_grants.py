"""Grants: who may see a process (contract 2.C.3 to 2.C.7, rules R-10, R-21, ruling 32)."""

from __future__ import annotations

from collections.abc import Collection

from lash.errors import LashError
from lash.rules.storable import check_storable
from lash.values import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessScope,
    ProcessSessionDeleteReport,
)


def check_grant(scope: ProcessScope, descriptor: ProcessHandleDescriptor | None = None) -> None:
    """Refuse to let nobody see a process, or to describe it in what is no text.

    Raises:
        LashError: `invalid_argument`; `json_not_representable`.
    """
    check_storable([scope, descriptor], what="a process handle")
    if not scope.session_id.strip():
        raise LashError("invalid_argument", "a process handle is granted to a session; its id is blank")


def handle_grant(
    scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
) -> ProcessHandleGrant:
    """Return a grant as callers see it."""
    return ProcessHandleGrant(
        session_id=scope.session_id, scope_id=scope.id, process_id=process_id, descriptor=descriptor
    )


def not_granted(scope: ProcessScope, process_id: str) -> LashError:
    """Return the error for moving what the source cannot see."""
    return LashError(
        "process_handle_not_granted",
        f"{scope.id!r} has no handle on process {process_id!r}; nothing was moved",
        scope_id=scope.id,
        process_id=process_id,
    )


def session_report(
    session_id: str, *, revoked_count: int, running: Collection[str], still_granted: Collection[str]
) -> ProcessSessionDeleteReport:
    """Return what revoking a session's grants found.

    Args:
        session_id: Whose grants were revoked.
        revoked_count: How many, those on finished processes included.
        running: The running processes among them.
        still_granted: Processes that somebody else may see; others than these may be among them.
    """
    kept = set(running) & set(still_granted)
    return ProcessSessionDeleteReport(
        session_id=session_id,
        revoked_handle_count=revoked_count,
        cancel_process_ids=tuple(sorted(set(running) - kept)),
        preserved_process_ids=tuple(sorted(kept)),
    )
