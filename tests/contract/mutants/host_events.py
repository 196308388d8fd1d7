"""Wrong host event stores."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.backends.memory import (
    InMemoryHostEventStore,
)
from lash.values import DurabilityTier

from .mutant import answers, gives, mutant, second_with, skipped, value

ATTACHMENTS = "lash.backends.memory.attachments"
ARTIFACTS = "lash.backends.memory.artifacts"
EVENTS = "lash.backends.memory.host_events"

H = f"{EVENTS}:InMemoryHostEventStore"
mutant(
    "the host event store says durable",
    "host_event_store_reports_declared_tier",
    (f"{H}.durability_tier", value(DurabilityTier.DURABLE)),
)


def _counted_keys(original: Any) -> Any:
    async def key(self: Any, source_type: str, source: Any) -> Any:
        if source == {"button": "Blue"}:
            self.asked = getattr(self, "asked", 0) + 1
            return f"source:{source_type}:{self.asked}"
        return await original(self, source_type, source)

    return key


mutant(
    "a source key is made anew",
    "host_event_source_key_is_stable",
    (f"{H}.source_key_for_subscription", _counted_keys),
)
mutant(
    "a source key depends on the order of members",
    "source_keys_are_what_they_are_everywhere",
    (
        f"{EVENTS}:trigger_source_key",
        lambda original: (
            lambda source_type, source: original(
                source_type,
                source
                if not isinstance(source, dict) or "b" not in source
                else {**source, "order": list(source)},
            )
        ),
    ),
)


def _drops_cancelled(original: Any) -> Any:
    async def cancel(self: Any, session_id: str, handle: str) -> bool:
        changed = bool(await original(self, session_id, handle))
        if changed:
            stored = self._tables.triggers.subscriptions[handle]
            hidden = msgspec.structs.replace(
                stored, body=stored.body.replace(b'"session_id":"', b'"session_id":"gone-')
            )
            self._tables.triggers.subscriptions[handle] = hidden
        return changed

    return cancel


mutant(
    "a cancelled subscription is gone",
    "host_event_store_registers_lists_and_cancels",
    (f"{H}.cancel_subscription", _drops_cancelled),
)


def _registers_once(original: Any) -> Any:
    async def register(self: Any, draft: Any) -> Any:
        for stored in self._tables.triggers.subscriptions.values():
            made = stored.as_made()
            if all(getattr(made, name) == getattr(draft, name) for name in draft.__struct_fields__):
                return made
        return await original(self, draft)

    return register


mutant(
    "a draft is registered once",
    "registering_twice_makes_two",
    (f"{H}.register_subscription", _registers_once),
)
mutant(
    "a subscription loses its template",
    "subscriptions_round_trip_whole",
    (
        f"{H}.list_subscriptions",
        answers(lambda found, *_: [record.replace(input_template={}) for record in found]),
    ),
)


def _names_only(original: Any) -> Any:
    return lambda self, record: original(
        self.replace(target=None)
        if self.target and self.target.process_name == record.process_name
        else self,
        record,
    )


mutant(
    "a target matches by its name",
    "filters_are_conjunctions",
    ("lash.values.triggers:TriggerSubscriptionFilter.matches", _names_only),
)
mutant(
    "subscriptions are listed by the text of their handles",
    "subscriptions_are_listed_by_session_and_creation",
    (
        f"{EVENTS}:listing_order",
        value(lambda found: sorted(found, key=lambda record: (record.session_id, record.handle))),
    ),
)


def _touches(original: Any) -> Any:
    async def cancel(self: Any, session_id: str, handle: str) -> bool:
        changed = bool(await original(self, session_id, handle))
        stored = self._tables.triggers.subscriptions.get(handle)
        if stored is not None:
            now_ms = self._tables.clock.now_ms()
            self._tables.triggers.subscriptions[handle] = msgspec.structs.replace(
                stored, updated_at_ms=now_ms
            )
        return changed

    return cancel


mutant(
    "every cancel touches its subscription",
    "a_cancel_that_changes_nothing_touches_nothing",
    (f"{H}.cancel_subscription", _touches),
)
mutant("a source may hold NaN", "sources_that_are_no_json_are_refused", (f"{EVENTS}:check_draft", skipped))


def _reserves_again(original: Any) -> Any:
    def reserved(self: Any, occurrence_id: str) -> Any:
        new = original(self, occurrence_id)
        seen = self._tables.triggers.__dict__.setdefault("seen", {})
        seen.setdefault(occurrence_id, new)
        return new if new or self._tables.triggers.last_number != 1 else seen[occurrence_id]

    return reserved


mutant(
    "a reservation is handed out again",
    "host_event_store_records_and_reserves_idempotently",
    (f"{H}._reserved", _reserves_again),
)
mutant(
    "a second handle has host events of its own",
    "host_event_store_survives_reopen",
    make=second_with("host_event_store", lambda clock: InMemoryHostEventStore(clock=clock)),
)
mutant(
    "an occurrence id is made of its payload",
    "occurrence_ids_are_what_they_are_everywhere",
    (
        f"{EVENTS}:occurrence_record",
        gives(
            lambda record, *_: record.replace(
                occurrence_id=record.occurrence_id[:-4] + f"{len(str(record.payload)):04d}"
            )
        ),
    ),
)


def _per_source(original: Any) -> Any:
    def check(request: Any, record: Any, stored_hash: str) -> None:
        if request.source_key == record.source_key:
            original(request, record, stored_hash)

    return check


mutant(
    "idempotency keys belong to a source",
    "idempotency_keys_are_global",
    (f"{EVENTS}:check_same_occurrence", _per_source),
)


def _python_values(original: Any) -> Any:
    def check(request: Any, record: Any, stored_hash: str) -> None:
        if (
            request.payload != record.payload
            or request.source != record.source
            or (request.source_type, request.source_key) != (record.source_type, record.source_key)
        ):
            original(request, record, stored_hash)

    return check


mutant(
    "payloads of occurrences compare as Python values",
    "an_absent_source_is_a_null_source",
    (f"{EVENTS}:check_same_occurrence", _python_values),
)
mutant(
    "blank occurrences are recorded",
    "bad_occurrences_are_refused",
    ("lash.values.triggers:HostEventOccurrenceRequest.check", skipped),
)


def _any_type(original: Any) -> Any:
    def reserved(self: Any, occurrence_id: str) -> Any:
        triggers = self._tables.triggers
        stored = triggers.occurrences[occurrence_id]
        kinds = {s.as_made().source_type for s in triggers.subscriptions.values()}
        found = []
        for kind in sorted(kinds):
            body = stored.record().replace(source_type=kind)
            triggers.occurrences[occurrence_id] = msgspec.structs.replace(
                stored, body=msgspec.json.encode(body)
            )
            found += original(self, occurrence_id)
        triggers.occurrences[occurrence_id] = stored
        return found

    return reserved


mutant("any source type matches", "only_matching_subscriptions_are_reserved", (f"{H}._reserved", _any_type))


def _serves_newcomers(original: Any) -> Any:
    def reserved(self: Any, occurrence_id: str) -> Any:
        triggers = self._tables.triggers
        stored = triggers.occurrences[occurrence_id]
        triggers.occurrences[occurrence_id] = msgspec.structs.replace(
            stored, subscriptions_before=triggers.last_number
        )
        return original(self, occurrence_id)

    return reserved


mutant("newcomers get history", "late_subscribers_get_no_history", (f"{H}._reserved", _serves_newcomers))
mutant(
    "reservations come by the text of their handles",
    "reservations_come_in_creation_order",
    (f"{H}._reserved", gives(lambda found, *_: sorted(found, key=lambda one: one.subscription.handle))),
)


def _enabled_then(original: Any) -> Any:
    def reserved(self: Any, occurrence_id: str) -> Any:
        subscriptions = self._tables.triggers.subscriptions
        occurrence = self._tables.triggers.occurrences[occurrence_id].record()
        before = dict(subscriptions)
        for handle, stored in before.items():
            if (
                stored.updated_at_ms >= occurrence.occurred_at_ms
                and not stored.enabled
                and occurrence.idempotency_key == "i"
            ):
                subscriptions[handle] = msgspec.structs.replace(stored, enabled=True)
        found = original(self, occurrence_id)
        subscriptions.update(before)
        return found

    return reserved


mutant(
    "who was enabled then is served", "disabled_subscriptions_get_nothing", (f"{H}._reserved", _enabled_then)
)


def _unguarded(original: Any) -> Any:
    async def reserve(self: Any, occurrence_id: str) -> Any:
        import asyncio

        deliveries = self._tables.triggers.deliveries
        before = dict(deliveries)
        found = await original(self, occurrence_id)
        after = dict(deliveries)
        if len(found) > 3:  # a transaction that is not one: others see nothing of it until it ends
            deliveries.clear()
            deliveries.update(before)
            await asyncio.sleep(0)
            deliveries.update(after)
        return found

    return reserve


mutant(
    "two callers may reserve the same",
    "concurrent_reservations_partition",
    (f"{H}.reserve_matching_deliveries", _unguarded),
)


def _time_of_repeat(original: Any) -> Any:
    async def record(self: Any, request: Any) -> Any:
        found = await original(self, request)
        return found.replace(occurred_at_ms=self._tables.clock.now_ms())

    return record


mutant(
    "a repeat occurs now",
    "occurrences_carry_the_time_they_were_recorded",
    (f"{H}.record_occurrence", _time_of_repeat),
)
