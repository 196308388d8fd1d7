"""Triggers: the seed's subscription and occurrence."""

from __future__ import annotations

from typing import Any

from lash.contracts.host_events import HostEventStore
from lash.values import HostEventOccurrenceRequest, TriggerSubscriptionDraft

BUTTON = "ui.button.pressed"


def subscription(
    session_id: str, source_key: str, process_name: str, /, **changes: Any
) -> TriggerSubscriptionDraft:
    """Return the seed's subscription draft."""
    return TriggerSubscriptionDraft(
        session_id=session_id,
        name=process_name,
        source_type=BUTTON,
        source_key=source_key,
        source={},
        event_ty={"object": [{"name": "button", "ty": "str"}]},
        module_ref="lashlang:v1:sha256:module",
        required_surface_ref="lashlang-surface:v1:sha256:surface",
        process_ref={"component": "process", "pos": 1},
        process_name=process_name,
        input_template={"event": {"kind": "event"}},
    ).replace(**changes)


def button_pressed(source_key: str, idempotency_key: str, /, **changes: Any) -> HostEventOccurrenceRequest:
    """Return the seed's occurrence."""
    return HostEventOccurrenceRequest(
        source_type=BUTTON,
        source_key=source_key,
        payload={"button": "Blue"},
        idempotency_key=idempotency_key,
        source={},
    ).replace(**changes)


async def button_key(store: HostEventStore) -> str:
    """Return the source key of a button without properties."""
    key: str = await store.source_key_for_subscription(BUTTON, {})
    return key
