"""What enters a turn from outside, before it has an id.

Nobody but the machine gives a turn's messages their ids: they are `{turn id}:m{ordinal}`, so that a turn
that is driven again makes the same messages. Whoever adds one hands over a draft.
"""

from __future__ import annotations

from typing import TypeAlias

from lash.values.messages import Message, MessageOrigin, Part, ProtocolEvent, Role, TextPart
from lash.values.record import Record


class MessageDraft(Record, frozen=True, kw_only=True, tag="message", tag_field="record"):
    """A message without its id."""

    role: Role
    parts: tuple[Part, ...]
    origin: MessageOrigin | None = None

    @classmethod
    def text(cls, role: Role, text: str, origin: MessageOrigin | None = None) -> MessageDraft:
        """Return a message of one text."""
        return cls(role=role, parts=(TextPart(text=text),), origin=origin)

    @classmethod
    def of(cls, message: Message) -> MessageDraft:
        """Return a message without the id it has."""
        return cls(role=message.role, parts=message.parts, origin=message.origin)

    def named(self, message_id: str) -> Message:
        """Return the message under its id."""
        return Message(id=message_id, role=self.role, parts=self.parts, origin=self.origin)


class TurnCause(Record, frozen=True, kw_only=True):
    """Why a turn runs, when it was not asked by a user: a wake, say.

    `id` names the cause for good: a turn that is handed it twice takes it once. It becomes a message of
    role `event` with `text`. `CheckpointDelivery.causes` holds the plain form (`lash.values.plain`).
    """

    id: str
    text: str
    origin: MessageOrigin | None = None

    def draft(self) -> MessageDraft:
        """Return the message that tells the model."""
        origin = self.origin or MessageOrigin(kind="turn_cause", source_id=self.id)
        return MessageDraft.text("event", self.text, origin)


RecordDraft: TypeAlias = MessageDraft | ProtocolEvent
