"""Subscriptions: made, listed and cancelled for a session, by the host and by programs (runtime 5.2).

A subscription with a name is made once: a host that subscribes at each of its starts has one subscription, not one
for each start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lash.contracts import HostEventStore
from lash.errors import LashError
from lash.runtime.events import NO_SOURCES, EventSource, source_of
from lash.tools import to_json
from lash.values import (
    Json,
    TriggerSource,
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
    TriggerWork,
    stored_target,
)

_DEFINITION: Final = ("source_type", "source_key", "event_ty", "input_template")


class TriggerCommands:
    """What may be done with subscriptions.

    Args:
        store: Where they are.
        sources: The sources that were declared, by type: subscriptions remember what their payloads look like.
    """

    def __init__(self, store: HostEventStore, sources: Mapping[str, EventSource] = NO_SOURCES) -> None:
        self._store = store
        self._sources = sources

    async def subscribe(
        self,
        session_id: str,
        source: EventSource | TriggerSource | str,
        work: TriggerWork,
        *,
        inputs: Mapping[str, Json] | None = None,
        name: str | None = None,
        replace: bool = False,
        event_ty: Json = None,
    ) -> TriggerSubscriptionRecord:
        """Have `work` started for every event of a source from now on.

        Args:
            session_id: Whose subscription it is: what it starts belongs to that session.
            source: Which events.
            work: What they start.
            inputs: What each parameter of the target gets: `EVENT_INPUT`, or `fixed_input(value)`.
            name: Makes it the same subscription when it is made again.
            replace: Cancel one of that name that says something else, instead of refusing.
            event_ty: What the target expects of payloads; by default what the source declares.

        Raises:
            LashError: `trigger_conflict` for a name that another subscription of the session has;
                `host_event_invalid_request`; `json_not_representable`.
        """
        from_ = source_of(source)
        declared = self._sources.get(from_.type, from_) if from_.payload is None else from_
        target = stored_target(work)
        draft = TriggerSubscriptionDraft(
            session_id=session_id,
            source_type=from_.type,
            source_key=from_.source.key,
            source=from_.source.value,
            event_ty=declared.event_ty if event_ty is None else event_ty,
            module_ref=target.module_ref,
            required_surface_ref=target.required_surface_ref,
            process_ref=target.process_ref,
            process_name=target.process_name,
            input_template={key: to_json(value) for key, value in (inputs or {}).items()},
            name=name,
        )
        if name is None:
            return await self._store.register_subscription(draft)
        return await self._once(draft, name, replace=replace)

    async def list(
        self,
        *,
        session_id: str | None = None,
        source_type: str | None = None,
        name: str | None = None,
        enabled: bool | None = True,
    ) -> list[TriggerSubscriptionRecord]:
        """Return subscriptions by session, then in the order of their making; None lists cancelled ones, too."""
        return await self._store.list_subscriptions(
            TriggerSubscriptionFilter(
                session_id=session_id, source_type=source_type, name=name, enabled=enabled
            )
        )

    async def cancel(self, session_id: str, handle: str) -> bool:
        """End a subscription; return whether that changed anything. What was reserved for it is still started."""
        return await self._store.cancel_subscription(session_id, handle)

    async def _once(
        self, draft: TriggerSubscriptionDraft, name: str, *, replace: bool
    ) -> TriggerSubscriptionRecord:
        for known in await self.list(session_id=draft.session_id, name=name):
            if _says_the_same(known, draft):
                return known
            if not replace:
                raise LashError(
                    "trigger_conflict",
                    f"session {draft.session_id!r} has another subscription called {name!r} ({known.handle}); "
                    "cancel it first, give another name, or replace it",
                    session_id=draft.session_id,
                    name=name,
                    handle=known.handle,
                )
            await self.cancel(draft.session_id, known.handle)
        made = await self._store.register_subscription(draft)
        # Another process may have made it at the same time: the first one stays.
        first, *others = await self.list(session_id=draft.session_id, name=name)
        if any(one.handle == made.handle for one in others) and _says_the_same(first, draft):
            await self.cancel(draft.session_id, made.handle)
            return first
        return made


def _says_the_same(known: TriggerSubscriptionRecord, draft: TriggerSubscriptionDraft) -> bool:
    target = stored_target(known.target)
    asked = (draft.module_ref, draft.required_surface_ref, draft.process_ref, draft.process_name)
    is_same = (
        target.module_ref,
        target.required_surface_ref,
        target.process_ref,
        target.process_name,
    ) == asked
    return is_same and all(getattr(known, member) == getattr(draft, member) for member in _DEFINITION)
