"""What enters a running turn at its checkpoints: queued input and wakes."""

from __future__ import annotations

from lash.runtime.activity_bus import TurnActivities
from lash.runtime.bound_agent import input_parts
from lash.runtime.services import RuntimeServices
from lash.runtime.wakes import turn_causes
from lash.values import (
    CheckpointDelivery,
    ClaimedTurn,
    InputAccepted,
    Message,
    MessageOrigin,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkCompletion,
    TurnInputPayload,
    plain,
)


class Injections:
    """Claims queued work for one turn, checkpoint by checkpoint.

    The claims are kept apart from what the checkpoints deliver: a delivery is recorded and replays, while
    the claim that a restarted driver holds on the same rows is a new one.
    """

    def __init__(self, services: RuntimeServices, claimed: ClaimedTurn, *, nothing_waits: bool) -> None:
        self._services = services
        self._claimed = claimed
        self._claims: dict[str, QueuedWorkClaim] = dict(claimed.injected)
        self._entered: set[str] = set()  # checkpoints whose delivery the turn has seen
        self._may_find_some = not nothing_waits

    def expect(self) -> None:
        """Something of the session has changed: the next checkpoint looks again."""
        self._may_find_some = True

    def adopt_lease(self, claimed: ClaimedTurn) -> None:
        self._claimed = claimed

    @property
    def finds_nothing(self) -> bool:
        """Whether a checkpoint need not even be asked: nothing waited, and nothing has come."""
        return not self._may_find_some

    async def take(self, effect_id: str) -> CheckpointDelivery:
        """Claim what may enter at this checkpoint and return it as messages and causes."""
        if not self._may_find_some:
            return CheckpointDelivery()
        self._may_find_some = False
        claim = await self._services.database.turn_ingress.claim_injections(
            self._claimed, effect_id=effect_id, lease_ttl_ms=self._services.lease_ttl_ms
        )
        if claim is None:
            return CheckpointDelivery()
        self._claims[effect_id] = claim
        self._may_find_some = True  # there may be more than one claim takes
        return CheckpointDelivery(
            messages=tuple(message for batch in claim.batches for message in _messages(batch)),
            causes=tuple(plain(cause) for cause in turn_causes(claim.batches)),
        )

    def enter(self, effect_id: str, delivery: CheckpointDelivery, activities: TurnActivities) -> None:
        """Note that a delivery is in the turn, and tell whoever watches which input has entered."""
        self._entered.add(effect_id)
        if delivery.messages:
            activities.emit(
                InputAccepted(
                    turn_ids=tuple(m.origin.source_id or "" for m in delivery.messages if m.origin),
                    texts=tuple(message.text for message in delivery.messages),
                )
            )

    def completions(self) -> tuple[QueuedWorkCompletion, ...]:
        """Return what the commit completes of the injected work.

        What was claimed and never entered, because the turn was ended in between, is left out: the commit gives it
        back, and another turn gets it.
        """
        entered = (claim for effect_id, claim in self._claims.items() if effect_id in self._entered)
        return tuple(claim.completion() for claim in entered)


def _messages(batch: QueuedWorkBatch) -> list[Message]:
    return [
        Message(
            id=item.item_id,
            role="user",
            parts=input_parts(item.payload.input),
            origin=MessageOrigin(kind="injected_input", source_id=item.payload.input.turn_id),
        )
        for item in batch.items
        if isinstance(item.payload, TurnInputPayload)
    ]
