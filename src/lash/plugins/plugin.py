"""`Plugin`: one class with optional hooks, of which an application overrides those that it wants.

An agent holds templates. Each session gets an instance of its own (`for_session`), with its options and its
state; the state is committed with the turn that changed it. What hooks decide is recorded like any other effect:
a turn that is driven again does not call them a second time, it reads what they said.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import msgspec

from lash.errors import LashError
from lash.plugins.contexts import (
    HookedCall,
    HookedResult,
    PluginEvent,
    PromptContext,
    PromptContribution,
    TurnContext,
    TurnSummary,
)
from lash.plugins.directives import (
    AfterToolDirective,
    AfterTurnDirective,
    BeforeToolDirective,
    BeforeTurnDirective,
    CheckpointDirective,
)
from lash.turn import CheckpointKind, MessageDraft
from lash.values import Json, Message, ModelResponse, ModelStreamEvent


class Plugin:
    """The base of plugins. Every hook has a default that does nothing and costs nothing.

    A hook that raises ends its turn as `plugin_abort`, with an issue `plugin_failed` that names plugin and hook;
    a `LashError` that is retryable is the world's failure and gives the turn back instead. `on_event` is the
    exception: what it raises is logged.

    Attributes:
        id: Names the plugin in snapshots, options, issues and usage; the class's name by default.
        version: Part of what names a prompt view: raise it when `transform_context` would show something else.
        options_type: What a session may give it, as a type that msgspec converts to; None for no options.
        state_type: What it keeps of a session, as such a type with defaults for all fields; None for nothing.
        options: The session's options, converted; None without.
        state: The session's state. Hooks change it in place or replace it.
    """

    id: str = ""
    version: int = 1
    options_type: ClassVar[Any] = None
    state_type: ClassVar[Any] = None
    options: Any = None
    state: Any = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "id" not in cls.__dict__:
            cls.id = cls.__name__

    # ---- life

    async def start(self) -> None:
        """Called once a template when its runtime opens."""

    async def close(self) -> None:
        """Called once a template when its runtime closes."""

    def for_session(self, options: Json, snapshot: Json) -> Self:
        """Return this session's instance: a shallow copy with options and state of its own.

        Args:
            options: What the session was given for this plugin; None for nothing.
            snapshot: What `snapshot` returned last; None in a session's first turn.

        Raises:
            LashError: `plugin_options_invalid`; `plugin_snapshot_invalid`.
        """
        mine = copy.copy(self)
        if self.options_type is not None:
            mine.options = self._converted(options or {}, self.options_type, "plugin_options_invalid")
        elif options is not None:
            raise LashError("plugin_options_invalid", f"plugin {self.id} takes no options", plugin=self.id)
        mine.restore(snapshot)
        return mine

    def snapshot(self) -> Json:
        """Return the state as JSON; None for nothing to keep."""
        return None if self.state_type is None else msgspec.to_builtins(self.state)

    def restore(self, snapshot: Json) -> None:
        """Take the state that `snapshot` gave; None is the beginning."""
        if self.state_type is not None:
            self.state = self._converted(snapshot or {}, self.state_type, "plugin_snapshot_invalid")

    # ---- what it brings

    def tools(self) -> Sequence[Any]:
        """Return tools. Asked for when a turn begins, or goes on in another frame; names must be unique."""
        return ()

    def instructions(self) -> str | PromptContribution | Sequence[PromptContribution] | None:
        """Return pieces of the system text. Asked for together with the tools; no I/O."""
        return None

    # ---- hooks, in the order in which a turn meets them

    async def before_turn(self, turn: TurnContext) -> BeforeTurnDirective | None:
        """Look at a turn before its first model call."""

    async def transform_context(self, prompt: PromptContext) -> Sequence[Message] | None:
        """Return the committed history as the model shall see it for this call; None for no change.

        A view: nothing of it is stored. It must be a function of the history and of the plugin's options, or
        `version` must say that it is another one. It runs again when the call has to be made again.
        """

    def on_stream(self, event: ModelStreamEvent) -> ModelStreamEvent | None:
        """Return a piece of the streamed answer as watchers shall see it; None hides it."""
        return event

    async def on_model_response(self, turn: TurnContext, response: ModelResponse) -> ModelResponse | None:
        """Return another answer than the model's; None for no change."""

    async def before_tool(self, turn: TurnContext, call: HookedCall) -> BeforeToolDirective | None:
        """Look at a call before its arguments are checked and it is frozen.

        Every plugin is asked, in order, with the arguments as the ones before left them. Then the strictest
        directive holds: abort, deny, short-circuit, approval.
        """

    async def after_tool(
        self, turn: TurnContext, call: HookedCall, result: HookedResult
    ) -> AfterToolDirective | None:
        """Look at a result when the calls of its answer have ended, in call order."""

    def project_result(self, call: HookedCall, result: HookedResult) -> Json:
        """Return what the model reads of a result. At most one plugin of an agent may override this."""
        return result.content

    async def checkpoint(self, turn: TurnContext, kind: CheckpointKind) -> CheckpointDirective | None:
        """Put something into the turn between its iterations, or before it completes."""

    async def after_turn(self, turn: TurnContext, summary: TurnSummary) -> AfterTurnDirective | None:
        """Look at a turn before it is committed. It cannot be stopped any more."""

    async def on_event(self, event: PluginEvent) -> None:
        """Hear what has happened. What this raises is logged."""

    # ---- compaction

    async def wants_compaction(self, turn: TurnContext) -> bool:
        """Whether the history shall be compacted before this turn."""
        return False

    async def compact(self, turn: TurnContext, focus: str | None) -> Sequence[MessageDraft] | None:
        """Return the messages that stand for the history from now on; None to leave it to the next plugin."""

    def _converted(self, value: Any, kind: Any, code: str) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as problem:
            raise LashError(code, f"plugin {self.id}: {problem}", plugin=self.id) from problem


def overrides(plugin: Plugin, hook: str) -> bool:
    """Whether a plugin has its own version of a hook."""
    return getattr(type(plugin), hook) is not getattr(Plugin, hook)
