"""What enters a running turn at a checkpoint.

Durable messages become the turn's own and are stored with it. Transient ones are shown to the model from
their place on, and stored nowhere. A cause is taken once, however often it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lash.errors import LashError
from lash.turn.drafts import MessageDraft, TurnCause
from lash.turn.state import TurnState
from lash.values.effects import CheckpointDelivery
from lash.values.messages import Message
from lash.values.record import Json
from lash.values.turns import TurnIssue

_INJECTABLE_ROLES = ("user", "system")


def deliver(state: TurnState, delivery: CheckpointDelivery) -> bool:
    """Take a delivery into the turn.

    Returns:
        Whether the model has something new to see. A delivery of known causes and refused messages is
        none, but its queue claims are completed all the same.

    Raises:
        LashError: `turn_cause_invalid` when a cause is not the plain form of a `TurnCause`.
    """
    before = (state.message_count, len(state.transient))
    for cause in [_cause(state.turn_id, plain_cause) for plain_cause in delivery.causes]:
        if cause.id not in state.cause_ids:
            state.cause_ids.append(cause.id)
            state.append(cause.draft())
    for draft in _injectable(state, delivery.messages):
        state.append(draft)
    for draft in _injectable(state, delivery.transient_messages):
        state.append_transient(draft)
    state.completions += delivery.completions
    return (state.message_count, len(state.transient)) != before


def _cause(turn_id: str, plain_cause: Json) -> TurnCause:
    try:
        return msgspec.convert(plain_cause, TurnCause)
    except msgspec.ValidationError as problem:
        raise LashError(
            "turn_cause_invalid",
            f"turn {turn_id!r} was delivered a cause that is not the plain form of a TurnCause: {problem}",
            turn_id=turn_id,
        ) from problem


def _injectable(state: TurnState, messages: Iterable[Message]) -> Iterable[MessageDraft]:
    """Yield the messages that may be put into a turn; report the others (runtime 1.10)."""
    for message in messages:
        if message.role in _INJECTABLE_ROLES:
            yield MessageDraft.of(message)
        else:
            state.issues.append(
                TurnIssue(
                    kind="checkpoint",
                    code="injected_role_refused",
                    message=f"message {message.id!r} of role {message.role!r} was not put into the turn:"
                    " only user and system messages may be",
                    facts={"role": message.role},
                )
            )
