"""Turn events: what a turn shows while it runs. The last one is always `TurnFinished`.

Events are for screens; the commit is the truth. `id` is unique within a turn, `correlation_id` groups
what belongs to one row of a screen: a block of prose, a tool call (`tool:<call id>`).
"""

from __future__ import annotations

from typing import TypeAlias

from lash.errors import ErrorRecord
from lash.values.record import Json, JsonRecord, Record
from lash.values.turns import StopReason, ToolCallRecord
from lash.values.usage import TokenUsage


class TurnStarted(Record, frozen=True, tag="turn_started"):
    """The turn is being driven; `restarts` drivers before this one did not finish it."""

    turn_id: str
    restarts: int = 0


class ModelRequestStarted(Record, frozen=True, tag="model_request_started"):
    iteration: int


class AssistantTextDelta(Record, frozen=True, tag="text_delta"):
    """More text of the answer. `replayed` text comes whole, from the journal."""

    text: str
    replayed: bool = False


class AssistantReasoningDelta(Record, frozen=True, tag="reasoning_delta"):
    text: str
    replayed: bool = False


class ModelAttemptReset(Record, frozen=True, tag="model_attempt_reset"):
    """Take back what was shown under these correlation ids: the model's answer starts over."""

    correlation_ids: tuple[str, ...]


class ModelRetry(Record, frozen=True, tag="model_retry"):
    wait_ms: int
    attempt: int
    max_attempts: int
    reason: str


class ToolCallStarted(JsonRecord, frozen=True, tag="tool_call_started", eq=False):
    call_id: str
    name: str
    args: dict[str, Json]


class ToolProgress(JsonRecord, frozen=True, tag="tool_progress", eq=False):
    """What a tool says of itself while it runs."""

    call_id: str
    payload: Json


class ToolCallCompleted(Record, frozen=True, tag="tool_call_completed"):
    call: ToolCallRecord


class UsageReported(Record, frozen=True, tag="usage"):
    iteration: int
    usage: TokenUsage
    cumulative: TokenUsage


class InputAccepted(Record, frozen=True, tag="input_accepted"):
    """Queued input has entered the running turn at a checkpoint."""

    turn_ids: tuple[str, ...]
    texts: tuple[str, ...]


class TurnFinished(JsonRecord, frozen=True, tag="turn_finished", eq=False):
    """The turn is committed. Always the last event."""

    turn_id: str
    text: str
    stop: StopReason | None
    usage: TokenUsage
    output: Json = None
    head_revision: int = 0


class TurnFailed(Record, frozen=True, tag="turn_failed"):
    """The driver of this process gave up; the turn stays accepted and is driven again. Ends the stream."""

    turn_id: str
    error: ErrorRecord


class EventGap(Record, frozen=True, tag="event_gap"):
    """The watcher was too slow: this many events of the stream are lost to it. The commit has it all."""

    dropped: int


TurnActivity: TypeAlias = (
    TurnStarted
    | ModelRequestStarted
    | AssistantTextDelta
    | AssistantReasoningDelta
    | ModelAttemptReset
    | ModelRetry
    | ToolCallStarted
    | ToolProgress
    | ToolCallCompleted
    | UsageReported
    | InputAccepted
    | EventGap
    | TurnFinished
    | TurnFailed
)


class TurnEvent(Record, frozen=True, kw_only=True):
    """One event of a turn's stream."""

    id: str
    correlation_id: str
    session_id: str
    turn_id: str
    activity: TurnActivity
