"""Programs and triggers: what `triggers.register`, `triggers.list` and `triggers.cancel` do.

A program that is run again subscribes to nothing twice: what it did is recorded, and a subscription that was made
and not recorded is found again by its name, which follows from where in the program it was made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from lash.errors import LashError
from lash.runtime.code import Outcome, ProgramEffects, request_number, type_of_schema
from lash.runtime.events import EventSource, cron, interval
from lash.runtime.triggers.commands import TriggerCommands
from lash.values import (
    Json,
    TriggerSubscriptionRecord,
    TriggerTarget,
    stable_hash,
    stored_target,
)
from lashlang import (
    Effect,
    Failed,
    HostSurface,
    LangError,
    Ok,
    SurfaceBuilder,
    TriggerInputTemplate,
    TypeAny,
    TypeField,
    TypeFloat,
    TypeInt,
    TypeObject,
    TypeStr,
)
from lashlang.triggers import EventBinding

_MODULE: Final = "triggers"
_CRON: Final = "schedule.Cron"
_INTERVAL: Final = "schedule.Interval"
_TICK: Final = "schedule.Tick"


def trigger_surface(sources: Mapping[str, EventSource]) -> HostSurface:
    """Return what programs may name of triggers: the registry, the clock's sources, and the declared ones."""
    builder = SurfaceBuilder().ability("triggers")
    for name in ("register", "list", "cancel"):
        builder.operation(_MODULE, name)
    tick = TypeObject((TypeField("due_at", TypeStr()), TypeField("due_at_ms", TypeInt())))
    crontab = TypeObject((TypeField("expression", TypeStr()), TypeField("tz", TypeStr(), optional=True)))
    builder.trigger_source(_CRON, crontab, _TICK, tick)
    builder.trigger_source(_INTERVAL, TypeObject((TypeField("seconds", TypeFloat()),)), _TICK, tick)
    for source in sources.values():
        payload = type_of_schema(source.event_ty.get("json_schema", {}))
        event = payload if isinstance(payload, TypeObject) else TypeObject(())
        name = source_name(source.type)
        builder.trigger_source(name, TypeAny(), f"{name}.Event", event)
    return builder.build()


def source_name(source_type: str) -> str:
    """Return what programs call a declared source: its type, below `events` if it has no dot."""
    parts = [re.sub(r"[^A-Za-z0-9_]", "_", part) or "_" for part in source_type.split(".")]
    parts = [f"_{part}" if part[0].isdigit() else part for part in parts]
    return ".".join(parts if len(parts) > 1 else ["events", *parts])


class TriggerRequests:
    """Subscribes, lists and cancels for programs; a `ProgramRequests`.

    Args:
        commands: What may be done with subscriptions.
        sources: The declared sources, by type.
    """

    def __init__(self, commands: TriggerCommands, sources: Mapping[str, EventSource]) -> None:
        self._commands = commands
        self._types = {source_name(type_): type_ for type_ in sources}

    def answers(self, request: Effect) -> bool:
        """Whether this is a request to the registry of triggers."""
        return request.kind == "operation" and request.alias == _MODULE

    async def perform(self, request: Effect, program: ProgramEffects) -> Outcome:
        """Do it; see `ProgramRequests.perform`."""
        payload = request.payload if isinstance(request.payload, dict) else {}

        async def body() -> Json:
            try:
                return {"value": await self._do(request, payload, program)}
            except (LashError, LangError) as problem:
                if isinstance(problem, LashError) and problem.retryable:
                    raise
                return {"error": f"{problem.message} ({problem.code})"}

        done = await program.record(f"trigger:{request_number(request)}", body)
        return Failed(done["error"]) if "error" in done else Ok(done["value"])

    async def _do(self, request: Effect, payload: dict[str, Json], program: ProgramEffects) -> Json:
        session_id = program.world.owner.session_id
        match request.name:
            case "register":
                name = payload.get("subscription_key") or payload.get("name")
                made = await self._commands.subscribe(
                    session_id,
                    self._source(payload["source"]),
                    _target(payload["target"]),
                    inputs=_inputs(payload["inputs"]),
                    name=name or f"program:{stable_hash([program.replay_key, request_number(request)])[:16]}",
                    replace="subscription_key" in payload,
                )
                return _handle(made.handle)
            case "list":
                found = await self._commands.list(
                    session_id=session_id,
                    source_type=payload.get("source_type"),
                    name=payload.get("name"),
                    enabled=payload.get("enabled"),
                )
                wanted = payload.get("target")
                target = None if wanted is None else _target(wanted)
                return [_shown(one) for one in found if target is None or stored_target(one.target) == target]
            case _:
                handle = payload.get("handle")
                id_ = handle.get("id") if isinstance(handle, dict) else handle
                return await self._commands.cancel(session_id, str(id_))

    def _source(self, value: Json) -> EventSource:
        """Return the source that a program has made with a constructor."""
        match value:
            case {"$lash_host_value_type": "schedule.Cron", "value": dict() as given}:
                return cron(given["expression"], tz=given.get("tz", "UTC"))
            case {"$lash_host_value_type": "schedule.Interval", "value": dict() as given}:
                return interval(given["seconds"])
            case {"$lash_host_value_type": str(name), "value": given} if name in self._types:
                return EventSource(type=self._types[name], value=given)
            case _:
                raise LashError("event_source_invalid", f"{value!r} is no source of events here")


def _target(value: Json) -> TriggerTarget:
    """Return the process that a program has named as a target."""
    try:
        return msgspec.convert({name: value[name] for name in TriggerTarget.__struct_fields__}, TriggerTarget)
    except (KeyError, TypeError, msgspec.ValidationError) as problem:
        raise LashError(
            "trigger_inputs_invalid", "the target of a trigger is a process of the program"
        ) from problem


def _inputs(value: Json) -> dict[str, Json]:
    template = TriggerInputTemplate.from_inputs(value)
    return {
        name: {"kind": "event"}
        if isinstance(binding, EventBinding)
        else {"kind": "fixed", "value": binding.value}
        for name, binding in template.inputs.items()
    }


def _handle(handle: str) -> Json:
    return {"type": "trigger_handle", "id": handle}


def _shown(one: TriggerSubscriptionRecord) -> Json:
    return {
        "handle": _handle(one.handle),
        "name": one.name,
        "source_key": one.source_key,
        "source_type": one.source_type,
        "source": one.source,
        "target": {"process_name": one.target.process_name, "inputs": dict(one.input_template)},
        "enabled": one.enabled,
    }
