"""What hooks are handed: the session, the turn, the call. Read-only, and safe to keep for the turn only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, TypeVar

from lash.values import (
    AgentFrameRecord,
    Json,
    JsonRecord,
    Message,
    ModelResponse,
    ModelSpec,
    PersistedTurnState,
    Record,
    StopReason,
    TokenUsage,
    ToolCallRecord,
    TurnInput,
    TurnIssue,
)

T = TypeVar("T")

PromptSlot = Literal["intro", "execution", "guidance", "project", "environment"]


class PromptContribution(Record, frozen=True, kw_only=True):
    """A piece of the system text. Slots come in the order above, `priority` (higher first) within one."""

    text: str
    slot: PromptSlot = "guidance"
    priority: int = 0


class HookHost(Protocol):
    """What a turn's hooks may ask the runtime for."""

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        instructions: str,
        usage_source: str,
        max_output_tokens: int | None,
    ) -> ModelResponse: ...
    def notice(self, plugin_id: str, payload: Json) -> None: ...
    def resource(self, kind: type[T]) -> T: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """The turn that a hook is called for.

    Attributes:
        plugin_id: The plugin that is called.
        session_id, turn_id, agent: Where it is called.
        model: The agent's model, with its window.
        input: What the turn was given, if anything.
        plugin_input: What the caller gave this plugin for this turn, as JSON.
        history: The committed messages that the model is shown, oldest first.
        state: The session's counters: turns, tokens, what the last prompt took.
        frame: The agent frame that the turn began in; None in a session's first turn.
    """

    plugin_id: str
    session_id: str
    turn_id: str
    agent: str
    model: ModelSpec
    input: TurnInput | None
    plugin_input: Json
    history: Sequence[Message]
    state: PersistedTurnState
    frame: AgentFrameRecord | None
    host: HookHost

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        instructions: str = "",
        usage_source: str | None = None,
        max_output_tokens: int | None = None,
    ) -> ModelResponse:
        """Ask the agent's model. The answer is recorded: a turn that is driven again does not pay twice.

        Args:
            messages: The conversation.
            instructions: The system text.
            usage_source: The label under which the ledger counts it; the plugin's id by default.
            max_output_tokens: The most that the answer may take.

        Raises:
            LashError: `plugin_model_failed` when the model gave no answer.
        """
        return await self.host.complete(
            messages,
            instructions=instructions,
            usage_source=usage_source or self.plugin_id,
            max_output_tokens=max_output_tokens,
        )

    def notice(self, payload: Json) -> None:
        """Show something to whoever watches the turn (`PluginNotice`)."""
        self.host.notice(self.plugin_id, payload)

    def resource(self, kind: type[T]) -> T:
        """Return the live object given to `lash.open` for a type.

        Raises:
            LashError: `resource_missing`, `resource_ambiguous`.
        """
        return self.host.resource(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """The prompt that a view may change, for one model call.

    Attributes:
        history: The committed messages, as the views before left them.
        own: The turn's own messages; they follow and stay as they are.
        model: The model that is asked.
    """

    session_id: str
    turn_id: str
    history: Sequence[Message]
    own: Sequence[Message]
    model: ModelSpec


class HookedCall(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A tool call as hooks see it; `args` as the hooks before left them."""

    call_id: str
    tool: str
    args: dict[str, Json]


class HookedResult(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What a call gave; `content` as the hooks before left it."""

    content: Json = None
    is_error: bool = False
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSummary:
    """How a turn is about to be committed."""

    turn_id: str
    text: str
    stop: StopReason | None
    usage: TokenUsage
    tool_calls: tuple[ToolCallRecord, ...]
    issues: tuple[TurnIssue, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPersisted:
    """A turn is committed, at this revision."""

    session_id: str
    turn_id: str
    head_revision: int
    stop: StopReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRestored:
    """A session's turn is taken up by this process, on state that an earlier turn has committed."""

    session_id: str
    turn_id: str
    restarts: int


PluginEvent: TypeAlias = TurnPersisted | SessionRestored
