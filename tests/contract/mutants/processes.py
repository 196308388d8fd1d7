"""Wrong process registries: registration and listing."""

from __future__ import annotations

from typing import Any

from lash.backends.memory import InMemoryProcessRegistry, MemoryDatabase
from lash.testing.conformance import KitClock, Reopenable
from lash.values import (
    DurabilityTier,
)

from .mutant import answers, mutant, recoded, skipped, value

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


mutant(
    "a registration conflict has another code",
    "registration_conflicts_are_coded_and_change_nothing",
    (f"{REGISTRY}:check_same_registration", recoded("process_registration_conflict", "invalid_argument")),
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
