"""What the machine asks its driver for.

Five effects want a reply and carry the id that the reply must name; ids count from 1 in every turn, in
the order in which the effects are yielded. The others are notices. `Done` is always the last.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from lash.turn.conclusion import TurnConclusion
from lash.values.activities import TurnActivity
from lash.values.effects import ToolRef
from lash.values.messages import ConversationRecord, Message, ToolCallPart
from lash.values.models import OutputSpec, ToolChoice
from lash.values.record import JsonRecord, Record

CheckpointKind = Literal["after_work", "before_completion"]


class SyncSurface(Record, frozen=True, kw_only=True, tag="sync_surface"):
    """Read the instructions and the tools again. The first of a turn has `apply` false: they are fresh."""

    effect_id: int
    iteration: int
    apply: bool


class PlacedMessage(Record, frozen=True, kw_only=True):
    """A message that only the model sees, and how many of the turn's own messages come before it."""

    message: Message
    after: int


class AskModel(JsonRecord, frozen=True, kw_only=True, tag="ask_model", eq=False):
    """One model call. The committed history comes before `prompt`; the driver has it, by reference.

    Attributes:
        messages: The turn's own messages, all of which will be stored.
        transient: Messages that are shown to the model and stored nowhere.
        tools: What is offered, by name. The submit tool (`submit_tool_spec`) may be among them.
        output: The shape that the vendor holds the answer to, if it does.
    """

    effect_id: int
    iteration: int
    instructions: str
    messages: tuple[Message, ...]
    transient: tuple[PlacedMessage, ...] = ()
    tools: tuple[ToolRef, ...] = ()
    tool_choice: ToolChoice = "auto"
    output: OutputSpec | None = None

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The turn's own messages with the transient ones in their places."""
        merged: list[Message] = []
        start = 0
        for placed in self.transient:
            merged += self.messages[start : placed.after]
            merged.append(placed.message)
            start = placed.after
        return (*merged, *self.messages[start:])


class RunTools(JsonRecord, frozen=True, kw_only=True, tag="run_tools", eq=False):
    """Run these calls, all of them, in any order. Their ids are unique within the turn."""

    effect_id: int
    iteration: int
    calls: tuple[ToolCallPart, ...]


class RunCode(Record, frozen=True, kw_only=True, tag="run_code"):
    """Run a program that the model wrote."""

    effect_id: int
    iteration: int
    code: str


class ReachCheckpoint(Record, frozen=True, kw_only=True, tag="reach_checkpoint"):
    """Plugins and the queue may put messages into the turn here."""

    effect_id: int
    iteration: int
    kind: CheckpointKind


class Abandon(Record, frozen=True, kw_only=True, tag="abandon"):
    """Nobody waits for this effect any more: end it. A reply that still comes is ignored."""

    effect_id: int


class Emit(Record, frozen=True, tag="emit"):
    """Show this to whoever watches the turn."""

    activity: TurnActivity


class Progress(JsonRecord, frozen=True, kw_only=True, tag="progress", eq=False):
    """The turn has these new records since the last notice. They are final, but not yet committed."""

    records: tuple[ConversationRecord, ...]
    iteration: int


class Done(JsonRecord, frozen=True, tag="done", eq=False):
    """The turn is over: commit this."""

    conclusion: TurnConclusion


ReplyWanted: TypeAlias = SyncSurface | AskModel | RunTools | RunCode | ReachCheckpoint
Notice: TypeAlias = Abandon | Emit | Progress
MachineEffect: TypeAlias = ReplyWanted | Notice | Done
