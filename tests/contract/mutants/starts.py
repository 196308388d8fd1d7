"""Wrong starts: attempts at processes that must not be run, deliveries that are lost or settled twice."""

from __future__ import annotations

from typing import Any

from lash.values import TriggerDeliveryState

from .mutant import mutant

RECOVERY = "lash.rules.process_recovery"
EVENTS = "lash.backends.memory.host_events"


def _allowing(code: str) -> Any:
    def around(original: Any) -> Any:
        def why(record: Any) -> Any:
            found = original(record)
            return None if found is not None and found[0] == code else found

        return why

    return around


mutant(
    "external processes are run here",
    "external_processes_are_run_by_nobody_here",
    (f"{RECOVERY}:_not_runnable", _allowing("process_externally_owned")),
)
mutant(
    "attempts have no limit",
    "attempts_are_counted_and_end_at_their_limit",
    (f"{RECOVERY}:_not_runnable", _allowing("process_attempts_exhausted")),
)


def _of_enabled_ones(original: Any) -> Any:
    async def find(self: Any, occurrence_id: str, subscription_id: str) -> Any:
        found = await original(self, occurrence_id, subscription_id)
        enabled = {made.subscription_id for made in await self.list_subscriptions() if made.enabled}
        return found if subscription_id in enabled else None

    return find


mutant(
    "a cancelled subscription takes its deliveries along",
    "deliveries_that_nobody_started_can_be_found_and_started",
    (f"{EVENTS}:InMemoryHostEventStore.find_reservation", _of_enabled_ones),
)


def _discarded_may_start(original: Any) -> Any:
    def marked(delivery: Any, state: Any, **facts: Any) -> Any:
        if delivery.state is TriggerDeliveryState.DISCARDED:
            delivery = delivery.replace(state=TriggerDeliveryState.FAILED)
        return original(delivery, state, **facts)

    return marked


mutant(
    "a discarded delivery may be started",
    "a_delivery_is_settled_once",
    (f"{EVENTS}:marked_delivery", _discarded_may_start),
)
