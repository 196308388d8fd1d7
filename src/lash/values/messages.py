"""What a conversation is made of: messages and their parts."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lash.values.attachments import WHOLE_RESULT_LABEL, AttachmentRef
from lash.values.invocations import CausalRef
from lash.values.record import Json, JsonRecord, Record


class TextPart(Record, frozen=True, tag="text"):
    """Text, to or from the model. `item_id` is the provider's id of the answer item it came in."""

    text: str
    item_id: str | None = None


class ReasoningPart(Record, frozen=True, tag="reasoning"):
    """What a model thought. Never rendered as text; adapters send it back in the vendor's own form.

    `signature` and `encrypted` are opaque vendor material without which some vendors refuse a replay.
    """

    text: str = ""
    item_id: str | None = None
    signature: str | None = None
    encrypted: str | None = None


class ToolCallPart(JsonRecord, frozen=True, tag="tool_call", eq=False):
    """A call that the model asks for.

    `args` is the parsed argument object. When the model's text was no JSON object, `args` is empty and
    `raw_args` holds that text: the call then fails as `invalid_tool_args` and goes back to the model.
    """

    call_id: str
    name: str
    args: dict[str, Json] = {}
    raw_args: str | None = None
    item_id: str | None = None


class ToolResultPart(JsonRecord, frozen=True, tag="tool_result", eq=False):
    """What a call gave back, as the model reads it: text for a string, JSON for anything else."""

    call_id: str
    name: str
    content: Json = None
    is_error: bool = False
    attachments: tuple[AttachmentRef, ...] = ()

    @property
    def shown_attachments(self) -> tuple[AttachmentRef, ...]:
        """What the model gets to see: all but the full text of a result that was cut for it."""
        return tuple(ref for ref in self.attachments if ref.label != WHOLE_RESULT_LABEL)


class AttachmentPart(Record, frozen=True, tag="attachment"):
    """A file, by reference."""

    ref: AttachmentRef


Part: TypeAlias = TextPart | ReasoningPart | ToolCallPart | ToolResultPart | AttachmentPart

Role = Literal["user", "assistant", "system", "tool", "event"]


class MessageOrigin(Record, frozen=True, kw_only=True):
    """Who put a message there, when it was not simply the user or the model."""

    kind: str
    source_id: str | None = None
    caused_by: CausalRef | None = None


class Message(Record, frozen=True, kw_only=True, tag="message", tag_field="record"):
    """One message of a conversation."""

    id: str
    role: Role
    parts: tuple[Part, ...]
    origin: MessageOrigin | None = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


class ProtocolEvent(JsonRecord, frozen=True, tag="protocol_event", tag_field="record", eq=False):
    """Something that a turn protocol keeps in the history and alone understands."""

    plugin_id: str
    payload: Json = None


ConversationRecord: TypeAlias = Message | ProtocolEvent
