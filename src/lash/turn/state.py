"""What a turn in flight is: its phase, and what it has gathered.

Everything here is data that survives a snapshot. A waiting phase keeps what its effect is rebuilt from,
never the effect itself: messages are stored once.
"""

from __future__ import annotations

from typing import Self, TypeAlias

import msgspec

from lash.turn.actions import Finish, GoOn
from lash.turn.conclusion import ModelCallUsage, TurnConclusion, tidy_text
from lash.turn.config import TurnConfig
from lash.turn.drafts import MessageDraft, RecordDraft
from lash.turn.effects import CheckpointKind, Notice, PlacedMessage, Progress
from lash.values.effects import SurfaceSync, ToolRef
from lash.values.messages import ConversationRecord, Message, ToolCallPart
from lash.values.models import ToolChoice
from lash.values.queue import QueuedWorkCompletion
from lash.values.record import Json, JsonRecord, Record
from lash.values.turns import ToolCallRecord, TurnIssue
from lash.values.usage import TokenUsage


class Opening(Record, frozen=True, tag="opening"):
    """Nothing has been asked yet."""


class Preparing(Record, frozen=True, tag="preparing"):
    """The next poll asks the protocol what to do in this iteration."""


class AwaitSurface(Record, frozen=True, tag="await_surface"):
    effect_id: int
    apply: bool


class AwaitModel(JsonRecord, frozen=True, tag="await_model", eq=False):
    effect_id: int
    tools: tuple[ToolRef, ...]
    tool_choice: ToolChoice
    native_output: bool
    notes: tuple[Message, ...]


class AwaitTools(JsonRecord, frozen=True, tag="await_tools", eq=False):
    effect_id: int
    calls: tuple[ToolCallPart, ...]


class AwaitCode(Record, frozen=True, tag="await_code"):
    effect_id: int
    code: str


class AwaitCheckpoint(JsonRecord, frozen=True, tag="await_checkpoint", eq=False):
    effect_id: int
    kind: CheckpointKind
    on_empty: GoOn | Finish


class Finished(JsonRecord, frozen=True, tag="finished", eq=False):
    ending: Finish


Waiting: TypeAlias = AwaitSurface | AwaitModel | AwaitTools | AwaitCode | AwaitCheckpoint
Phase: TypeAlias = Opening | Preparing | Waiting | Finished


class TurnState(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A turn in flight. Mutable: the machine changes a fork and adopts it when all went well."""

    turn_id: str
    surface: SurfaceSync
    iteration: int
    phase: Phase = Opening()
    synced_iteration: int | None = None
    last_effect_id: int = 0
    records: list[ConversationRecord] = []
    transient: list[PlacedMessage] = []
    message_count: int = 0
    reported_records: int = 0
    cause_ids: list[str] = []
    notices: list[Notice] = []
    model_usage: list[ModelCallUsage] = []
    model_calls: int = 0
    tool_calls: list[ToolCallRecord] = []
    issues: list[TurnIssue] = []
    completions: list[QueuedWorkCompletion] = []
    final_note: MessageDraft | None = None
    memory: Json = None

    @classmethod
    def opening(cls, config: TurnConfig) -> Self:
        """Return the state before the first effect: causes, then input."""
        state = cls(turn_id=config.turn_id, surface=config.surface, iteration=config.first_iteration)
        for cause in config.causes:
            if cause.id not in state.cause_ids:
                state.cause_ids.append(cause.id)
                state.append(cause.draft())
        for draft in config.input:
            state.append(draft)
        return state

    def fork(self) -> Self:
        """Return a copy that can be changed without harm to this one."""
        lists = {
            name: list(value)
            for name in self.__struct_fields__
            if isinstance(value := getattr(self, name), list) and name != "memory"
        }
        return msgspec.structs.replace(self, **lists)

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(record for record in self.records if isinstance(record, Message))

    @property
    def usage(self) -> TokenUsage:
        return sum((call.usage for call in self.model_usage), TokenUsage())

    def next_effect_id(self) -> int:
        self.last_effect_id += 1
        return self.last_effect_id

    def append(self, draft: RecordDraft) -> None:
        """Add a record; a message gets the next id."""
        if isinstance(draft, MessageDraft):
            self.records.append(draft.named(f"{self.turn_id}:m{self.message_count}"))
            self.message_count += 1
        else:
            self.records.append(draft)

    def append_transient(self, draft: MessageDraft) -> None:
        """Add a message that only the model sees, behind the messages there are."""
        message = draft.named(f"{self.turn_id}:t{len(self.transient)}")
        self.transient.append(PlacedMessage(message=message, after=self.message_count))

    @property
    def has_unreported_records(self) -> bool:
        return self.reported_records < len(self.records)

    def report_progress(self) -> None:
        """Queue the notice of the records that no notice has named yet."""
        fresh = tuple(self.records[self.reported_records :])
        self.notices.append(Progress(records=fresh, iteration=self.iteration))
        self.reported_records = len(self.records)

    def conclusion(self, ending: Finish) -> TurnConclusion:
        """Return the conclusion of a turn that ends like this."""
        return TurnConclusion(
            turn_id=self.turn_id,
            stop=ending.stop,
            text=tidy_text(ending.text),
            output=ending.output,
            has_output=ending.has_output,
            records=tuple(self.records),
            usage=self.usage,
            model_usage=tuple(self.model_usage),
            model_calls=self.model_calls,
            last_iteration=self.iteration,
            tool_calls=tuple(self.tool_calls),
            issues=tuple(self.issues),
            switch=ending.switch,
            completions=tuple(self.completions),
        )
