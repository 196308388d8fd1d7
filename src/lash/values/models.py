"""A model call as data: what is asked, what comes back, what may go wrong, what is streamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lash.values.messages import Message, Part
from lash.values.record import Json, JsonRecord, Record
from lash.values.usage import TokenUsage


class ModelSpec(Record, frozen=True, kw_only=True):
    """A model by id, with the limits that the host states for it."""

    id: str
    context_window_tokens: int
    variant: str | None = None
    output_token_capacity: int | None = None


class GenerationOptions(Record, frozen=True, kw_only=True):
    """How an answer is to be generated. What is None is left to the vendor."""

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    reasoning_effort: str | None = None


class ToolSpec(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A tool as the model sees it. `input_schema` is a JSON Schema of an object."""

    name: str
    description: str
    input_schema: dict[str, Json]


class OutputSpec(JsonRecord, frozen=True, kw_only=True, eq=False):
    """The answer must be JSON that fits `schema`."""

    name: str
    schema: dict[str, Json]


ToolChoice = Literal["auto", "none", "required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One live call. Never stored: the envelope names the history by reference (`LlmRequestSpec`).

    Attributes:
        model: What to ask.
        instructions: The system text; empty for none.
        messages: The conversation, oldest first: a snapshot, which does not change after the call. It may be
            long and shared; do not copy it needlessly.
        tools: What the model may call.
        output: The shape of the final answer, if it must be JSON.
        session_id: For cache affinity at the vendor.
        call_key: The replay key of the effect; adapters derive missing tool-call ids from it.
        attachments: Bytes by attachment id, for the references in `messages`.
        passing: How many of the last messages are of this call only: what stays for the next call, and is worth
            caching, ends before them.
    """

    model: ModelSpec
    messages: Sequence[Message]
    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    generation: GenerationOptions = field(default_factory=GenerationOptions)
    output: OutputSpec | None = None
    session_id: str | None = None
    call_key: str = ""
    attachments: dict[str, bytes] = field(default_factory=dict)
    passing: int = 0


TerminalReason = Literal[
    "stop", "tool_use", "output_limit", "context_overflow", "content_filter", "cancelled", "unknown"
]


class ModelResponse(Record, frozen=True, kw_only=True, tag="response"):
    """A whole answer: parts in the order in which the model gave them."""

    parts: tuple[Part, ...]
    usage: TokenUsage = TokenUsage()
    terminal_reason: TerminalReason = "stop"
    model: str | None = None  # the model that the vendor says has served the call
    response_id: str | None = None
    diagnostic: str | None = None


ModelFailureKind = Literal[
    "transport", "timeout", "http", "stream", "auth", "validation", "quota", "unsupported", "unknown"
]


class ModelFailure(Record, frozen=True, kw_only=True, tag="failure"):
    """Why a model call failed, after the retries that its kind allows.

    `terminal_reason` is set when the failure is an answer about the request itself (`context_overflow`,
    `content_filter`, `cancelled`) rather than about the connection.
    """

    kind: ModelFailureKind
    code: str
    message: str
    status: int | None = None
    retryable: bool = False
    retry_after_ms: int | None = None
    terminal_reason: TerminalReason | None = None
    attempts: int = 1


class TextDelta(Record, frozen=True, tag="text_delta"):
    """More of the answer. Deltas of one `block` belong together."""

    text: str
    block: str = "0"


class ReasoningDelta(Record, frozen=True, tag="reasoning_delta"):
    """More of what the model thinks."""

    text: str
    block: str = "0"


class AttemptReset(Record, frozen=True, tag="attempt_reset"):
    """What was streamed of this call so far is void: the next attempt starts over."""

    attempt: int


class RetryStatus(Record, frozen=True, tag="retry_status"):
    """The call failed and is tried again after `wait_ms`."""

    wait_ms: int
    attempt: int
    max_attempts: int
    reason: str


ModelStreamEvent: TypeAlias = TextDelta | ReasoningDelta | AttemptReset | RetryStatus
