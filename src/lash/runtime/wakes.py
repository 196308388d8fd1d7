"""Wakes, as the model reads them (contract 4, "wake text")."""

from __future__ import annotations

from collections.abc import Iterable

from lash.turn import TurnCause
from lash.values import MessageOrigin, ProcessWakeDelivery, ProcessWakePayload, QueuedWorkBatch


def wake_cause(wake: ProcessWakeDelivery) -> TurnCause:
    """Return the cause that a wake gives a turn."""
    text = (
        "A background process has reported.\n"
        f"process: {wake.process_id}\n"
        f"event: {wake.event_type}#{wake.sequence}\n"
        f"{wake.input}"
    )
    return TurnCause(
        id=wake.wake_id,
        text=text,
        origin=MessageOrigin(kind="process_wake", source_id=wake.wake_id, caused_by=wake.process_caused_by),
    )


def turn_causes(batches: Iterable[QueuedWorkBatch]) -> tuple[TurnCause, ...]:
    """Return the causes among queued work."""
    return tuple(
        wake_cause(payload.wake)
        for batch in batches
        for payload in batch.payloads
        if isinstance(payload, ProcessWakePayload)
    )
