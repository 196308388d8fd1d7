"""What a protocol may answer: a list of these, applied in order.

A list ends with exactly one step, and a step stands nowhere else: a step decides what the turn waits for
next, and a turn waits for one thing at a time. `interpreter.py` applies them.
"""

from __future__ import annotations

from typing import TypeAlias

from lash.turn.drafts import MessageDraft, RecordDraft
from lash.turn.effects import CheckpointKind
from lash.values.activities import TurnActivity
from lash.values.effects import ToolRef
from lash.values.messages import ToolCallPart
from lash.values.models import ToolChoice
from lash.values.process_outcomes import SwitchAgentFrame
from lash.values.record import Json, JsonRecord, Record
from lash.values.turns import StopReason, ToolCallRecord, TurnIssue


class EmitActivity(Record, frozen=True, tag="emit_activity"):
    """Show something to whoever watches the turn."""

    activity: TurnActivity


class Append(JsonRecord, frozen=True, tag="append", eq=False):
    """Add to the turn's records. Messages are shown to the model from now on."""

    records: tuple[RecordDraft, ...]


class RecordToolCalls(JsonRecord, frozen=True, tag="record_tool_calls", eq=False):
    """List these calls in the conclusion."""

    calls: tuple[ToolCallRecord, ...]


class Report(JsonRecord, frozen=True, tag="report", eq=False):
    """List an issue in the conclusion."""

    issue: TurnIssue


class Remember(JsonRecord, frozen=True, tag="remember", eq=False):
    """Keep `memory` for the protocol, across snapshots. JSON; the machine does not look into it."""

    memory: Json


class ScheduleFinalIteration(Record, frozen=True, tag="schedule_final_iteration"):
    """The next iteration is the last, granted beyond the limit. However it ends, the stop is `max_turns`."""

    note: MessageDraft


class StartModel(JsonRecord, frozen=True, kw_only=True, tag="start_model", eq=False):
    """Ask the model. `notes` are shown to it behind all messages, this once."""

    tools: tuple[ToolRef, ...] = ()
    tool_choice: ToolChoice = "auto"
    native_output: bool = False
    notes: tuple[MessageDraft, ...] = ()


class StartTools(JsonRecord, frozen=True, tag="start_tools", eq=False):
    """Run calls; at least one."""

    calls: tuple[ToolCallPart, ...]


class StartCode(Record, frozen=True, tag="start_code"):
    """Run a program."""

    code: str


class AdvanceIteration(Record, frozen=True, tag="advance_iteration"):
    """Begin the next iteration."""


class Finish(JsonRecord, frozen=True, kw_only=True, tag="finish", eq=False):
    """End the turn."""

    stop: StopReason | None = None
    text: str = ""
    output: Json = None
    has_output: bool = False
    switch: SwitchAgentFrame | None = None


class GoOn(Record, frozen=True, tag="go_on"):
    """The protocol's `on_checkpoint` decides, as it does when something was delivered."""


class StartCheckpoint(JsonRecord, frozen=True, kw_only=True, tag="start_checkpoint", eq=False):
    """Let others put messages into the turn; do `on_empty` if they put none."""

    kind: CheckpointKind
    on_empty: GoOn | Finish


Step: TypeAlias = StartModel | StartTools | StartCode | StartCheckpoint | AdvanceIteration | Finish
Remark: TypeAlias = EmitActivity | Append | RecordToolCalls | Report | Remember | ScheduleFinalIteration
Action: TypeAlias = Remark | Step
