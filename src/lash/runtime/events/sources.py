"""Sources of events as a program names them: its own, and the clock's (runtime 5.1, 5.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from lash.errors import LashError
from lash.rules.event_schemas import check_payload, check_schema
from lash.values import Json, ProcessEventType, TriggerSource, plain

CRON_TICK: Final = "cron.tick"
INTERVAL_TICK: Final = "interval.tick"
Misfire = Literal["skip", "once", "all"]
DEFAULT_MAX_TICKS: Final = 100


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """A source of events: what they are called, which one it is, and what their payloads look like.

    Attributes:
        type: What the events are, as `shop.order`.
        value: Which source of that type, as JSON: a shop's id, say. Subscriptions and events of equal values meet.
        payload: The type of a payload (a dataclass, a msgspec Struct, …) or its JSON Schema; None for any JSON.
    """

    type: str
    value: Any = None
    payload: Any = None
    _event_type: ProcessEventType = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a payload type that no JSON Schema can say.

        Raises:
            LashError: `event_source_invalid`.
        """
        try:
            described = ProcessEventType(name=self.type, payload_schema=_schema(self.payload))
            check_schema(described)
        except (TypeError, LashError) as problem:
            raise LashError(
                "event_source_invalid",
                f"the payload of {self.type!r} has no JSON Schema: {problem}",
                type=self.type,
            ) from problem
        object.__setattr__(self, "_event_type", described)

    @property
    def source(self) -> TriggerSource:
        """The source as it is stored."""
        return TriggerSource(type=self.type, value=plain(self.value))

    @property
    def event_ty(self) -> Json:
        """What a subscription stores about the payloads; see `check_against`."""
        schema = self._event_type.payload_schema
        return {"json_schema": schema} if schema else {}

    def check(self, payload: Json) -> None:
        """Refuse a payload of another shape.

        Raises:
            LashError: `trigger_payload_invalid`.
        """
        _check(self._event_type, payload)


def source_of(source: EventSource | TriggerSource | str) -> EventSource:
    """Return a source as an `EventSource`; a bare name is the only source of its type."""
    match source:
        case EventSource():
            return source
        case TriggerSource(type=type_, value=value):
            return EventSource(type=type_, value=value)
        case str():
            return EventSource(type=source)


def check_against(event_ty: Json, source_type: str, payload: Json) -> None:
    """Refuse a payload that a subscription did not ask for. Types of another form are left to who starts.

    Raises:
        LashError: `trigger_payload_invalid`.
    """
    match event_ty:
        case {"json_schema": dict() as schema}:
            _check(ProcessEventType(name=source_type, payload_schema=schema), payload)


def cron(
    expression: str, *, tz: str = "UTC", misfire: Misfire = "once", max_ticks: int = DEFAULT_MAX_TICKS
) -> EventSource:
    """Return the source of ticks at the times of a cron expression.

    Where clocks change, a time that does not exist comes at once after the gap, and a time that comes twice
    ticks once; expressions that run every hour or oftener go by the time that passes.

    Args:
        expression: Five fields, as in crontab(5): `0 9 * * MON-FRI`.
        tz: The time zone that it is read in, as `Europe/Berlin`.
        misfire: What happens to ticks that nobody was there for. `once` makes up for all of them with the latest;
            `all` with each, up to `max_ticks`, the latest ones; `skip` with none, once they are a minute late.
        max_ticks: How many are made up for at most.

    Raises:
        LashError: `schedule_invalid`; `extra_missing` without the extra `cron`.
    """
    from lash.runtime.events.schedules import check_schedule  # the library is loaded by those who use it

    source = EventSource(
        type=CRON_TICK,
        value={"cron": expression, "tz": tz, "misfire": misfire, "max_ticks": max_ticks},
    )
    check_schedule(source.source)
    return source


def interval(
    seconds: float = 0,
    *,
    minutes: float = 0,
    hours: float = 0,
    misfire: Misfire = "once",
    max_ticks: int = DEFAULT_MAX_TICKS,
) -> EventSource:
    """Return the source of ticks at even distances, counted from the beginning of 1970 (UTC).

    Args:
        seconds, minutes, hours: The distance, added up; at least one second.
        misfire, max_ticks: As for `cron`.

    Raises:
        LashError: `schedule_invalid`.
    """
    from lash.runtime.events.schedules import check_schedule

    every_ms = round((seconds + 60 * minutes + 3600 * hours) * 1000)
    source = EventSource(
        type=INTERVAL_TICK, value={"every_ms": every_ms, "misfire": misfire, "max_ticks": max_ticks}
    )
    check_schedule(source.source)
    return source


def _schema(payload: Any) -> dict[str, Json]:
    if payload is None:
        return {}
    return payload if isinstance(payload, dict) else msgspec.json.schema(payload)


def _check(event_type: ProcessEventType, payload: Json) -> None:
    try:
        check_payload(event_type, payload)
    except LashError as problem:
        raise LashError(
            "trigger_payload_invalid",
            f"the payload of a {event_type.name!r} event is not what was declared: {problem.message}",
            source_type=event_type.name,
        ) from problem
