"""Random histories of host events, on every backend, against a model that knows only the contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from lash.errors import LashError
from lash.values import (
    HostEventOccurrenceRequest,
    TriggerDeliveryState,
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
)

from .running import KINDS, WorldMachine, run_machine

SESSIONS, SOURCES, KEYS = ("s1", "s2"), ("k1", "k2"), ("i1", "i2", "i3")


@dataclass
class Occurrence:
    source_key: str
    payload: int
    newest: int  # the number of the newest subscription of its time
    at_ms: int
    states: dict[int, str] = field(default_factory=dict)


class Triggers(WorldMachine):
    """Subscriptions are known by their number, occurrences by their idempotency key."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions: list[tuple[str, str, bool]] = []  # session, source key, enabled
        self.occurrences: dict[str, Occurrence] = {}
        self.ids: dict[str, str] = {}

    @rule(session_id=st.sampled_from(SESSIONS), source_key=st.sampled_from(SOURCES))
    def subscribe(self, session_id: str, source_key: str) -> None:
        made = self.world.run(
            self.world.db.host_event_store.register_subscription(_draft(session_id, source_key))
        )
        self.subscriptions.append((session_id, source_key, True))
        assert made.handle == f"trigger:{len(self.subscriptions)}"

    @rule(session_id=st.sampled_from(SESSIONS), number=st.integers(0, 8))
    def cancel(self, session_id: str, number: int) -> None:
        changed = self.world.run(
            self.world.db.host_event_store.cancel_subscription(session_id, f"trigger:{number}")
        )
        known = self.subscriptions[number - 1] if 0 < number <= len(self.subscriptions) else None
        assert changed is (known is not None and known[0] == session_id and known[2])
        if changed and known is not None:
            self.subscriptions[number - 1] = (known[0], known[1], False)

    @rule(
        key=st.sampled_from(KEYS),
        source_key=st.sampled_from(SOURCES),
        payload=st.sampled_from([1, 1, 2]),
        at_once=st.booleans(),
    )
    def happen(self, key: str, source_key: str, payload: int, at_once: bool) -> None:
        request = HostEventOccurrenceRequest(
            source_type="t", source_key=source_key, payload=payload, idempotency_key=key
        )
        known = self.occurrences.get(key)
        store = self.world.db.host_event_store
        work = store.record_and_reserve(request) if at_once else store.record_occurrence(request)
        if known is not None and (known.source_key, known.payload) != (source_key, payload):
            with pytest.raises(LashError) as refused:
                self.world.run(work)
            assert refused.value.code == "host_event_idempotency_conflict"
            return
        if known is None:
            known = Occurrence(source_key, payload, len(self.subscriptions), self.world.clock.at_ms)
            self.occurrences[key] = known
        answer: Any = self.world.run(work)
        record = answer.occurrence if at_once else answer
        assert (record.occurred_at_ms, record.payload) == (known.at_ms, known.payload)
        assert self.ids.setdefault(key, record.occurrence_id) == record.occurrence_id
        if at_once:
            assert [_number(one.subscription) for one in answer.reservations] == self._reserve(known)

    @rule(key=st.sampled_from(KEYS))
    def reserve(self, key: str) -> None:
        if key in self.occurrences:
            work = self.world.db.host_event_store.reserve_matching_deliveries(self.ids[key])
            reserved = self.world.run(work)
            assert [_number(one.subscription) for one in reserved] == self._reserve(self.occurrences[key])
            assert all(one.subscription.enabled for one in reserved)

    @rule(
        key=st.sampled_from(KEYS), number=st.integers(1, 4), state=st.sampled_from(list(TriggerDeliveryState))
    )
    def mark(self, key: str, number: int, state: TriggerDeliveryState) -> None:
        if key not in self.occurrences:
            return
        states = self.occurrences[key].states
        before = states.get(number)
        refusal = None
        if before is None:
            refusal = "host_event_unknown_delivery"
        elif (before in ("started", "discarded") and state != before) or (
            before == "failed" and state == "reserved"
        ):
            refusal = "host_event_delivery_settled"
        work = self.world.db.host_event_store.mark_delivery(self.ids[key], f"subscription:{number}", state)
        if refusal is None:
            assert self.world.run(work).state is state
            states[number] = state.value
            return
        with pytest.raises(LashError) as refused:
            self.world.run(work)
        assert refused.value.code == refusal

    @rule(ms=st.integers(1, 5))
    def wait(self, ms: int) -> None:
        self.world.clock.at_ms += ms

    @invariant()
    def subscriptions_agree(self) -> None:
        for session_id in SESSIONS:
            where = TriggerSubscriptionFilter(session_id=session_id)
            listed = self.world.run(self.world.db.host_event_store.list_subscriptions(where))
            assert [(_number(one), one.source_key, one.enabled) for one in listed] == [
                (number, source_key, enabled)
                for number, (owner, source_key, enabled) in enumerate(self.subscriptions, 1)
                if owner == session_id
            ]

    @invariant()
    def deliveries_agree(self) -> None:
        for key, occurrence in self.occurrences.items():
            work = self.world.db.host_event_store.list_deliveries(occurrence_id=self.ids[key])
            deliveries = self.world.run(work)
            assert [(one.subscription_id, one.state.value) for one in deliveries] == [
                (f"subscription:{number}", state) for number, state in sorted(occurrence.states.items())
            ]

    def _reserve(self, occurrence: Occurrence) -> list[int]:
        """Return the subscriptions that are reserved now, and note it."""
        new = [
            number
            for number, (_, source_key, enabled) in enumerate(self.subscriptions[: occurrence.newest], 1)
            if enabled and source_key == occurrence.source_key and number not in occurrence.states
        ]
        occurrence.states.update(dict.fromkeys(new, "reserved"))
        return new


def _draft(session_id: str, source_key: str) -> TriggerSubscriptionDraft:
    return TriggerSubscriptionDraft(
        session_id=session_id,
        source_type="t",
        source_key=source_key,
        source=None,
        event_ty=None,
        module_ref="m",
        required_surface_ref="s",
        process_ref=None,
        process_name="p",
    )


def _number(subscription: Any) -> int:
    return int(subscription.handle.removeprefix("trigger:"))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_random_histories_of_triggers_agree_with_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    run_machine(Triggers, kind, request, steps=30)
