"""Compaction: a new frame that begins with what stands for the history so far.

Nothing that is committed changes. Plugins are asked in order, and the first that has something to say wins. It
happens before a turn (a plugin wants it), in the middle of one (the model has no room left, once a turn), or when
somebody asks for it (`Session.compact`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.plugins import Compaction, Plugin, TurnContext
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.frames import OpenedFrame, derived_frame_id, seed_messages
from lash.runtime.plugin_hooks import Said, TurnPlugins
from lash.runtime.resident import ResidentSession
from lash.turn import MessageDraft
from lash.values import FrameOpened, Json, MessageOrigin, RuntimeScope, plain

REASON = "compaction"


class Compactor:
    """Compacts the history of one turn's session.

    Args:
        plugins: Who may do it.
        activities: Where it is shown.
    """

    def __init__(self, plugins: TurnPlugins, activities: TurnActivities) -> None:
        self._plugins = plugins
        self._activities = activities
        self._made_room = False

    async def before_turn(self, scope: RuntimeScope, resident: ResidentSession) -> OpenedFrame | None:
        """Return the frame to begin the turn in, if a plugin wants the history compacted.

        Raises:
            LashError: `plugin_failed`.
        """
        wanting = self._plugins.overriding("wants_compaction")
        if not wanting or not resident.history.messages:
            return None

        async def ask(plugin: Plugin, turn: TurnContext, _: Said) -> Json:
            return True if await plugin.wants_compaction(turn) else None

        said = await self._plugins.phase(
            "wants_compaction", scope, "0:wants_compaction", resident, {}, ask, plugins=wanting
        )
        return await self._compacted(scope, "0:compact", resident, None) if said else None

    async def after_overflow(
        self, scope: RuntimeScope, effect_id: str, resident: ResidentSession
    ) -> OpenedFrame | None:
        """Return the frame to go on in when the model had no room; None when that has been tried, or nobody can.

        Raises:
            LashError: `plugin_failed`.
        """
        if self._made_room or not resident.history.messages:
            return None
        self._made_room = True
        return await self._compacted(scope, effect_id, resident, None)

    async def on_request(
        self, scope: RuntimeScope, resident: ResidentSession, focus: str | None
    ) -> OpenedFrame | None:
        """Return the frame that somebody asked for; a session whose agent has no such plugin gets the built-in.

        Raises:
            LashError: `plugin_failed`.
        """
        if not resident.history.messages:
            return None
        return await self._compacted(scope, "0:compact", resident, focus, default=Compaction())

    async def _compacted(
        self,
        scope: RuntimeScope,
        effect_id: str,
        resident: ResidentSession,
        focus: str | None,
        *,
        default: Compaction | None = None,
    ) -> OpenedFrame | None:
        asked: Sequence[Plugin] = self._plugins.overriding("compact") or (
            [] if default is None else [default]
        )
        if not asked:
            return None

        async def ask(plugin: Plugin, turn: TurnContext, said: Said) -> Json:
            drafts = None if said else await plugin.compact(turn, focus)
            return plain(tuple(drafts)) if drafts else None

        said = await self._plugins.phase(
            "compact", scope, effect_id, resident, {"focus": focus}, ask, plugins=asked
        )
        for plugin_id, drafts in said.items():
            frame_id = derived_frame_id(scope.session_id, scope.turn_id or "", effect_id)
            origin = MessageOrigin(kind=REASON, source_id=plugin_id)
            seeds = [
                draft.replace(origin=draft.origin or origin)
                for draft in msgspec.convert(drafts, list[MessageDraft])
            ]
            self._activities.emit(FrameOpened(frame_id=frame_id, reason=REASON))
            return OpenedFrame(frame_id=frame_id, reason=REASON, seeds=seed_messages(frame_id, seeds))
        return None
