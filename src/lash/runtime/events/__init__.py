"""Events: their sources, when schedules are due, and how an event is recorded. What they start is `triggers`."""

from lash.runtime.events.emission import NO_SOURCES, EventRecorder, tool_emission
from lash.runtime.events.schedules import Schedule, due_times, schedule_of
from lash.runtime.events.sources import (
    CRON_TICK,
    INTERVAL_TICK,
    EventSource,
    check_against,
    cron,
    interval,
    source_of,
)

__all__ = [
    "CRON_TICK",
    "INTERVAL_TICK",
    "NO_SOURCES",
    "EventRecorder",
    "EventSource",
    "Schedule",
    "check_against",
    "cron",
    "due_times",
    "interval",
    "schedule_of",
    "source_of",
    "tool_emission",
]
