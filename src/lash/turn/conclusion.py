"""How a turn ended: everything that its commit is made of.

The conclusion is a function of the config and the replies alone, so a turn that is driven again concludes
alike (`ToolCallRecord.replayed` excepted, which says what the re-drive did not pay for).
"""

from __future__ import annotations

from lash.values.messages import ConversationRecord, Message
from lash.values.process_outcomes import SwitchAgentFrame
from lash.values.queue import QueuedWorkCompletion
from lash.values.record import Json, JsonRecord, Record
from lash.values.turns import StopReason, ToolCallRecord, TurnIssue
from lash.values.usage import TokenUsage


class ModelCallUsage(Record, frozen=True, kw_only=True):
    """What one model call cost. `effect_id` and `iteration` make the key of its ledger row."""

    effect_id: int
    iteration: int
    usage: TokenUsage
    model: str | None = None


class TurnConclusion(JsonRecord, frozen=True, kw_only=True, eq=False):
    """The end of a turn.

    Attributes:
        stop: Why it ended before its natural end; None if it did not.
        text: The final answer for a reader: lines right-trimmed, the whole trimmed. The stored message
            keeps the original.
        output: The typed answer, or what a tool ended the turn with, where `has_output` is true.
        records: What the turn adds to the history, in order: its input first.
        model_usage: Usage by answered model call; `usage` is the sum.
        model_calls: How many model calls were made, failed ones included.
        last_iteration: The number of the last iteration that began.
        tool_calls: Every call that the model asked for, in that order, without the submit tool's.
        switch: The frame to continue in, if a tool asked for one.
        completions: The queued work that entered the turn at checkpoints: the commit completes it.
    """

    turn_id: str
    stop: StopReason | None = None
    text: str = ""
    output: Json = None
    has_output: bool = False
    records: tuple[ConversationRecord, ...] = ()
    usage: TokenUsage = TokenUsage()
    model_usage: tuple[ModelCallUsage, ...] = ()
    model_calls: int = 0
    last_iteration: int = 0
    tool_calls: tuple[ToolCallRecord, ...] = ()
    issues: tuple[TurnIssue, ...] = ()
    switch: SwitchAgentFrame | None = None
    completions: tuple[QueuedWorkCompletion, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages among the records."""
        return tuple(record for record in self.records if isinstance(record, Message))


def tidy_text(text: str) -> str:
    """Return `text` as a reader wants it: lines right-trimmed, the whole trimmed."""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
