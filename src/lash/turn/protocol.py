"""How a protocol plugs into the machine.

A protocol decides what the model is asked and what its answer leads to. It is pure: it sees a view, it
answers actions, and it keeps nothing of its own (what it must know later goes through `Remember`).
Calling it twice with equal arguments gives equal actions; replay rests on that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lash.turn.actions import Action
from lash.turn.config import TurnConfig
from lash.turn.drafts import MessageDraft
from lash.turn.effects import CheckpointKind
from lash.values.effects import CompletedToolCall, ExecFailure, ExecResponse, SurfaceSync
from lash.values.messages import ConversationRecord, Message, Part, TextPart, ToolCallPart
from lash.values.record import Json
from lash.values.turns import ToolCallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """What a protocol sees of the turn.

    Attributes:
        records: What the turn has added so far, oldest first.
        tool_calls: The calls that `RecordToolCalls` has listed so far.
        memory: What the protocol last remembered; None at first.
        final_note: Set in the iteration that was granted beyond the limit; to be shown to the model.
        prompt_tokens: How long the last prompt was, as its provider counted it; 0 before the first answer.
    """

    config: TurnConfig
    iteration: int
    surface: SurfaceSync
    records: tuple[ConversationRecord, ...]
    tool_calls: tuple[ToolCallRecord, ...]
    memory: Json
    final_note: MessageDraft | None
    prompt_tokens: int = 0

    @property
    def last_answer(self) -> Message | None:
        """The model's last message of this turn."""
        for record in reversed(self.records):
            if isinstance(record, Message) and record.role == "assistant":
                return record
        return None

    @property
    def last_text(self) -> str:
        """What the model said last in this turn."""
        return self.last_answer.text if self.last_answer else ""

    @property
    def at_limit(self) -> bool:
        """Whether this iteration is the last that `max_turns` allows."""
        limit = self.config.max_turns
        return limit is not None and self.iteration - self.config.first_iteration + 1 >= limit


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A model's answer as protocols read it: call ids are present and unique within the turn."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """A call that was run, and what it gave."""

    call: ToolCallPart
    result: CompletedToolCall
    replayed: bool = False


class TurnProtocol(Protocol):
    """One way to run a turn. Every list that a method returns ends with a step, `on_cut`'s excepted."""

    @property
    def id(self) -> str:
        """Names the protocol in snapshots."""

    def prepare_iteration(self, view: TurnView) -> list[Action]:
        """Begin an iteration. The answer may not advance it: the turn would never ask anything."""

    def on_model(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        """Go on after an answer that ended of its own accord."""

    def on_cut(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        """Record an answer that was cut off; the machine ends the turn after it. No step."""

    def on_tools(self, view: TurnView, outcomes: tuple[ToolOutcome, ...]) -> list[Action]:
        """Go on after tools; outcomes are in call order."""

    def on_code(self, view: TurnView, result: ExecResponse | ExecFailure) -> list[Action]:
        """Go on after a program."""

    def on_checkpoint(self, view: TurnView, kind: CheckpointKind) -> list[Action]:
        """Go on after a checkpoint that delivered something, which the view has, or that leads to `GoOn`."""
