"""Durable processes: the registry port (contract 2.C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lash.values import (
    DurabilityTier,
    Json,
    ProcessAwaitOutput,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventAppendResult,
    ProcessExternalRef,
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessLease,
    ProcessLeaseCompletion,
    ProcessRecord,
    ProcessRegistration,
    ProcessScope,
    ProcessSessionDeleteReport,
    ProcessStartGrant,
    WakeDeliveryRecord,
)


class ProcessRegistry(Protocol):
    """Processes, their event logs, who may see them, and who runs them.

    Every operation on an unknown id fails with `process_unknown`, except `get_process`, `revoke_handle`
    and `has_handle_grant`.
    """

    durability_tier: DurabilityTier

    async def register_process(
        self, registration: ProcessRegistration, *, grants: Sequence[ProcessStartGrant] = ()
    ) -> ProcessRecord:
        """Create a process, or return the existing one of the same registration hash as it is now.

        Args:
            registration: What it is started from.
            grants: Who may see it from its first moment, given in the same transaction: a process that nobody
                can reach is never left behind. A repeat gives them again.

        Raises:
            LashError: `process_registration_invalid`; `process_registration_conflict` for the same id with
                another hash; `invalid_argument` for a grant to nobody.
        """
        ...

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        """Return a process, or None; raises when the backend fails (R-19)."""
        ...

    async def list_non_terminal(self) -> list[ProcessRecord]:
        """Return every running process, ordered by id."""
        ...

    async def set_external_ref(self, process_id: str, ref: ProcessExternalRef) -> ProcessRecord:
        """Say where the process lives elsewhere; the last write wins."""
        ...

    async def grant_handle(
        self, scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> ProcessHandleGrant:
        """Let a scope see a process; the last descriptor wins."""
        ...

    async def revoke_handle(self, scope: ProcessScope, process_id: str) -> None:
        """Take a grant back; no error when there is none."""
        ...

    async def has_handle_grant(self, scope: ProcessScope, process_id: str) -> bool:
        """Whether exactly that scope may see the process."""
        ...

    async def list_handle_grants(self, scope: ProcessScope) -> list[tuple[ProcessHandleGrant, ProcessRecord]]:
        """Return what a scope may see, finished processes included, ordered by process id."""
        ...

    async def list_live_handle_grants(
        self, scope: ProcessScope
    ) -> list[tuple[ProcessHandleGrant, ProcessRecord]]:
        """Return what a scope may see and is not over, ordered by process id."""
        ...

    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]:
        """Return who may see a process, ordered by session id, then scope."""
        ...

    async def transfer_handle_grants(
        self, from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Sequence[str]
    ) -> None:
        """Move grants, all or none.

        Raises:
            LashError: `process_handle_not_granted` when `from_scope` lacks one of them.
        """
        ...

    async def append_event(
        self, process_id: str, request: ProcessEventAppendRequest
    ) -> ProcessEventAppendResult:
        """Append an event and apply what it means (contract 2.C.8; the order of checks is normative).

        Raises:
            LashError: `process_unknown`, `process_event_replay_conflict`, `process_event_undeclared`,
                `process_event_replay_required`, `process_event_payload_invalid`,
                `process_event_selector_unmatched`, `process_already_terminal`,
                `process_wake_target_missing`. A refused append uses no sequence number.
        """
        ...

    async def events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """Return events with a larger sequence, ascending."""
        ...

    async def wake_events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """Return events with a larger sequence that woke somebody and are not acknowledged."""
        ...

    async def wait_event_after(self, process_id: str, event_type: str, sequence: int) -> ProcessEvent:
        """Return the first event of a type after `sequence`, now or once any handle appends it (R-24)."""
        ...

    async def list_wake_deliveries(self, process_id: str) -> list[WakeDeliveryRecord]:
        """Return a process's wakes by sequence, and which batch carries each to its session (B-8)."""
        ...

    async def processes_changed_since(
        self, cursor: int, *, limit: int = 100
    ) -> tuple[list[ProcessRecord], int]:
        """Return processes in the order of their last change, after a cursor, and the next cursor (B-18).

        Start with 0. A process that changes again is returned again; none is missed.
        """
        ...

    async def ack_wake(self, process_id: str, sequence: int) -> None:
        """Mark a wake as handled; anything else is left alone (R-23)."""
        ...

    async def complete_process(self, process_id: str, output: ProcessAwaitOutput) -> ProcessRecord:
        """End a process with an output; the first terminal wins (contract 2.C.15)."""
        ...

    async def await_process(self, process_id: str) -> ProcessAwaitOutput:
        """Return the output, now or once there is one."""
        ...

    async def delete_session_process_state(self, session_id: str) -> ProcessSessionDeleteReport:
        """Revoke a session's grants and report what that leaves alone (contract 2.C.7)."""
        ...

    async def claim_process_lease(self, process_id: str, owner_id: str, ttl_ms: int) -> ProcessLease:
        """Take the right to run a process.

        Raises:
            LashError: `process_lease_held` ("already leased") while another owner's lease is live.
        """
        ...

    async def renew_process_lease(self, lease: ProcessLease, ttl_ms: int) -> ProcessLease:
        """Extend a lease.

        Raises:
            LashError: `process_lease_lost` ("missing or expired") for any lease that is not the live one.
        """
        ...

    async def complete_process_lease(self, completion: ProcessLeaseCompletion) -> None:
        """Give a lease back; a stale token is left alone. The fence is kept."""
        ...

    async def complete_process_with_lease(
        self, lease: ProcessLease, output: ProcessAwaitOutput
    ) -> ProcessRecord:
        """End a process and give its lease back in one transaction (contract 5, B-10)."""
        ...

    async def start_process_attempt(self, lease: ProcessLease) -> ProcessRecord:
        """Note that the holder of a lease runs the process now; attempts have consecutive numbers (B-9).

        Raises:
            LashError: `process_lease_lost`; `process_already_terminal`; `process_externally_owned` (R-50);
                `process_owner_bound` for a second attempt of what must not run twice;
                `process_attempts_exhausted`.
        """
        ...

    async def request_abandon(self, process_id: str, *, requested_by: str, reason: str) -> ProcessRecord:
        """Ask that a process be given up once nobody runs it; the first request stands (B-9).

        Raises:
            LashError: `process_already_terminal`.
        """
        ...

    async def abandon_process(self, process_id: str, *, written_by: str, evidence: Json) -> ProcessRecord:
        """End a process that must not, or should not, be run again; elapsed time alone is no reason (B-9).

        Raises:
            LashError: `process_lease_held` while somebody runs it; `process_already_terminal`;
                `process_not_abandonable` when it may still be run and nobody asked to give it up.
        """
        ...
