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

    Every operation on an unknown id fails with `process_unknown`, except `get_process`, `revoke_handle`,
    `has_handle_grant` and `unobserve_process`; on one that was pruned, with `process_no_longer_retained`.
    """

    durability_tier: DurabilityTier

    async def register_process(
        self, registration: ProcessRegistration, *, grants: Sequence[ProcessStartGrant] = ()
    ) -> ProcessRecord:
        """Create a process, or return the existing one of the same registration hash as it is now.

        The id of a pruned process is not given again.

        Args:
            registration: What it is started from.
            grants: Who may see it from its first moment, given in the same transaction: a process that nobody
                can reach is never left behind. A repeat gives them again.

        Raises:
            LashError: `process_registration_invalid`; `process_registration_conflict` for the same id with
                another hash; `process_no_longer_retained`; `invalid_argument` for a grant to nobody.
        """
        ...

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        """Return a process, or None; raises when the backend fails (R-19)."""
        ...

    async def list_non_terminal(self) -> list[ProcessRecord]:
        """Return every running process, ordered by id."""
        ...

    async def list_ready_processes(
        self,
        *,
        host_profiles: Sequence[str] | None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[ProcessRecord]:
        """Return processes that somebody should run now, ordered by id.

        They are not over, not parked, not under a live lease (that of an owner known to be dead is not live)
        and not externally owned. What that costs does not grow with those that are parked or over.

        Args:
            host_profiles: Only of these profiles; None for all.
            after: The id of the last one of the page before.
            limit: The most that are returned.
        """
        ...

    async def park_process(
        self, lease: ProcessLease, wait_keys: Sequence[str], *, frame: bytes | None = None
    ) -> bool:
        """Give a process back until one of the waits is resolved, unless there is nothing to wait for.

        In one transaction: when one of the waits is resolved already, the process that a `process:{id}` key
        names is over, or somebody asked to cancel or to abandon the process, nothing changes and the answer is
        False: the caller goes on. Otherwise the frame is stored, the lease is given back, and the process is
        ready again once a wait is resolved, or its cancel or its abandonment is asked for. The next
        `start_process_attempt` goes on with the attempt that was parked, and takes no new number.

        Args:
            lease: The right to run the process.
            wait_keys: The waits of which one is enough. They need not be open.
            frame: What to go on from; None leaves the stored frame as it is.

        Raises:
            LashError: `process_lease_lost`; `process_already_terminal`; `invalid_argument` without a key, or
                for a blank one.
        """
        ...

    async def parked_processes(self, process_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return what those of the processes that are parked wait for; the others are left out."""
        ...

    async def save_process_frame(self, lease: ProcessLease, frame: bytes) -> None:
        """Store what to go on from if the process is taken up again; it is dropped when the process ends.

        Raises:
            LashError: `process_lease_lost`; `process_already_terminal`.
        """
        ...

    async def process_frame(self, process_id: str) -> bytes | None:
        """Return what was stored last to go on from, or None."""
        ...

    async def observe_process(
        self, scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> None:
        """Note that a scope watches a process, without any right on it (B-11); the last descriptor wins.

        The edge goes with the session or with the process, and keeps neither.
        """
        ...

    async def unobserve_process(self, scope: ProcessScope, process_id: str) -> None:
        """Take an edge back; no error when there is none."""
        ...

    async def list_observed(self, scope: ProcessScope) -> list[tuple[ProcessHandleDescriptor, ProcessRecord]]:
        """Return the processes that a scope watches, ordered by id."""
        ...

    async def prune_processes(
        self, *, finished_before_ms: int, watermark: int | None, limit: int = 1000
    ) -> int:
        """Delete up to `limit` processes that ended before that time, oldest change first; return how many.

        Their ids stay reserved: every later operation is answered with `process_no_longer_retained`, except
        `get_process`, which returns None. Grants, edges, waits and the journal of the process go with it.

        Args:
            finished_before_ms: Only processes whose last event is older.
            watermark: The cursor of `processes_changed_since` up to which whoever follows the changes has
                read; None says that nobody does.
            limit: The most that are deleted.
        """
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

    async def list_discarded_wakes(
        self, *, after: tuple[str, int] | None = None, limit: int = 100
    ) -> list[WakeDeliveryRecord]:
        """Return the wakes that did not arrive, by process in the order of registration, then by sequence (B-8).

        Args:
            after: The process and the sequence of the last one of the page before.
            limit: The most that are returned.
        """
        ...

    async def redrive_wake(
        self, process_id: str, sequence: int, *, target: ProcessScope | None = None
    ) -> WakeDeliveryRecord:
        """Send a discarded wake again, to its own target or to another one.

        Raises:
            LashError: `process_wake_unknown` for an event that woke nobody; `process_wake_not_discarded` for a
                wake that is on its way or has arrived; `session_deleted` when the target is gone.
        """
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

        The first start after `park_process` goes on with the attempt that was parked: nothing is noted, and no
        bound on attempts is asked.

        Raises:
            LashError: `process_lease_lost`; `process_already_terminal`; `process_externally_owned` (R-50);
                `process_owner_bound` for a second attempt of what must not run twice;
                `process_attempts_exhausted`.
        """
        ...

    async def request_abandon(self, process_id: str, *, requested_by: str, reason: str) -> ProcessRecord:
        """Ask that a process be given up once nobody runs it; the first request stands (B-9).

        A parked process is ready again at once.

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
