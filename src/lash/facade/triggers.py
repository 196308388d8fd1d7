"""Triggers as the host has them: `runtime.triggers`, and what an input of a target may be."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from lash.agents import Agent, ProcessDefinition
from lash.errors import LashError
from lash.runtime.events import EventSource
from lash.runtime.triggers import EmittedDelivery
from lash.tools import to_json
from lash.values import (
    EVENT_INPUT,
    FunctionTarget,
    Json,
    TriggerDelivery,
    TriggerDeliveryState,
    TriggerSource,
    TriggerSubscriptionRecord,
    TriggerTarget,
    TriggerWork,
    TurnTarget,
    fixed_input,
)

if TYPE_CHECKING:
    from lash.facade.runtime import Runtime
    from lash.facade.session import Session


class _Event:
    """Stands for the payload of an event among the inputs of a target."""

    def __repr__(self) -> str:
        return "lash.EVENT"


EVENT: Final = _Event()


class Triggers:
    """Subscriptions to events, and what has become of each event's deliveries. Get it from `Runtime.triggers`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.standing.triggers
        self._router = runtime.standing.router

    async def subscribe(
        self,
        session: Session | str,
        source: EventSource | TriggerSource | str,
        target: ProcessDefinition[Any] | Agent | TriggerTarget | str | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        name: str | None = None,
        replace: bool = False,
        wakes: bool = False,
        inject: bool = False,
    ) -> TriggerSubscriptionRecord:
        """Have something started for every event of a source from now on, until it is cancelled.

        Args:
            session: Whose subscription it is. What it starts belongs to that session.
            source: Which events: an `EventSource`, `lash.cron(…)`, `lash.interval(…)`, or the bare type of an event.
            target: What an event starts: a `@lash.process`; an exported process of a program; or a turn of the
                session, told what to do by a text (None for the event alone).
            inputs: What each argument of a process gets: `lash.EVENT` for the payload of the event, or a value.
                Without it the only argument that a `@lash.process` must be given gets the payload.
            name: Makes it the same subscription when it is made again: give one in code that runs at every start.
            replace: Put this in the place of another subscription of that name.
            wakes: Whether the session is told when the `@lash.process` ends.
            inject: Whether the turn's input may enter a running turn instead of waiting for its end.

        Raises:
            LashError: `trigger_inputs_invalid`; `trigger_conflict`; `session_unknown` for a turn.
        """
        session_id = session if isinstance(session, str) else session.id
        work, template = await self._work(session_id, target, inputs, wakes=wakes, inject=inject)
        return await self._commands.subscribe(
            session_id, source, work, inputs=template, name=name, replace=replace
        )

    async def list(
        self,
        *,
        session: str | None = None,
        source_type: str | None = None,
        name: str | None = None,
        enabled: bool | None = True,
    ) -> builtins.list[TriggerSubscriptionRecord]:
        """Return subscriptions by session, then in the order of their making; `enabled=None` for cancelled, too."""
        return await self._commands.list(
            session_id=session, source_type=source_type, name=name, enabled=enabled
        )

    async def cancel(self, subscription: TriggerSubscriptionRecord | str) -> bool:
        """End a subscription, given itself or its handle; return whether that changed anything.

        What has been reserved for it is still started.

        Raises:
            LashError: `trigger_unknown`.
        """
        if isinstance(subscription, str):
            found = [one for one in await self.list(enabled=None) if one.handle == subscription]
            if not found:
                raise LashError(
                    "trigger_unknown",
                    f"there is no subscription {subscription!r}; `lash triggers list` shows them",
                    handle=subscription,
                )
            subscription = found[0]
        return await self._commands.cancel(subscription.session_id, subscription.handle)

    async def deliveries(
        self,
        *,
        occurrence: str | None = None,
        state: TriggerDeliveryState | None = None,
        after: TriggerDelivery | None = None,
        limit: int = 100,
    ) -> builtins.list[TriggerDelivery]:
        """Return what has become of events, one line for each event and subscription, the oldest first."""
        return await self._database.host_event_store.list_deliveries(
            occurrence_id=occurrence,
            state=state,
            after=None if after is None else (after.occurrence_id, after.subscription_id),
            limit=limit,
        )

    async def retry(self, delivery: TriggerDelivery) -> EmittedDelivery:
        """Start again what could not be started. What was started or discarded stays as it is."""
        return await self._router.deliver(delivery)

    async def _work(
        self,
        session_id: str,
        target: Any,
        inputs: Mapping[str, Any] | None,
        *,
        wakes: bool,
        inject: bool,
    ) -> tuple[TriggerWork, dict[str, Json]]:
        if isinstance(target, ProcessDefinition):
            return FunctionTarget(name=target.name, wakes=wakes), _template(target, inputs)
        if isinstance(target, TriggerTarget):
            return target, _members(inputs or {})
        if inputs:
            raise LashError("trigger_inputs_invalid", "a turn is given the event as text; it takes no inputs")
        info = await self._database.session_catalog.find_session(session_id)
        if info is None:
            raise LashError(
                "session_unknown",
                f"there is no session {session_id!r} that events could begin turns in; make it first",
                session_id=session_id,
            )
        if isinstance(target, Agent) and target.name != info.agent:
            raise LashError(
                "agent_mismatch",
                f"session {session_id!r} belongs to agent {info.agent!r}, not to {target.name!r}",
                session_id=session_id,
                agent=info.agent,
            )
        text = target if isinstance(target, str) else ""
        on_busy = "inject" if inject else "queue"
        return TurnTarget(agent=info.agent, text=text, on_busy=on_busy), {}  # type: ignore[arg-type]  # one of the two


def _template(definition: ProcessDefinition[Any], inputs: Mapping[str, Any] | None) -> dict[str, Json]:
    """Return the input template of a durable function, each of whose arguments is given once."""
    arguments = definition.signature.arguments
    required = [one.name for one in arguments if one.required]
    if inputs is None:
        if len(required) == 1:
            return {required[0]: dict(EVENT_INPUT)}
        if not required:
            return {}
    given = inputs or {}
    unknown = sorted(given.keys() - {one.name for one in arguments})
    missing = [name for name in required if name not in given]
    if unknown or missing:
        raise LashError(
            "trigger_inputs_invalid",
            f"process {definition.name} takes {[one.name for one in arguments]}; "
            f"not given: {missing}, not taken: {unknown}. Give inputs={{argument: lash.EVENT or a value}}",
            process=definition.name,
        )
    return _members(given)


def _members(inputs: Mapping[str, Any]) -> dict[str, Json]:
    return {
        name: dict(EVENT_INPUT) if value is EVENT else fixed_input(to_json(value))
        for name, value in inputs.items()
    }
