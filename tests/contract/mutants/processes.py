"""Wrong process registries: registration, grants, leases, ends."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from lash.backends.memory import InMemoryProcessRegistry, MemoryDatabase
from lash.errors import LashError
from lash.testing.conformance import KitClock, Reopenable
from lash.values import (
    AwaitSuccess,
    DurabilityTier,
    MaterialisedTerminal,
    ProcessHandleDescriptor,
    ProcessScope,
)

from .mutant import answers, mutant, skipped, value

REGISTRY = "lash.backends.memory.process_registry"
HANDLES = "lash.backends.memory.process_handles"
LOG = "lash.backends.memory.process_log"

mutant(
    "the registry says durable",
    "process_registry_reports_declared_durability",
    (f"{REGISTRY}:InMemoryProcessRegistry.durability_tier", value(DurabilityTier.DURABLE)),
)
mutant(
    "any registration is the one that is there",
    "registration_is_idempotent_and_hash_conflicts_fail",
    (f"{REGISTRY}:check_same_registration", skipped),
)


def _other_code(code: str) -> Any:
    def around(original: Any) -> Any:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            except LashError as error:
                raise LashError(code, error.message) from error

        return wrong

    return around


mutant(
    "a registration conflict has another code",
    "registration_conflicts_are_coded_and_change_nothing",
    (f"{REGISTRY}:check_same_registration", _other_code("invalid_argument")),
)
mutant(
    "invalid registrations are taken",
    "invalid_registrations_are_refused",
    ("lash.rules.process_registration:_check", skipped),
)
mutant(
    "event types hash in the order of their list",
    "the_order_of_event_types_does_not_count",
    ("lash.rules.process_registration:_name_of", value(lambda event_type: "")),
)


mutant(
    "registrations compare as Python values",
    "registrations_of_different_numbers_differ",
    (f"{REGISTRY}:check_same_registration", lambda original: _lenient_numbers(original)),
)


def _lenient_numbers(original: Any) -> Any:
    def check(record: Any, registered: Any) -> None:
        same = record.replace(input=registered.input, registration_hash=registered.registration_hash)
        one, two = getattr(record.input, "metadata", 0), getattr(registered.input, "metadata", 1)
        if one == two and one is not None and record.event_types == registered.event_types:
            original(same, registered)
        else:
            original(record, registered)

    return check


mutant(
    "a repeat returns the process as it was",
    "a_repeat_returns_the_process_as_it_is_now",
    (
        f"{REGISTRY}:InMemoryProcessRegistry.register_process",
        answers(lambda record, *_: record.replace(external_ref=None)),
    ),
)
mutant(
    "a ref is returned and not stored",
    "external_refs_and_handle_grant_membership_round_trip",
    (
        f"{LOG}:ProcessLog.set_external_ref",
        lambda original: _ref_is_not_stored,
    ),
)


async def _ref_is_not_stored(self: Any, process_id: str, ref: Any) -> Any:
    return self._tables.processes.record(process_id).replace(external_ref=ref)


mutant(
    "finished processes are listed as running",
    "list_non_terminal_excludes_terminal_processes",
    (
        f"{REGISTRY}:InMemoryProcessRegistry.list_non_terminal",
        value(lambda self: _all_processes(self)),
    ),
)


async def _all_processes(self: Any) -> Any:
    return [self._tables.processes.record(one) for one in sorted(self._tables.processes.processes)]


mutant(
    "running processes are listed as they came",
    "running_processes_are_listed_by_code_point",
    (
        f"{REGISTRY}:InMemoryProcessRegistry.list_non_terminal",
        answers(lambda records, *_: sorted(records, key=lambda record: record.id.casefold())),
    ),
)


def _shrugs(original: Any) -> Any:
    async def events_after(self: Any, process_id: str, sequence: int) -> Any:
        if process_id not in self._tables.processes.processes:
            return []
        return await original(self, process_id, sequence)

    return events_after


mutant(
    "an unknown process has no events",
    "unknown_processes_are_told_apart",
    (f"{LOG}:ProcessLog.events_after", _shrugs),
)
mutant(
    "a record is never updated",
    "records_carry_their_times",
    (
        f"{REGISTRY}:InMemoryProcessRegistry.get_process",
        answers(lambda record, *_: record and record.replace(updated_at_ms=record.created_at_ms)),
    ),
)


def _another_registry(clock: KitClock) -> Any:
    first, second = MemoryDatabase(clock=clock), MemoryDatabase(clock=clock)
    second._tables = first._tables
    for name in ("artifact_store", "host_event_store", "attachment_store", "effect_journal", "turn_ingress"):
        setattr(second, name, getattr(first, name))
    for name in ("session_leases", "session_catalog", "durable_waits"):
        setattr(second, name, getattr(first, name))
    second.process_registry = InMemoryProcessRegistry(clock=clock)
    return Reopenable(first, second)


mutant(
    "a second handle has processes of its own",
    "process_registry_survives_reopen",
    make=_another_registry,
)

# ends


def _wraps_output(original: Any) -> Any:
    async def await_process(self: Any, process_id: str) -> Any:
        output = await original(self, process_id)
        return AwaitSuccess(value={"output": output.value}) if isinstance(output, AwaitSuccess) else output

    return await_process


mutant(
    "an awaited value is wrapped",
    "await_reads_terminal_materialized_output",
    (f"{LOG}:ProcessLog.await_process", _wraps_output),
)
mutant(
    "an output loses its control",
    "every_kind_of_end_round_trips",
    (f"{LOG}:ProcessLog.await_process", answers(lambda output, *_: output.replace(control=None))),
)


def _no_end_is_too_late(original: Any) -> Any:
    def decide(record: Any, request: Any, recorded: Any, now_ms: int) -> Any:
        from lash.values import ProcessRunning

        append = original(record.replace(status=ProcessRunning()), request, recorded, now_ms)
        kept = record.status if append.record.status == ProcessRunning() else append.record.status
        return type(append)(
            result=append.result, record=append.record.replace(status=kept), is_new=append.is_new
        )

    return decide


mutant("the last end wins", "of_concurrent_ends_one_counts", (f"{LOG}:decide_append", _no_end_is_too_late))
mutant(
    "the same end twice is a conflict",
    "the_first_end_wins",
    (
        f"{LOG}:ProcessLog.complete_process",
        lambda original: _conflicts_on_repeat(original),
    ),
)


def _conflicts_on_repeat(original: Any) -> Any:
    async def complete_process(self: Any, process_id: str, output: Any) -> Any:
        if self._tables.processes.record(process_id).is_terminal:
            raise LashError("process_already_terminal", "it is over")
        return await original(self, process_id, output)

    return complete_process


mutant(
    "a custom end selects nothing",
    "custom_terminal_events_end_a_process",
    ("lash.rules.event_semantics:_wrapped", lambda original: lambda state, value: original(state, None)),
)
mutant(
    "state and output need not agree",
    "state_and_output_must_agree",
    ("lash.rules.event_semantics:_terminal", lambda original: _agreeable(original)),
)


def _agreeable(original: Any) -> Any:
    def terminal(name: str, spec: Any, payload: Any) -> Any:
        from lash.rules.event_semantics import _decoded
        from lash.rules.selectors import select

        try:
            return original(name, spec, payload)
        except LashError as error:
            output = _decoded(select(spec.await_output, payload))
            if error.code != "process_event_payload_invalid" or output is None:
                raise
            return MaterialisedTerminal(state=spec.state, await_output=output)

    return terminal


mutant(
    "any lease may end a process",
    "completion_under_a_lease_is_fenced",
    (
        f"{REGISTRY}:InMemoryProcessRegistry.complete_process_with_lease",
        lambda original: lambda self, lease, output: self.complete_process(lease.process_id, output),
    ),
)

# grants


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

# leases

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
    (f"{REGISTRY}:claimed_lease", _other_code("store_busy")),
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
