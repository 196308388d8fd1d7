"""Events that become turns: what the model reads of them, and under which id."""

from __future__ import annotations

import json

from lash.values import TriggerDeliveryReservation, TurnDraft, TurnInput, TurnTarget


def event_turn(reservation: TriggerDeliveryReservation, target: TurnTarget) -> TurnDraft:
    """Return the turn that a delivery asks for. Its id is that of the delivery: it is accepted once."""
    return TurnDraft(
        session_id=reservation.subscription.session_id,
        turn_id=reservation.process_id,
        agent=target.agent,
        input=TurnInput.text(event_text(reservation, target.text)),
        on_busy=target.on_busy,
    )


def event_text(reservation: TriggerDeliveryReservation, instruction: str) -> str:
    """Return what the model reads: what it is to do, and below it what has happened."""
    occurrence = reservation.occurrence
    lines = [
        "An event has come in.",
        f"type: {occurrence.source_type}",
        f"id: {occurrence.occurrence_id}",
    ]
    if occurrence.payload is not None:
        lines.append(f"payload: {json.dumps(occurrence.payload, ensure_ascii=False)}")
    event = "\n".join(lines)
    return f"{instruction}\n\n{event}" if instruction else event
