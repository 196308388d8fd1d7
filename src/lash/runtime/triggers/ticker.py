"""Ticks of cron expressions and intervals (runtime 5.4).

The next due time of a source is a durable wait, so that a runtime that comes back after a while knows what it has
missed. A tick's idempotency key is made of the source and the due time: however many runtimes tick, once is enough,
and a tick that was emitted before its wait was moved on is emitted again to no effect.
"""

from __future__ import annotations

import logging
from typing import Final

from lash.errors import LashError
from lash.runtime.events import (
    CRON_TICK,
    INTERVAL_TICK,
    EventSource,
    Schedule,
    due_times,
    schedule_of,
)
from lash.runtime.resting import LOOK_AROUND_MS, rest
from lash.runtime.services import RuntimeServices
from lash.runtime.triggers.router import TriggerRouter
from lash.values import TriggerSource, TriggerSubscriptionFilter, WaitDraft

_TYPES: Final = (CRON_TICK, INTERVAL_TICK)

_log = logging.getLogger("lash.runtime")


class Ticker:
    """Emits ticks for the schedules that somebody has subscribed to.

    Args:
        services: What all drivers share.
        router: Emits.
    """

    def __init__(self, services: RuntimeServices, router: TriggerRouter) -> None:
        self._database = services.database
        self._clock = services.clock
        self._router = router
        self._next_ms: dict[str, int] = {}  # source key -> its next due time, as far as it is known here
        self._refused: set[str] = set()

    async def run(self) -> None:
        """Tick until cancelled."""
        subscription = self._database.subscribe(["triggers"])
        try:
            while True:
                try:
                    until_ms = await self.tick()
                except LashError as problem:
                    _log.warning("schedules could not be looked at: %s", problem)
                    until_ms = self._clock.now_ms() + LOOK_AROUND_MS
                await rest(subscription, self._clock, until_ms)
        finally:
            subscription.close()

    async def tick(self) -> int | None:
        """Emit every tick that is due; return when the next one is, or None without any schedule."""
        sources = await self._subscribed()
        for key in self._next_ms.keys() - sources.keys():
            await self._disarm(key)
        for key, (source, since_ms) in sources.items():
            if self._next_ms.get(key, 0) <= self._clock.now_ms():
                await self._tick_source(key, source, since_ms)
        return min(self._next_ms.values(), default=None)

    async def _subscribed(self) -> dict[str, tuple[TriggerSource, int]]:
        """Return the schedules with a subscription, and since when there has been one."""
        found: dict[str, tuple[TriggerSource, int]] = {}
        for type_ in _TYPES:
            records = await self._database.host_event_store.list_subscriptions(
                TriggerSubscriptionFilter(source_type=type_, enabled=True)
            )
            for record in records:
                _, since_ms = found.get(record.source_key, (None, record.created_at_ms))
                source = TriggerSource(type=type_, value=record.source)
                found[record.source_key] = (source, min(since_ms, record.created_at_ms))
        return found

    async def _tick_source(self, key: str, source: TriggerSource, since_ms: int) -> None:
        try:
            schedule = schedule_of(source)
        except LashError as problem:
            if key not in self._refused:
                self._refused.add(key)
                _log.error("nobody ticks for the schedule %s here: %s", source.value, problem)
            return
        armed = await self._armed(key)
        now_ms = self._clock.now_ms()
        # A schedule that is not armed begins with its first subscription.
        after_ms = max(since_ms, min(armed) - 1) if armed else since_ms
        for due_ms in due_times(schedule, after_ms, now_ms):
            await self._router.emit(
                EventSource(type=source.type, value=source.value),
                schedule.payload(due_ms),
                idempotency_key=f"{key}:{due_ms}",
                source_key=key,
            )
        await self._arm(key, source, schedule, max(after_ms, now_ms))
        for due_ms in armed:
            if due_ms < self._next_ms[key]:
                await self._database.durable_waits.drop_wait(_wait_key(key, due_ms))

    async def _arm(self, key: str, source: TriggerSource, schedule: Schedule, after_ms: int) -> None:
        due_ms = next(schedule.after(after_ms))
        await self._database.durable_waits.open_wait(
            WaitDraft(
                key=_wait_key(key, due_ms),
                scope_key=_scope_key(key),
                kind="sleep",
                deadline_ms=due_ms,
                on_timeout=due_ms,
                detail={"schedule": source.value},
            )
        )
        self._next_ms[key] = due_ms

    async def _armed(self, key: str) -> list[int]:
        """Return the due times that are waited for, or were and have not been moved on."""
        waits = await self._database.durable_waits.list_waits(scope_key=_scope_key(key), open_only=False)
        return [wait.deadline_ms for wait in waits if wait.deadline_ms is not None]

    async def _disarm(self, key: str) -> None:
        """Nobody listens to a schedule any more."""
        del self._next_ms[key]
        await self._database.durable_waits.drop_waits(_scope_key(key))


def _scope_key(source_key: str) -> str:
    return f"schedule:{source_key}"


def _wait_key(source_key: str, due_ms: int) -> str:
    return f"tick:{source_key}:{due_ms}"
