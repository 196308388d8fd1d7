"""Effects as data: commands, outcomes, and the envelope that names one effect (contracts 1.5 and 1.6).

Everything nondeterministic crosses the effect controller as one of these. Commands hold references,
never live things: no callbacks, no bytes of attachments, no provider objects.
"""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias, assert_never

from lash.errors import ErrorRecord, LashError
from lash.values.attachments import AttachmentRef
from lash.values.canonical import canonical_json
from lash.values.invocations import EffectSubject, RuntimeEffectKind, RuntimeInvocation
from lash.values.messages import Message
from lash.values.models import (
    GenerationOptions,
    ModelFailure,
    ModelResponse,
    ModelSpec,
    OutputSpec,
    ToolChoice,
)
from lash.values.process_commands import ProcessCommand, ProcessEffectOutcome
from lash.values.processes import PreparedToolCall
from lash.values.queue import QueuedWorkCompletion
from lash.values.record import Json, JsonRecord, Record, plain


class HistoryRef(Record, frozen=True, kw_only=True):
    """The committed history of a model call, by reference (ruling 6).

    `digest` is the rolling digest over the nodes up to `leaf_node_id`; `view` names the transform that
    the messages went through on their way to the model.
    """

    leaf_node_id: str | None
    digest: str
    view: str = "path"


class ToolRef(Record, frozen=True):
    """A tool offered to the model: its name, and the hash of its `ToolSpec`."""

    name: str
    digest: str


class LlmRequestSpec(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A model request as an envelope carries it: the history by reference, the turn's own messages whole."""

    model: ModelSpec
    messages: tuple[Message, ...]
    provider_id: str = ""
    history: HistoryRef | None = None
    instructions: str = ""
    attachments: tuple[AttachmentRef, ...] = ()
    tools: tuple[ToolRef, ...] = ()
    tool_choice: ToolChoice = "auto"
    model_variant: str | None = None
    generation: GenerationOptions = GenerationOptions()
    session_id: str | None = None
    output_spec: OutputSpec | None = None


class LlmCall(Record, frozen=True, tag="llm_call"):
    request: LlmRequestSpec


class Direct(Record, frozen=True, tag="direct"):
    request: LlmRequestSpec
    usage_source: str


class ToolCall(Record, frozen=True, tag="tool_call"):
    call: PreparedToolCall


class ProcessOp(Record, frozen=True, tag="process"):
    command: ProcessCommand


class ExecCode(Record, frozen=True, tag="exec_code"):
    code: str


class Checkpoint(Record, frozen=True, tag="checkpoint"):
    checkpoint: Literal["after_work", "before_completion"]


class SyncExecutionSurface(Record, frozen=True, tag="sync_execution_surface"):
    update_machine_config: bool


class Sleep(Record, frozen=True, tag="sleep"):
    duration_ms: int


class AwaitEvent(Record, frozen=True, tag="await_event"):
    key: str


RuntimeEffectCommand: TypeAlias = (
    LlmCall
    | Direct
    | ToolCall
    | ProcessOp
    | ExecCode
    | Checkpoint
    | SyncExecutionSurface
    | Sleep
    | AwaitEvent
)


class LlmCallOutcome(Record, frozen=True, tag="llm_call"):
    """The model's answer, or why there is none: both are outcomes, and both replay."""

    result: ModelResponse | ModelFailure
    text_streamed: bool = False


class DirectOutcome(Record, frozen=True, tag="direct"):
    result: ModelResponse | ModelFailure


class CompletedToolCall(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What a call gave back. `content` is what the model reads; `value` the full result if it differs.

    A failed call has `error`; its `content` tells the model. `control` asks the turn to end or to go on
    in another frame.
    """

    call_id: str
    tool_name: str
    content: Json = None
    error: ErrorRecord | None = None
    attachments: tuple[AttachmentRef, ...] = ()
    control: Json = None
    attempts: int = 1
    duration_ms: int = 0
    rank: int = 0  # settlement order within the batch, from 0

    @property
    def is_error(self) -> bool:
        return self.error is not None


class ToolCallOutcome(JsonRecord, frozen=True, tag="tool_call", eq=False):
    result: CompletedToolCall
    host_events: tuple[Json, ...] = ()


class ProcessOutcome(Record, frozen=True, tag="process"):
    result: ProcessEffectOutcome


class ExecFailure(Record, frozen=True, tag="failure"):
    message: str


class ExecResponse(JsonRecord, frozen=True, tag="response", kw_only=True, eq=False):
    """What a program gave.

    Attributes:
        observations: What it printed, as the model is shown it.
        observation_truncation: For each output that was cut: its index, its length, where the whole is kept.
        tool_calls: The calls that it made, in order.
        error: Why it failed, for the model to read.
        terminal_finish: How it ended the turn, if it did.
        variables: A line for each variable that the next program finds; None for "as before".
    """

    observations: tuple[Json, ...] = ()
    observation_truncation: tuple[Json, ...] = ()
    tool_calls: tuple[Json, ...] = ()
    images: tuple[AttachmentRef, ...] = ()
    printed_images: tuple[AttachmentRef, ...] = ()
    error: str | None = None
    duration_ms: int = 0
    terminal_finish: Json = None
    variables: tuple[str, ...] | None = None


class ExecCodeOutcome(Record, frozen=True, tag="exec_code"):
    result: ExecResponse | ExecFailure


class CheckpointDelivery(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What a checkpoint injects into the running turn.

    `completions` are the claims of the queued work that the messages came from: the turn's commit
    completes them.
    """

    messages: tuple[Message, ...] = ()
    transient_messages: tuple[Message, ...] = ()
    causes: tuple[Json, ...] = ()
    completions: tuple[QueuedWorkCompletion, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.messages or self.transient_messages or self.causes)


class CheckpointOutcome(Record, frozen=True, tag="checkpoint"):
    delivery: CheckpointDelivery = CheckpointDelivery()


class SurfaceSync(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A changed prompt or tool list for the iterations to come."""

    instructions: str
    tools: tuple[ToolRef, ...]


class SyncExecutionSurfaceOutcome(Record, frozen=True, tag="sync_execution_surface"):
    sync: SurfaceSync | None = None


class SleepOutcome(Record, frozen=True, tag="sleep"):
    """The time has passed."""


class AwaitEventOutcome(JsonRecord, frozen=True, tag="await_event", eq=False):
    value: Json = None


RuntimeEffectOutcome: TypeAlias = (
    LlmCallOutcome
    | DirectOutcome
    | ToolCallOutcome
    | ProcessOutcome
    | ExecCodeOutcome
    | CheckpointOutcome
    | SyncExecutionSurfaceOutcome
    | SleepOutcome
    | AwaitEventOutcome
)


def command_kind(command: RuntimeEffectCommand) -> RuntimeEffectKind:
    """Return the kind of a command."""
    match command:
        case LlmCall():
            return RuntimeEffectKind.LLM_CALL
        case Direct():
            return RuntimeEffectKind.DIRECT
        case ToolCall():
            return RuntimeEffectKind.TOOL_CALL
        case ProcessOp():
            return RuntimeEffectKind.PROCESS
        case ExecCode():
            return RuntimeEffectKind.EXEC_CODE
        case Checkpoint():
            return RuntimeEffectKind.CHECKPOINT
        case SyncExecutionSurface():
            return RuntimeEffectKind.SYNC_EXECUTION_SURFACE
        case Sleep():
            return RuntimeEffectKind.SLEEP
        case AwaitEvent():
            return RuntimeEffectKind.AWAIT_EVENT
        case _:
            assert_never(command)


class RuntimeEffectEnvelope(Record, frozen=True):
    """One effect: who asks, under which key, for what. Validated when built.

    Raises:
        LashError: `runtime_effect_invocation_subject` when the subject is no effect or its id is blank;
            `runtime_effect_invocation_kind` when subject and command differ in kind;
            `runtime_effect_replay_required` when there is no replay key (contract 1.5, rule R-9).
    """

    invocation: RuntimeInvocation
    command: RuntimeEffectCommand

    def __post_init__(self) -> None:
        subject = self.invocation.subject
        if not isinstance(subject, EffectSubject) or not subject.effect_id.strip():
            raise LashError(
                "runtime_effect_invocation_subject", "an envelope's subject is an effect with a non-blank id"
            )
        kind = command_kind(self.command)
        if subject.kind is not kind:
            raise LashError(
                "runtime_effect_invocation_kind",
                f"effect {subject.effect_id!r} is declared {subject.kind.value} but commands {kind.value}",
                effect_id=subject.effect_id,
            )
        if not (self.invocation.replay_key or "").strip():
            raise LashError(
                "runtime_effect_replay_required",
                f"effect {subject.effect_id!r} needs a non-blank replay key",
                effect_id=subject.effect_id,
            )

    @property
    def effect_id(self) -> str:
        subject = self.invocation.subject
        assert isinstance(subject, EffectSubject), "checked when built"
        return subject.effect_id

    @property
    def kind(self) -> RuntimeEffectKind:
        return command_kind(self.command)

    @property
    def replay_key(self) -> str:
        key = self.invocation.replay_key
        assert key is not None, "checked when built"
        return key

    def canonical(self) -> bytes:
        """Return the canonical bytes that `stable_hash` digests.

        Raises:
            LashError: `runtime_effect_envelope_hash` when a field is no exact JSON.
        """
        try:
            return canonical_json(plain(self))
        except LashError as problem:
            raise LashError(
                "runtime_effect_envelope_hash",
                f"effect {self.effect_id!r} cannot be hashed: {problem.message}",
                effect_id=self.effect_id,
            ) from problem

    def stable_hash(self) -> str:
        """Return the identity of the whole envelope: every field of invocation and command."""
        return hashlib.sha256(self.canonical()).hexdigest()
