"""Hooks around model calls: the view that a prompt goes through, the stream, the answer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.plugins import Plugin, PromptContext, TurnContext
from lash.runtime.plugin_hooks import Said, TurnPlugins
from lash.runtime.resident import ResidentSession
from lash.values import (
    Json,
    Message,
    ModelResponse,
    ModelSpec,
    ModelStreamEvent,
    RuntimeScope,
    plain,
    stable_hash,
)


class ModelHooks:
    """Runs what plugins do around a model call.

    Attributes:
        view_name: What names the views in an envelope; empty for none.
        holds_back: Whether nothing is shown before the answer is final, because a plugin may change it.
    """

    def __init__(self, plugins: TurnPlugins) -> None:
        self._plugins = plugins
        self.view_name = plugins.view_name
        self.holds_back = bool(plugins.overriding("on_model_response"))
        self._filters = bool(plugins.overriding("on_stream"))

    async def view(
        self, resident: ResidentSession, turn_id: str, own: Sequence[Message], model: ModelSpec
    ) -> Sequence[Message]:
        """Return the committed history as the model shall see it.

        Raises:
            LashError: `plugin_failed`.
        """
        return await self._plugins.view(
            PromptContext(
                session_id=resident.session_id,
                turn_id=turn_id,
                history=resident.history.messages,
                own=own,
                model=model,
            )
        )

    def filtered(self, event: ModelStreamEvent) -> ModelStreamEvent | None:
        """Return a piece of the stream as watchers shall see it; None for one that they shall not."""
        return self._plugins.filtered(event) if self._filters else event

    async def rewritten(
        self, response: ModelResponse, scope: RuntimeScope, effect_id: str, resident: ResidentSession
    ) -> ModelResponse:
        """Return an answer as the plugins leave it. What they made of it is recorded, and replays.

        Raises:
            LashError: `plugin_failed`.
        """
        if not self.holds_back:
            return response

        async def ask(plugin: Plugin, turn: TurnContext, said: Said) -> Json:
            changed = await plugin.on_model_response(turn, _after(response, said))
            return None if changed is None else plain(changed)

        said = await self._plugins.phase(
            "on_model_response", scope, effect_id, resident, {"response": stable_hash(response)}, ask
        )
        return _after(response, said)


def _after(response: ModelResponse, said: Said) -> ModelResponse:
    """Return the answer as the last plugin that changed it left it."""
    for one in said.values():
        response = msgspec.convert(one, ModelResponse)
    return response
