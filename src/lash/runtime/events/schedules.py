"""When a schedule is due, and which of the ticks that were missed are made up for (runtime 5.4).

Pure: given a stored source and two times. Ticks of one source are told apart by their due times, so that however
many runtimes look, each due time ticks once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from typing import Annotated, Any, Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from lash.errors import LashError
from lash.providers.extras import require_extra
from lash.runtime.events.sources import CRON_TICK, DEFAULT_MAX_TICKS, INTERVAL_TICK, Misfire
from lash.values import Json, Record, TriggerSource

SKIP_AFTER_MS: Final = 60_000  # a tick that is later than this is missed

_MaxTicks = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class CronSpec(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The value of a cron source."""

    cron: str
    tz: str = "UTC"
    misfire: Misfire = "once"
    max_ticks: _MaxTicks = DEFAULT_MAX_TICKS


class IntervalSpec(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The value of an interval source."""

    every_ms: Annotated[int, msgspec.Meta(ge=1000, le=10 * 366 * 86_400_000)]
    misfire: Misfire = "once"
    max_ticks: _MaxTicks = DEFAULT_MAX_TICKS


class Schedule(Protocol):
    """Due times, in order."""

    misfire: Misfire
    max_ticks: int

    def after(self, at_ms: int) -> Iterator[int]:
        """Yield the due times that are later than a time, without end unless there is one."""
        ...

    def payload(self, due_ms: int) -> Json:
        """Return what the tick of a due time says; the same whoever ticks."""
        ...


class CronSchedule:
    """The times of a cron expression in a time zone."""

    def __init__(self, spec: CronSpec) -> None:
        self.misfire, self.max_ticks = spec.misfire, spec.max_ticks
        self._expression = spec.cron
        try:
            self._zone = ZoneInfo(spec.tz)
        except (KeyError, ValueError, OSError) as problem:
            raise _invalid(f"there is no time zone {spec.tz!r}") from problem
        self._cronsim: Any = require_extra("cronsim", "cron")  # a module that is not there at each install
        try:
            first = next(self.after(0), None)
        except self._cronsim.CronSimError as problem:
            raise _invalid(f"{spec.cron!r} is no cron expression of five fields: {problem}") from problem
        if first is None:
            raise _invalid(f"{spec.cron!r} never comes")

    def after(self, at_ms: int) -> Iterator[int]:
        """See `Schedule`."""
        begin = datetime.fromtimestamp(at_ms / 1000, self._zone)
        for due in self._cronsim.CronSim(self._expression, begin):
            due_ms = round(due.timestamp() * 1000)
            if due_ms > at_ms:
                yield due_ms

    def payload(self, due_ms: int) -> Json:
        """See `Schedule`."""
        return _tick(due_ms, datetime.fromtimestamp(due_ms / 1000, self._zone))


class IntervalSchedule:
    """Times at even distances."""

    def __init__(self, spec: IntervalSpec) -> None:
        self.misfire, self.max_ticks = spec.misfire, spec.max_ticks
        self._every_ms = spec.every_ms

    def after(self, at_ms: int) -> Iterator[int]:
        """See `Schedule`."""
        due_ms = at_ms - at_ms % self._every_ms
        while True:
            due_ms += self._every_ms
            yield due_ms

    def payload(self, due_ms: int) -> Json:
        """See `Schedule`."""
        return _tick(due_ms, datetime.fromtimestamp(due_ms / 1000, UTC))


def schedule_of(source: TriggerSource) -> Schedule:
    """Return the schedule that a source stands for.

    Raises:
        LashError: `schedule_invalid`; `extra_missing`.
    """
    try:
        if source.type == CRON_TICK:
            return CronSchedule(msgspec.convert(source.value, CronSpec))
        if source.type == INTERVAL_TICK:
            return IntervalSchedule(msgspec.convert(source.value, IntervalSpec))
    except msgspec.ValidationError as problem:
        raise _invalid(str(problem)) from problem
    raise _invalid(f"{source.type!r} is no source of ticks")


def check_schedule(source: TriggerSource) -> None:
    """Refuse a source that is no schedule.

    Raises:
        LashError: `schedule_invalid`; `extra_missing`.
    """
    schedule_of(source)


def due_times(schedule: Schedule, after_ms: int, now_ms: int) -> list[int]:
    """Return the due times to tick for now, earliest first.

    Args:
        schedule: The schedule.
        after_ms: What has been ticked for, or is older than any subscription.
        now_ms: The time.
    """
    most = schedule.max_ticks if schedule.misfire == "all" else 1
    due = _latest(schedule, after_ms, now_ms, most)
    if schedule.misfire == "skip":
        return [at for at in due if now_ms - at <= SKIP_AFTER_MS]
    return due


def _latest(schedule: Schedule, after_ms: int, now_ms: int, most: int) -> list[int]:
    """Return the latest due times up to now. After years, looks at the last part only, twice as far each time."""
    span_ms = SKIP_AFTER_MS
    while True:
        begin = max(after_ms, now_ms - span_ms)
        found = deque(takewhile(lambda at: at <= now_ms, schedule.after(begin)), maxlen=most)
        if len(found) == most or begin == after_ms:
            return list(found)
        span_ms *= 4


def _tick(due_ms: int, due: datetime) -> Json:
    return {"due_at_ms": due_ms, "due_at": due.isoformat()}


def _invalid(problem: str) -> LashError:
    return LashError("schedule_invalid", f"this schedule cannot be kept: {problem}")
