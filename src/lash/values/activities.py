"""Turn events: what a turn shows while it runs. The last one is always `TurnFinished`.

Events are for screens; the commit is the truth. `id` is never used twice, `correlation_id` groups what
belongs to one row of a screen: a block of prose, a tool call (`tool:<call id>`).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from lash.errors import ErrorRecord
from lash.values.messages import Message
from lash.values.record import Json, JsonRecord, Record
from lash.values.turns import StopReason, ToolCallRecord
from lash.values.usage import TokenUsage


class TurnStarted(Record, frozen=True, tag="turn_started"):
    """The turn is being driven; `restarts` drivers before this one did not finish it."""

    turn_id: str
    restarts: int = 0


class ModelRequestStarted(Record, frozen=True, tag="model_request_started"):
    iteration: int


class ModelRequestCompleted(Record, frozen=True, tag="model_request_completed", kw_only=True):
    """A model call is over. `error` is the code of its failure; replayed ones were paid for before.

    `call_key` is the call's replay key: the same for every driver of the turn.
    """

    iteration: int
    model: str
    provider: str
    call_key: str
    usage: TokenUsage = TokenUsage()
    duration_ms: int = 0
    replayed: bool = False
    error: str | None = None


class AssistantTextDelta(Record, frozen=True, tag="text_delta"):
    """More text of the answer. `replayed` text comes whole, from the journal."""

    text: str
    replayed: bool = False


class AssistantReasoningDelta(Record, frozen=True, tag="reasoning_delta"):
    text: str
    replayed: bool = False


class ModelAttemptReset(Record, frozen=True, tag="model_attempt_reset"):
    """Take back what was shown under these correlation ids: the model's answer starts over (`retry`), or what
    was shown as its answer turns out to be the reasoning before a program (`program`), which is shown anew.
    """

    correlation_ids: tuple[str, ...]
    reason: Literal["retry", "program"] = "retry"


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


class CodeBlockStarted(Record, frozen=True, tag="code_block_started"):
    """The model began to write a program; its text is not shown as prose."""

    replayed: bool = False


class CodeBlockCompleted(Record, frozen=True, tag="code_block_completed"):
    """The program is written."""

    code: str
    replayed: bool = False


class ProgramEnded(Record, frozen=True, tag="program_ended"):
    """The program was run: what it printed, as the model sees it, and why it failed if it did."""

    output: tuple[str, ...]
    error: str | None = None


class UsageReported(Record, frozen=True, tag="usage"):
    iteration: int
    usage: TokenUsage
    cumulative: TokenUsage


class InputAccepted(Record, frozen=True, tag="input_accepted"):
    """Queued input has entered the running turn at a checkpoint."""

    turn_ids: tuple[str, ...]
    texts: tuple[str, ...]


class ApprovalRequested(JsonRecord, frozen=True, kw_only=True, tag="approval_requested", eq=False):
    """A call waits for a person. Told again each time that the turn comes by and there is no answer yet."""

    approval_id: str
    call_id: str
    tool: str
    args: dict[str, Json]
    args_hash: str
    expires_at_ms: int | None = None
    reason: str = ""


class ApprovalAnswered(JsonRecord, frozen=True, kw_only=True, tag="approval_answered", eq=False):
    """A call that waited for a person goes on, or does not."""

    approval_id: str
    call_id: str
    decision: Literal["approved", "denied", "expired"]
    by: str | None = None
    reason: str = ""
    edited_args: dict[str, Json] | None = None


class PluginNotice(JsonRecord, frozen=True, kw_only=True, tag="plugin_notice", eq=False):
    """What a plugin has to say, to whoever watches."""

    plugin_id: str
    payload: Json


class FrameOpened(Record, frozen=True, kw_only=True, tag="frame_opened"):
    """The turn goes on in another frame: what the model was shown before is behind a boundary."""

    frame_id: str
    reason: str


class TurnParked(Record, frozen=True, tag="turn_parked"):
    """The turn waits, holding nothing. It goes on, here or elsewhere, when one of these waits is resolved."""

    turn_id: str
    wait_keys: tuple[str, ...]


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


class MessageCommitted(Record, frozen=True, tag="message_committed", kw_only=True):
    """A message is part of the history now: it settles whatever was shown of it before.

    Only `Session.watch` has these, one for each message of a commit, before the turn's `TurnFinished`.
    """

    message: Message
    node_id: str
    head_revision: int


class EventGap(Record, frozen=True, tag="event_gap"):
    """Some events of a running turn are lost to this watcher. Its commit will have all that matters.

    Attributes:
        dropped: How many, where that is known; else 0.
        reason: `slow_watcher`: it did not read fast enough; `out_of_window`: its cursor is older than what
            is kept of the running turn; `restarted`: the cursor is of an earlier run of this process, or of
            another process.
    """

    dropped: int = 0
    reason: Literal["slow_watcher", "out_of_window", "restarted"] = "slow_watcher"


TurnActivity: TypeAlias = (
    TurnStarted
    | ModelRequestStarted
    | ModelRequestCompleted
    | AssistantTextDelta
    | AssistantReasoningDelta
    | ModelAttemptReset
    | ModelRetry
    | ToolCallStarted
    | ToolProgress
    | ToolCallCompleted
    | CodeBlockStarted
    | CodeBlockCompleted
    | ProgramEnded
    | UsageReported
    | InputAccepted
    | MessageCommitted
    | EventGap
    | ApprovalRequested
    | ApprovalAnswered
    | PluginNotice
    | FrameOpened
    | TurnParked
    | TurnFinished
    | TurnFailed
)


class TurnEvent(Record, frozen=True, kw_only=True):
    """One event of a turn's stream.

    Attributes:
        at_ms: When it happened; a durable event of `Session.watch` has the time at which it was read.
        cursor: Where a watcher of the session stands once it has read this event (`Session.watch`); empty
            in the stream of one turn.
    """

    id: str
    correlation_id: str
    session_id: str
    turn_id: str
    activity: TurnActivity
    at_ms: int = 0
    cursor: str = ""
