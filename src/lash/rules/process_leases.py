"""Who runs a process, and until when (contract 2.C.17 to 2.C.19, rules R-13, R-26, R-27, B-10).

A lease is the right to write the end of a process. The fence grows with every claim of the process and
survives releases; a claim by the holder itself is a new grant too, and its older value stops working.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from lash.errors import LashError
from lash.rules.leases import NOBODY, expires_at, is_live
from lash.values import ProcessLease, ProcessLeaseCompletion


class ProcessLeaseRow(msgspec.Struct, frozen=True):
    """A process's lease as stored.

    `ended_under` is the token of the lease under which the process was completed: the retry of a completion
    whose answer was lost proves by it that it is the same one.
    """

    fencing_token: int = 0
    owner_id: str | None = None
    lease_token: str | None = None
    claimed_at_ms: int = 0
    expires_at_ms: int = 0
    ended_under: str | None = None


NO_PROCESS_LEASE = ProcessLeaseRow()


def check_claim(process_id: str, owner_id: str, ttl_ms: int) -> None:
    """Refuse a claim that names nobody, or a negative time.

    Raises:
        LashError: `invalid_argument`.
    """
    if not owner_id.strip():
        raise LashError("invalid_argument", f"the owner of a lease on process {process_id!r} is blank")
    expires_at(0, ttl_ms)


def claimed_lease(
    process_id: str,
    row: ProcessLeaseRow,
    *,
    owner_id: str,
    lease_token: str,
    now_ms: int,
    ttl_ms: int,
    dead_owners: Collection[str] = NOBODY,
) -> ProcessLease:
    """Return the lease that a claim is given.

    Raises:
        LashError: `process_lease_held` while another owner's lease is live.
    """
    check_not_held(process_id, row, now_ms, dead_owners, but_by=owner_id)
    return ProcessLease(
        process_id=process_id,
        owner_id=owner_id,
        lease_token=lease_token,
        fencing_token=row.fencing_token + 1,
        claimed_at_ms=now_ms,
        expires_at_ms=expires_at(now_ms, ttl_ms),
    )


def check_not_held(
    process_id: str,
    row: ProcessLeaseRow,
    now_ms: int,
    dead_owners: Collection[str] = NOBODY,
    *,
    but_by: str | None = None,
) -> None:
    """Refuse while somebody else runs the process.

    Raises:
        LashError: `process_lease_held`, naming holder and expiry.
    """
    if row.owner_id != but_by and is_live(row.owner_id, row.expires_at_ms, now_ms, dead_owners):
        raise LashError(
            "process_lease_held",
            f"process {process_id!r} is already leased by {row.owner_id!r} until {row.expires_at_ms} ms; "
            "wait for its release or its expiry",
            retryable=True,
            process_id=process_id,
            owner_id=row.owner_id,
            expires_at_ms=row.expires_at_ms,
        )


def claimed_row(row: ProcessLeaseRow, lease: ProcessLease) -> ProcessLeaseRow:
    """Return what is stored for a lease that was granted or renewed."""
    return msgspec.structs.replace(
        row,
        fencing_token=lease.fencing_token,
        owner_id=lease.owner_id,
        lease_token=lease.lease_token,
        claimed_at_ms=lease.claimed_at_ms,
        expires_at_ms=lease.expires_at_ms,
    )


def renewed_lease(lease: ProcessLease, row: ProcessLeaseRow, *, now_ms: int, ttl_ms: int) -> ProcessLease:
    """Return the stored lease with its new end; nothing of the caller's copy survives but its proof.

    Raises:
        LashError: `invalid_argument` for a negative time to live; `process_lease_lost`.
    """
    expiry = expires_at(now_ms, ttl_ms)
    check_live_lease(lease, row, now_ms)
    return lease.replace(claimed_at_ms=row.claimed_at_ms, expires_at_ms=expiry)


def check_live_lease(lease: ProcessLease, row: ProcessLeaseRow, now_ms: int) -> None:
    """Refuse a lease that is not the live one, to the last of owner, token and fence (R-27).

    Raises:
        LashError: `process_lease_lost`.
    """
    proof = (lease.owner_id, lease.lease_token, lease.fencing_token)
    is_same = row.lease_token is not None and proof == (row.owner_id, row.lease_token, row.fencing_token)
    if not is_same or not is_live(row.owner_id, row.expires_at_ms, now_ms):
        raise LashError(
            "process_lease_lost",
            f"the lease of {lease.owner_id!r} on process {lease.process_id!r} with fence "
            f"{lease.fencing_token} is missing or expired; stop the work and claim again",
            process_id=lease.process_id,
            owner_id=lease.owner_id,
            fencing_token=lease.fencing_token,
        )


def is_released_by(completion: ProcessLeaseCompletion, row: ProcessLeaseRow) -> bool:
    """Whether this completion gives the stored lease back; expiry is not asked, a stale token is ignored."""
    return row.lease_token is not None and row.lease_token == completion.lease_token


def released_row(row: ProcessLeaseRow, *, ended_under: str | None = None) -> ProcessLeaseRow:
    """Return the row of a process that nobody runs: its fence is kept."""
    return ProcessLeaseRow(fencing_token=row.fencing_token, ended_under=ended_under or row.ended_under)
