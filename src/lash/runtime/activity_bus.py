"""Where turn events go while a turn runs: to whoever watches in this operating-system process.

Events are for screens. A slow watcher never holds up a turn: beyond a bound its oldest events are dropped
and an `EventGap` says how many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from lash.values import EventGap, TurnActivity, TurnEvent

_BACKLOG_MAX = 4096


class ActivitySubscription:
    """One watcher's place on the bus, from the moment it is made. Iterate it; close it when done."""

    def __init__(self, bus: ActivityBus, session_id: str, turn_id: str | None) -> None:
        self._bus = bus
        self._session_id = session_id
        self._turn_id = turn_id
        self._backlog: deque[TurnEvent] = deque()
        self._dropped = 0
        self._ready = asyncio.Event()
        self._closed = False

    def wants(self, event: TurnEvent) -> bool:
        return event.session_id == self._session_id and self._turn_id in (None, event.turn_id)

    def put(self, event: TurnEvent) -> None:
        if len(self._backlog) >= _BACKLOG_MAX:
            self._backlog.popleft()
            self._dropped += 1
        self._backlog.append(event)
        self._ready.set()

    async def next(self) -> TurnEvent | None:
        """Return the next event, waiting for it; None once closed and empty."""
        while not self._backlog:
            if self._closed:
                return None
            self._ready.clear()
            await self._ready.wait()
        if self._dropped:
            gap, self._dropped = self._dropped, 0
            first = self._backlog[0]
            return first.replace(id=f"{first.id}:gap", activity=EventGap(dropped=gap))
        return self._backlog.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TurnEvent:
        event = await self.next()
        if event is None:
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        """Leave the bus. What has been heard can still be read."""
        self._closed = True
        self._ready.set()
        self._bus.leave(self)


class ActivityBus:
    """Hands events to the watchers of their session."""

    def __init__(self) -> None:
        self._by_session: dict[str, list[ActivitySubscription]] = {}

    def subscribe(self, session_id: str, turn_id: str | None = None) -> ActivitySubscription:
        """Watch a session, or one turn of it, from now on."""
        subscription = ActivitySubscription(self, session_id, turn_id)
        self._by_session.setdefault(session_id, []).append(subscription)
        return subscription

    def leave(self, subscription: ActivitySubscription) -> None:
        for session_id, watchers in list(self._by_session.items()):
            if subscription in watchers:
                watchers.remove(subscription)
                if not watchers:
                    del self._by_session[session_id]

    def publish(self, event: TurnEvent) -> None:
        for subscription in self._by_session.get(event.session_id, ()):
            if subscription.wants(event):
                subscription.put(event)

    def is_watched(self, session_id: str) -> bool:
        return session_id in self._by_session


class TurnActivities:
    """Numbers the events of one turn and publishes them."""

    def __init__(self, bus: ActivityBus, session_id: str, turn_id: str) -> None:
        self._bus = bus
        self._session_id = session_id
        self._turn_id = turn_id
        self._count = 0

    def emit(self, activity: TurnActivity, correlation_id: str | None = None) -> None:
        """Publish an event. Without a correlation id it stands for itself."""
        self._count += 1
        if not self._bus.is_watched(self._session_id):
            return
        event_id = f"{self._turn_id}:e{self._count}"
        self._bus.publish(
            TurnEvent(
                id=event_id,
                correlation_id=correlation_id or event_id,
                session_id=self._session_id,
                turn_id=self._turn_id,
                activity=activity,
            )
        )
