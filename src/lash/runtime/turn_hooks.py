"""Hooks of the turn itself: before it, at its checkpoints, after it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from lash.errors import LashError
from lash.plugins import (
    AbortTurn,
    AddMessages,
    AfterTurnDirective,
    BeforeTurnDirective,
    CheckpointDirective,
    EnqueueTurn,
    Plugin,
    TurnContext,
    TurnSummary,
)
from lash.runtime.hook_outcomes import PluginStopError, plugin_failed, read_directive, said_directive
from lash.runtime.plugin_hooks import Said, TurnPlugins
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.turn import CheckpointKind, MessageDraft
from lash.values import (
    CheckpointDelivery,
    Json,
    Message,
    MessageOrigin,
    RuntimeScope,
    TurnDraft,
    TurnInput,
    TurnIssue,
)


class TurnHooks:
    """Runs the phases of a turn.

    Args:
        plugins: Whose hooks they are.
    """

    def __init__(self, plugins: TurnPlugins) -> None:
        self._plugins = plugins
        self.has_checkpoints = bool(plugins.overriding("checkpoint"))

    async def before_turn(self, scope: RuntimeScope, resident: ResidentSession) -> AddMessages:
        """Return what is put into the turn before it begins.

        Raises:
            PluginStopError: A plugin ends the turn.
        """

        async def ask(plugin: Plugin, turn: TurnContext, _: Said) -> Json:
            directive = await plugin.before_turn(turn)
            if isinstance(directive, AddMessages) and directive.transient:
                problem = LashError("plugin_directive_illegal", "messages before a turn are stored with it")
                raise plugin_failed(plugin.id, "before_turn", problem)
            return said_directive(plugin, "before_turn", directive, BeforeTurnDirective)

        said = await self._plugins.phase("before_turn", scope, "0:before_turn", resident, {}, ask)
        return _added(said, BeforeTurnDirective)

    async def checkpoint(
        self, kind: CheckpointKind, scope: RuntimeScope, effect_id: str, resident: ResidentSession
    ) -> AddMessages:
        """Return what is put into the turn at a checkpoint.

        Raises:
            PluginStopError: A plugin ends the turn.
        """

        async def ask(plugin: Plugin, turn: TurnContext, _: Said) -> Json:
            return said_directive(
                plugin, "checkpoint", await plugin.checkpoint(turn, kind), CheckpointDirective
            )

        said = await self._plugins.phase("checkpoint", scope, effect_id, resident, {"kind": kind}, ask)
        return _added(said, CheckpointDirective)

    def delivered(
        self, delivery: CheckpointDelivery, replay_key: str, *added: AddMessages
    ) -> CheckpointDelivery:
        """Return a checkpoint's delivery with what plugins add to it."""
        durable = [draft for one in added for draft in one.messages]
        transient = [draft for one in added for draft in one.transient]
        if not durable and not transient:
            return delivery
        return delivery.replace(
            messages=(*delivery.messages, *_named(durable, f"{replay_key}:p")),
            transient_messages=(*delivery.transient_messages, *_named(transient, f"{replay_key}:q")),
        )

    async def after_turn(
        self,
        services: RuntimeServices,
        summary: TurnSummary,
        scope: RuntimeScope,
        resident: ResidentSession,
        agent: str,
    ) -> None:
        """Show the turn to the plugins, and accept the turns that they want to follow."""

        async def ask(plugin: Plugin, turn: TurnContext, _: Said) -> Json:
            directive = await plugin.after_turn(turn, summary)
            said = said_directive(plugin, "after_turn", directive, AfterTurnDirective)
            if isinstance(directive, EnqueueTurn):
                # By a turn id that follows from this turn: accepted once, however often this runs.
                await services.database.turn_ingress.accept_turn(
                    TurnDraft(
                        session_id=scope.session_id,
                        turn_id=f"{summary.turn_id}:after:{plugin.id}",
                        input=TurnInput.text(directive.text),
                        agent=agent,
                    )
                )
            return said

        await self._plugins.phase("after_turn", scope, "after_turn", resident, {}, ask)


def _added(said: Said, kinds: Any) -> AddMessages:
    """Return what several plugins add, in order; the first that aborts wins."""
    messages: list[MessageDraft] = []
    transient: list[MessageDraft] = []
    for plugin_id, plain_directive in said.items():
        match read_directive(plain_directive, kinds):
            case AbortTurn(code=code, message=message):
                raise PluginStopError(
                    TurnIssue(kind="plugin", code=code, message=message, facts={"plugin": plugin_id})
                )
            case AddMessages() as added:
                origin = MessageOrigin(kind="plugin", source_id=plugin_id)
                messages += [
                    msgspec.structs.replace(one, origin=one.origin or origin) for one in added.messages
                ]
                transient += [
                    msgspec.structs.replace(one, origin=one.origin or origin) for one in added.transient
                ]
    return AddMessages(messages=tuple(messages), transient=tuple(transient))


def _named(drafts: Iterable[MessageDraft], prefix: str) -> tuple[Message, ...]:
    return tuple(draft.named(f"{prefix}{at}") for at, draft in enumerate(drafts))
