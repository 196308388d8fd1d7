"""The plugins of one turn: their instances, and their hooks as recorded effects.

Theory of operation. A hook may ask a model, a clock or a service, so what it says must not be asked for twice: a
phase (all plugins that override one hook) is one effect of the turn. Its outcome holds what each plugin said and
the state of those whose state changed. A turn that is driven again reads what was said and restores the states,
without calling anybody. Phases are driven one after the other in an order that follows from the turn alone.

What needs no record: prompt views and stream filters (they only shape a call that is itself recorded), and
events (nothing follows from them).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from lash.contracts import RuntimeEffectLocalExecutor
from lash.errors import ErrorRecord, LashError
from lash.plugins import Plugin, PluginEvent, PromptContext, PromptContribution, TurnContext, overrides
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.hook_host import PhaseHost
from lash.runtime.hook_outcomes import contained, plugin_failed
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.runtime.turn_effects import TurnEffects
from lash.runtime.turn_stop import TurnCancelledError, TurnStop
from lash.values import (
    CompletedToolCall,
    Json,
    Message,
    ModelStreamEvent,
    PreparedToolCall,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    TokenLedgerEntry,
    ToolCall,
    ToolCallOutcome,
    TurnInput,
    canonical_json,
    turn_effect_key,
)

Said = dict[str, Json]
"""What the plugins of a phase said, by plugin id; those that said nothing are left out."""

_log = logging.getLogger("lash.plugins")


class TurnPlugins:
    """The plugins of one drive of a turn.

    Args:
        services: What all drivers share.
        agent: Whose plugins they are.
        effects: Records the phases.
        activities: Where notices are shown.
        resident: The session as committed: states and options.
        input: What the turn was given.
        stop: Whether the turn is to end.

    Attributes:
        options: The options of all plugins in this session.
        usage: What they have spent on models.
        failure: Why there are none, if one of them refuses its options or its state.
    """

    def __init__(
        self,
        services: RuntimeServices,
        agent: BoundAgent,
        effects: TurnEffects,
        activities: TurnActivities,
        resident: ResidentSession,
        input: TurnInput | None,
        stop: TurnStop,
    ) -> None:
        self._stop = stop
        self._services = services
        self._agent = agent
        self._effects = effects
        self._activities = activities
        self._input = input
        given = {} if input is None else input.protocol_turn_options or {}
        self.options: dict[str, Json] = resident.plugin_options or given.get("plugin_options") or {}
        self._turn_inputs: dict[str, Json] = given.get("plugins") or {}
        self._committed = resident.plugin_states
        self.usage: list[TokenLedgerEntry] = []
        self.failure: LashError | None = None
        self._all: list[Plugin] = []
        try:
            self._all = [self._opened(template) for template in agent.agent.plugins]
        except LashError as problem:
            self.failure = problem

    def _opened(self, template: Plugin) -> Plugin:
        try:
            return template.for_session(self.options.get(template.id), self._committed.get(template.id))
        except Exception as problem:
            raise plugin_failed(template.id, "for_session", problem) from problem

    def __len__(self) -> int:
        return len(self._all)

    def overriding(self, hook: str) -> list[Plugin]:
        """Return the plugins that have a hook, in order."""
        return [plugin for plugin in self._all if overrides(plugin, hook)]

    def changed_states(self) -> dict[str, Json] | None:
        """Return the states of all plugins if one of them is not as it was committed; None otherwise.

        States of plugins that the agent has no longer are kept: it may have them again.
        """
        if not self._all:
            return None
        states = {
            **self._committed,
            **{id_: state for id_, state in self._states().items() if state is not None},
        }
        return states if canonical_json(states) != canonical_json(self._committed) else None

    # ---- what they bring

    def extended_agent(self) -> BoundAgent:
        """Return the agent with the tools and the instructions of its plugins.

        Raises:
            LashError: `plugin_failed` when one of them raises, or brings a name that is taken.
        """
        tools: list[Any] = []  # whatever may be given as a tool
        pieces: list[PromptContribution] = []
        for plugin in self._all:
            try:
                tools += plugin.tools()
                pieces += _contributions(plugin.instructions())
            except Exception as problem:
                raise plugin_failed(plugin.id, "tools and instructions", problem) from problem
        if not tools and not pieces:
            return self._agent
        try:
            return self._agent.extended(tools, pieces)
        except LashError as problem:
            raise plugin_failed(", ".join(plugin.id for plugin in self._all), "tools", problem) from problem

    @property
    def view_name(self) -> str:
        """What names the views that a prompt goes through; empty for none."""
        return "".join(f"|{plugin.id}@{plugin.version}" for plugin in self.overriding("transform_context"))

    async def view(self, prompt: PromptContext) -> Sequence[Message]:
        """Return the history as the model shall see it.

        Raises:
            LashError: `plugin_failed`.
        """
        history = prompt.history
        for plugin in self.overriding("transform_context"):
            seen = PromptContext(
                session_id=prompt.session_id,
                turn_id=prompt.turn_id,
                history=history,
                own=prompt.own,
                model=prompt.model,
            )
            changed = await contained(plugin, "transform_context", plugin.transform_context(seen))
            history = history if changed is None else changed
        return history

    def filtered(self, event: ModelStreamEvent) -> ModelStreamEvent | None:
        """Return a piece of the stream as watchers shall see it; None for one that they shall not."""
        seen: ModelStreamEvent | None = event
        for plugin in self.overriding("on_stream"):
            if seen is None:
                break
            try:
                seen = plugin.on_stream(seen)
            except Exception as problem:
                raise plugin_failed(plugin.id, "on_stream", problem) from problem
        return seen

    async def tell(self, event: PluginEvent) -> None:
        """Tell all plugins what has happened. Nothing that they raise matters to anybody but the operator."""
        listening = self.overriding("on_event")
        answers = await asyncio.gather(*(one.on_event(event) for one in listening), return_exceptions=True)
        for plugin, answer in zip(listening, answers, strict=True):
            if isinstance(answer, Exception):
                _log.error("plugin %s failed in on_event", plugin.id, exc_info=answer)
            elif isinstance(answer, BaseException):
                raise answer

    # ---- phases

    async def phase(
        self,
        hook: str,
        scope: RuntimeScope,
        effect_id: str,
        resident: ResidentSession,
        args: dict[str, Json],
        ask: Callable[[Plugin, TurnContext, Said], Awaitable[Json]],
        *,
        plugins: Sequence[Plugin] | None = None,
        cut_short: bool = False,
    ) -> Said:
        """Run a phase, or find what was said in it.

        Args:
            hook: Which.
            scope: Where in the turn.
            effect_id: Names the phase within the turn; begins with the number of the machine's effect.
            resident: The session as the turn sees it now.
            args: What the phase is about; part of what it is recognised by.
            ask: Asks one plugin; is handed what those before it have said. None is nothing said.
            plugins: Who is asked; by default those that override the hook.
            cut_short: Whether a cancelled turn goes on without an answer, where none is recorded.

        Raises:
            TurnCancelledError: The turn is cancelled, unless `cut_short`.
            LashError: `plugin_failed`.
        """
        asked = self.overriding(hook) if plugins is None else plugins
        if not asked:
            return {}
        replay_key = turn_effect_key(scope, RuntimeEffectKind.TOOL_CALL, effect_id)
        envelope = RuntimeEffectEnvelope(
            RuntimeInvocation.effect(scope, effect_id, RuntimeEffectKind.TOOL_CALL, replay_key),
            ToolCall(
                PreparedToolCall(call_id=effect_id, tool_name=f"plugin:{hook}", args=args, effect="read_only")
            ),
        )
        ran = False

        async def run(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            nonlocal ran
            ran = True
            content = await self._ask_all(hook, asked, scope, replay_key, resident, ask)
            return ToolCallOutcome(
                result=CompletedToolCall(call_id=effect_id, tool_name=f"plugin:{hook}", content=content)
            )

        try:
            outcome = await self._stop.race(
                self._effects.execute(envelope, RuntimeEffectLocalExecutor.of(run)),
                recorded=replay_key in self._effects.recorded or hook == "after_turn",
            )
        except TurnCancelledError:
            if cut_short:
                return {}
            raise
        assert isinstance(outcome, ToolCallOutcome), "a phase answers with its outcome"
        content = outcome.result.content
        if not ran:
            self._replay(content)
        if content["failure"] is not None:
            raise LashError.from_record(msgspec.convert(content["failure"], ErrorRecord))
        said: Said = content["said"]
        return said

    async def _ask_all(
        self,
        hook: str,
        asked: Sequence[Plugin],
        scope: RuntimeScope,
        replay_key: str,
        resident: ResidentSession,
        ask: Callable[[Plugin, TurnContext, Said], Awaitable[Json]],
    ) -> dict[str, Json]:
        host = PhaseHost(self._services, self._agent, self._effects, self._activities, scope, replay_key)
        before = self._states()
        said: Said = {}
        failure: LashError | None = None
        for plugin in asked:
            context = self._context(plugin, scope, resident, host)
            try:
                answer = await contained(plugin, hook, ask(plugin, context, said))
            except LashError as problem:
                if problem.code != "plugin_failed":
                    raise
                failure = problem  # an outcome like any other: with what was spent on the way to it
                break
            if answer is not None:
                said[plugin.id] = answer
        self.usage += host.usage
        after = self._states()
        changed = {
            id_: after[id_] for id_ in after if canonical_json(after[id_]) != canonical_json(before[id_])
        }
        return {
            "said": said,
            "states": changed,
            "usage": msgspec.to_builtins(host.usage),
            "failure": None if failure is None else msgspec.to_builtins(failure.record()),
        }

    def _replay(self, content: dict[str, Json]) -> None:
        for plugin in self._all:
            if plugin.id in content["states"]:
                plugin.restore(content["states"][plugin.id])
        self.usage += msgspec.convert(content["usage"], list[TokenLedgerEntry])

    def _states(self) -> dict[str, Json]:
        states: dict[str, Json] = {}
        for plugin in self._all:
            try:
                states[plugin.id] = plugin.snapshot()
                canonical_json(states[plugin.id])
            except Exception as problem:
                raise plugin_failed(plugin.id, "snapshot", problem) from problem
        return states

    def _context(
        self, plugin: Plugin, scope: RuntimeScope, resident: ResidentSession, host: PhaseHost
    ) -> TurnContext:
        return TurnContext(
            plugin_id=plugin.id,
            session_id=scope.session_id,
            turn_id=scope.turn_id or "",
            agent=self._agent.name,
            model=self._agent.model.spec,
            input=self._input,
            plugin_input=self._turn_inputs.get(plugin.id),
            history=resident.history.messages,
            state=resident.turn_state,
            frame=resident.frame,
            host=host,
        )


def _contributions(
    given: str | PromptContribution | Sequence[PromptContribution] | None,
) -> Sequence[PromptContribution]:
    match given:
        case None | "":
            return ()
        case str():
            return (PromptContribution(text=given),)
        case PromptContribution():
            return (given,)
        case _:
            return given
