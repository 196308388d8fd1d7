"""The session so far, as programs read it under the name `history`.

Each message is an item: `{kind, id, role, content}`, and what a program gave has `output`, the list of what it
printed. The numbers are those that the model was told when an output was cut: a message keeps its number, for
the history of a session only grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lash.runtime.code.projected_values import StoredText
from lash.turn import OUTPUT_ORIGIN, OUTPUT_PREFIX
from lash.values import ConversationRecord, Json, Message, ProtocolEvent


class SessionHistory:
    """The committed messages of a session, and those of the running turn.

    Args:
        messages: What is committed, oldest first.
        steps: What code mode has recorded of programs beside their messages.
    """

    def __init__(self, messages: Sequence[Message], steps: Iterable[ProtocolEvent]) -> None:
        self._committed = messages
        self._own: list[Message] = []
        self._steps: dict[str, dict[str, Json]] = {}
        for step in steps:
            self._note_step(step)

    @property
    def committed_length(self) -> int:
        return len(self._committed)

    def note(self, records: Iterable[ConversationRecord]) -> None:
        """Add what the running turn has added to the conversation."""
        for record in records:
            if isinstance(record, Message):
                self._own.append(record)
            else:
                self._note_step(record)

    @property
    def length(self) -> int:
        """How many messages there are, those of the running turn included."""
        return len(self._committed) + len(self._own)

    def items(self) -> list[Json]:
        """Return the items. An output that was too long for its message is a `StoredText`."""
        return [self._item(message) for message in (*self._committed, *self._own)]

    def _item(self, message: Message) -> dict[str, Json]:
        item: dict[str, Json] = {
            "kind": "message",
            "id": message.id,
            "role": message.role,
            "content": message.text,
        }
        origin = message.origin
        if origin is None or origin.kind != OUTPUT_ORIGIN:
            return item
        step = self._steps.get(origin.source_id or "", {})
        output = list(step.get("output", [message.text.removeprefix(OUTPUT_PREFIX)]))
        for one in step.get("whole", ()):
            output[one["output"]] = StoredText(one["attachment"], one["chars"])
        item |= {"kind": "output", "output": output}
        if "error" in step:
            item["error"] = step["error"]
        return item

    def _note_step(self, event: ConversationRecord) -> None:
        payload = event.payload if isinstance(event, ProtocolEvent) else None
        if isinstance(event, ProtocolEvent) and event.plugin_id == "code" and isinstance(payload, dict):
            self._steps[str(payload.get("step"))] = payload
