"""Wrong process leases."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from lash.errors import LashError

from .mutant import mutant, recoded, value

REGISTRY = "lash.backends.memory.process_registry"
HANDLES = "lash.backends.memory.process_handles"
LOG = "lash.backends.memory.process_log"

LEASES = "lash.rules.process_leases"


def _anybody(original: Any) -> Any:
    def claimed(process_id: str, row: Any, **facts: Any) -> Any:
        try:
            return original(process_id, row, **facts)
        except LashError:
            return original(process_id, type(row)(fencing_token=row.fencing_token), **facts)

    return claimed


mutant(
    "a live lease keeps nobody out",
    "active_process_lease_fences_competing_owner",
    (f"{REGISTRY}:claimed_lease", _anybody),
)


def _owners_stay_out(original: Any) -> Any:
    def claimed(process_id: str, row: Any, *, owner_id: str, now_ms: int, **facts: Any) -> Any:
        if row.owner_id == owner_id and row.expires_at_ms > now_ms:
            raise LashError("process_lease_held", f"already leased by {owner_id}")
        return original(process_id, row, owner_id=owner_id, now_ms=now_ms, **facts)

    return claimed


mutant(
    "an owner cannot claim again",
    "a_re_claim_by_its_owner_rotates_the_lease",
    (f"{REGISTRY}:claimed_lease", _owners_stay_out),
)


def _any_lease_renews(original: Any) -> Any:
    def renewed(lease: Any, row: Any, *, now_ms: int, ttl_ms: int) -> Any:
        try:
            return original(lease, row, now_ms=now_ms, ttl_ms=ttl_ms)
        except LashError as error:
            if error.code != "process_lease_lost" or row.lease_token in (None, lease.lease_token):
                raise
            return lease.replace(expires_at_ms=now_ms + ttl_ms)

    return renewed


mutant(
    "a superseded lease renews",
    "superseded_process_lease_cannot_renew",
    (f"{REGISTRY}:renewed_lease", _any_lease_renews),
)
mutant(
    "a renewal does not move the expiry",
    "renewed_process_lease_survives_original_expiry",
    (
        f"{REGISTRY}:renewed_lease",
        lambda original: (
            lambda lease, row, **facts: original(lease, row, **facts).replace(expires_at_ms=row.expires_at_ms)
        ),
    ),
)
mutant(
    "a release forgets the fence",
    "completed_lease_releases_and_reclaim_bumps_fencing",
    (
        f"{REGISTRY}:released_row",
        lambda original: lambda row, **facts: type(row)(ended_under=original(row, **facts).ended_under),
    ),
)
mutant(
    "any token releases the lease",
    "stale_lease_completion_cannot_release_live_lease",
    (f"{REGISTRY}:is_released_by", value(lambda completion, row: True)),
)
mutant(
    "a held lease has another code",
    "lease_refusals_are_coded",
    (f"{REGISTRY}:claimed_lease", recoded("process_lease_held", "store_busy")),
)
mutant(
    "a renewal compares the token alone",
    "a_renewal_must_match_in_every_part",
    (
        f"{REGISTRY}:renewed_lease",
        lambda original: (
            lambda lease, row, **facts: original(
                lease.replace(owner_id=row.owner_id, fencing_token=row.fencing_token)
                if row.lease_token == lease.lease_token
                else lease,
                row,
                **facts,
            )
        ),
    ),
)
mutant(
    "a lease lasts through the millisecond of its expiry",
    "a_lease_is_over_in_the_millisecond_of_its_expiry",
    (
        f"{REGISTRY}:claimed_lease",
        lambda original: (
            lambda process_id, row, *, now_ms, **facts: original(
                process_id,
                msgspec.structs.replace(
                    row, expires_at_ms=row.expires_at_ms + (row.expires_at_ms == now_ms > row.claimed_at_ms)
                ),
                now_ms=now_ms,
                **facts,
            )
        ),
    ),
)


mutant(
    "giving back an unknown lease is an error",
    "giving_back_never_fails",
    (
        f"{REGISTRY}:is_released_by",
        lambda original: _strict_release(original),
    ),
)


def _strict_release(original: Any) -> Any:
    def is_released(completion: Any, row: Any) -> bool:
        if row.lease_token is None:
            raise LashError("process_lease_lost", "it is missing or expired")
        return bool(original(completion, row))

    return is_released


def _ends_the_lease(original: Any) -> Any:
    async def complete_process(self: Any, process_id: str, output: Any) -> Any:
        record = await original(self, process_id, output)
        self._release(process_id)
        return record

    return complete_process


mutant(
    "an end takes the lease away",
    "a_lease_outlives_the_end_of_its_process",
    (f"{LOG}:ProcessLog.complete_process", _ends_the_lease),
)
mutant(
    "awaiting looks once",
    "awaiting_ends_with_the_process",
    (f"{LOG}:ProcessLog.await_process", lambda original: _looks_once(original)),
)


def _looks_once(original: Any) -> Any:
    async def await_process(self: Any, process_id: str) -> Any:
        if self._tables.processes.record(process_id).is_terminal:
            return await original(self, process_id)
        return await asyncio.Event().wait()

    return await_process


def _refuses_crowds(original: Any) -> Any:
    async def register(self: Any, registration: Any) -> Any:
        busy = self.__dict__.setdefault("busy", set())
        if registration.id in busy:
            raise LashError("process_registration_conflict", "somebody else registers it right now")
        busy.add(registration.id)
        try:
            await asyncio.sleep(0)
            return await original(self, registration)
        finally:
            busy.discard(registration.id)

    return register


mutant(
    "one registers at a time",
    "of_concurrent_registrations_one_creates",
    (f"{REGISTRY}:InMemoryProcessRegistry.register_process", _refuses_crowds),
)


def _reads_before_it_writes(original: Any) -> Any:
    async def claim(self: Any, process_id: str, owner_id: str, ttl_ms: int) -> Any:
        before = dict(self._tables.processes.leases)
        await asyncio.sleep(0)
        self._tables.processes.leases = before
        return await original(self, process_id, owner_id, ttl_ms)

    return claim


mutant(
    "claims at the same time do not see each other",
    "of_concurrent_lease_claims_one_wins",
    (f"{REGISTRY}:InMemoryProcessRegistry.claim_process_lease", _reads_before_it_writes),
)
