"""What hooks may ask the runtime for while a phase runs: the model, notices, live objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from lash.contracts import ModelCallError, RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.services import RuntimeServices
from lash.runtime.turn_effects import TurnEffects
from lash.values import (
    Direct,
    DirectOutcome,
    Json,
    LlmRequestSpec,
    Message,
    ModelFailure,
    ModelRequest,
    ModelResponse,
    ModelStreamEvent,
    PluginNotice,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    TokenLedgerEntry,
)

T = TypeVar("T")


class PhaseHost:
    """Serves the hooks of one phase. Model calls are effects of their own, numbered in the order of asking."""

    def __init__(
        self,
        services: RuntimeServices,
        agent: BoundAgent,
        effects: TurnEffects,
        activities: TurnActivities,
        scope: RuntimeScope,
        replay_key: str,
    ) -> None:
        self._services = services
        self._agent = agent
        self._effects = effects
        self._activities = activities
        self._scope = scope
        self._replay_key = replay_key
        self._asked = 0
        self.usage: list[TokenLedgerEntry] = []

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        instructions: str,
        usage_source: str,
        max_output_tokens: int | None,
    ) -> ModelResponse:
        """Ask the agent's model, or find that it was asked; see `TurnContext.complete`."""
        self._asked += 1
        key = f"{self._replay_key}:direct:{self._asked}"
        generation = self._agent.agent.generation
        if max_output_tokens is not None:
            generation = generation.replace(max_output_tokens=max_output_tokens)
        spec = self._agent.model.spec
        request = LlmRequestSpec(
            model=spec,
            provider_id=self._agent.model.provider_id,
            messages=tuple(messages),
            instructions=instructions,
            tool_choice="none",
            generation=generation,
            session_id=self._scope.session_id,
        )

        async def ask(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            live = ModelRequest(
                model=spec,
                messages=request.messages,
                instructions=instructions,
                tool_choice="none",
                generation=generation,
                session_id=self._scope.session_id,
                call_key=key,
            )
            try:
                return DirectOutcome(result=await self._agent.model.complete(live, _unheard))
            except ModelCallError as error:
                return DirectOutcome(result=error.failure)

        envelope = RuntimeEffectEnvelope(
            RuntimeInvocation.effect(self._scope, f"direct:{self._asked}", RuntimeEffectKind.DIRECT, key),
            Direct(request=request, usage_source=usage_source),
        )
        outcome = await self._effects.execute(envelope, RuntimeEffectLocalExecutor.of(ask))
        assert isinstance(outcome, DirectOutcome), "a direct model call answers with its outcome"
        if isinstance(outcome.result, ModelFailure):
            raise LashError(
                "plugin_model_failed",
                f"the model gave no answer: {outcome.result.message}",
                failure=outcome.result.code,
                terminal_reason=outcome.result.terminal_reason,
            )
        self.usage.append(
            TokenLedgerEntry(source=usage_source, model=spec.id, usage=outcome.result.usage, key=key)
        )
        return outcome.result

    def notice(self, plugin_id: str, payload: Json) -> None:
        """Show something to whoever watches the turn."""
        self._activities.emit(PluginNotice(plugin_id=plugin_id, payload=payload))

    def resource(self, kind: type[T]) -> T:
        """Return the live object given for a type."""
        return self._agent.tools.resources.get(kind)


def _unheard(event: ModelStreamEvent) -> None:
    """Nobody watches a plugin think."""
