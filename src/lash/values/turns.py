"""A turn from outside: its input, how it ended, and what can be read of it afterwards."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lash.errors import ErrorRecord
from lash.values.attachments import AttachmentRef
from lash.values.record import Json, JsonRecord, Record
from lash.values.usage import TokenUsage


class TextItem(Record, frozen=True, tag="text"):
    text: str


class AttachmentItem(Record, frozen=True, tag="attachment"):
    ref: AttachmentRef


TurnInputItem: TypeAlias = TextItem | AttachmentItem


class TurnInput(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What the caller gives a turn.

    `context` is JSON that tools may read and the model does not see; it is stored with the input.
    `output` is the JSON Schema of a typed answer, if this turn wants one.
    """

    items: tuple[TurnInputItem, ...]
    turn_id: str | None = None
    protocol_turn_options: dict[str, Json] | None = None
    context: Json = None
    output: dict[str, Json] | None = None

    @classmethod
    def text(cls, text: str) -> TurnInput:
        """Return an input of one text."""
        return cls(items=(TextItem(text=text),))


StopReason = Literal[
    "cancelled",
    "output_limit",
    "invalid_input",
    "max_turns",
    "tool_failure",
    "provider_error",
    "context_overflow",
    "content_filter",
    "empty_response",
    "invalid_output",
    "budget_exhausted",
    "plugin_abort",
    "runtime_error",
]


class TurnIssue(JsonRecord, frozen=True, kw_only=True, eq=False):
    """Something that went wrong in a turn, whether or not it ended it."""

    kind: str
    code: str
    message: str
    call_id: str | None = None
    facts: dict[str, Json] = {}

    @classmethod
    def of(cls, kind: str, error: ErrorRecord) -> TurnIssue:
        return cls(kind=kind, code=error.code, message=error.message, facts=error.facts)


class ToolCallRecord(JsonRecord, frozen=True, kw_only=True, eq=False):
    """One call as a reader of the result sees it."""

    call_id: str
    name: str
    args: dict[str, Json]
    result: Json = None
    is_error: bool = False
    attempts: int = 1
    duration_ms: int = 0
    settled_rank: int = 0  # in which order the calls of a batch settled, from 0
    replayed: bool = False


class TurnReceipt(JsonRecord, frozen=True, kw_only=True, eq=False):
    """How a committed turn ended: what the store keeps with the stamp.

    Texts are not kept twice: `first_node_id` to `last_node_id` name the nodes that the turn appended.
    """

    turn_id: str
    stop: StopReason | None = None
    output: Json = None
    has_output: bool = False
    usage: TokenUsage = TokenUsage()
    issues: tuple[TurnIssue, ...] = ()
    model_calls: int = 0
    head_revision: int = 0
    node_ids: tuple[str, ...] = ()
