"""Where turn events go while a turn runs: to whoever watches in this operating-system process.

Events are for screens and traces. A slow watcher never holds up a turn: beyond a bound its oldest events are
dropped and an `EventGap` says how many. The last events of a session that somebody follows are kept for a
while, so that a connection that breaks can be made again (ruling 21).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple, Self

from lash.values import Clock, EventGap, TurnActivity, TurnEvent, TurnFailed, TurnFinished, TurnStarted

_BACKLOG_MAX = 4_096
_KEPT_MAX = 2_048  # events a session, and how long (runtime, Appendix A, "live replay")
_KEPT_MS = 120_000
_FOLLOWED_MAX = 10_000  # sessions


class Heard(NamedTuple):
    """An event, and its number among all events of this bus."""

    number: int
    event: TurnEvent


class Kept(NamedTuple):
    """What is kept of a session's events after some event; `whole` if none of them is lacking."""

    events: list[Heard]
    whole: bool


class ActivitySubscription:
    """One watcher's place on the bus, from the moment it is made. Iterate it; close it when done."""

    def __init__(self, bus: ActivityBus, session_id: str, turn_id: str | None) -> None:
        self._bus = bus
        self._session_id = session_id
        self._turn_id = turn_id
        self._backlog: deque[Heard] = deque()
        self._dropped = 0
        self._ready = asyncio.Event()
        self._closed = False

    def wants(self, event: TurnEvent) -> bool:
        return event.session_id == self._session_id and self._turn_id in (None, event.turn_id)

    def put(self, heard: Heard) -> None:
        if len(self._backlog) >= _BACKLOG_MAX:
            self._backlog.popleft()
            self._dropped += 1
        self._backlog.append(heard)
        self._ready.set()

    async def next(self) -> TurnEvent | None:
        """Return the next event, waiting for it; None once closed and empty."""
        while (heard := self.take()) is None:
            if self._closed:
                return None
            await self.wait()
        return heard.event

    def take(self) -> Heard | None:
        """Return the next event if there is one; a gap counts as an event."""
        if not self._backlog:
            return None
        if self._dropped:
            gap, self._dropped = self._dropped, 0
            number, first = self._backlog[0]
            told = first.replace(id=f"{first.id}:gap", activity=EventGap(dropped=gap))
            return Heard(number - 1, told)
        return self._backlog.popleft()

    async def wait(self) -> None:
        """Return when there is something to take, or the subscription is closed."""
        while not self._backlog and not self._closed:
            self._ready.clear()
            await self._ready.wait()

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def first_revision(self) -> int | None:
        """The revision of the first commit that is heard of and not taken yet."""
        ends = (heard.event.activity for heard in self._backlog)
        return next((end.head_revision for end in ends if isinstance(end, TurnFinished)), None)

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
    """Hands events to the watchers of their session, and to listeners of all of them.

    Args:
        clock: Where the times of events come from.
        incarnation: Names this bus: event ids and live cursors are valid under it alone.
    """

    def __init__(self, *, clock: Clock, incarnation: str) -> None:
        self.incarnation = incarnation
        self._clock = clock
        self._last_number = 0
        self._by_session: dict[str, list[ActivitySubscription]] = {}
        self._listeners: list[Callable[[TurnEvent], None]] = []
        self._followed: OrderedDict[str, _Window] = OrderedDict()

    def subscribe(self, session_id: str, turn_id: str | None = None) -> ActivitySubscription:
        """Watch a session, or one turn of it, from now on."""
        subscription = ActivitySubscription(self, session_id, turn_id)
        self._by_session.setdefault(session_id, []).append(subscription)
        return subscription

    def follow(self, session_id: str) -> None:
        """Keep the last events of a session from now on, for those who come back."""
        self._followed.setdefault(session_id, _Window(self._last_number))
        self._followed.move_to_end(session_id)
        while len(self._followed) > _FOLLOWED_MAX:
            self._followed.popitem(last=False)

    def kept_since(self, session_id: str, number: int) -> Kept:
        """Return the events of a followed session after event `number`."""
        window = self._followed[session_id]
        return Kept([heard for heard in window.events if heard.number > number], window.lost <= number)

    def kept_of_running_turn(self, session_id: str) -> Kept:
        """Return the events of a followed session after the last end of a turn."""
        running: list[Heard] = []
        for heard in self._followed[session_id].events:
            running.append(heard)
            if isinstance(heard.event.activity, TurnFinished | TurnFailed):
                running.clear()
        return Kept(running, not running or isinstance(running[0].event.activity, TurnStarted))

    def listen(self, listener: Callable[[TurnEvent], None]) -> None:
        """Hand every event of every session to `listener`, which must not raise and must not block."""
        self._listeners.append(listener)

    def leave(self, subscription: ActivitySubscription) -> None:
        for session_id, watchers in list(self._by_session.items()):
            if subscription in watchers:
                watchers.remove(subscription)
                if not watchers:
                    del self._by_session[session_id]

    def publish(
        self, session_id: str, turn_id: str, activity: TurnActivity, correlation_id: str | None = None
    ) -> None:
        """Number an event and hand it out. Without a correlation id it stands for itself."""
        watchers = self._by_session.get(session_id, ())
        window = self._followed.get(session_id)
        if not watchers and window is None and not self._listeners:
            return
        self._last_number += 1
        event_id = f"{turn_id}:{self.incarnation}:{self._last_number}"
        event = TurnEvent(
            id=event_id,
            correlation_id=correlation_id or event_id,
            session_id=session_id,
            turn_id=turn_id,
            activity=activity,
            at_ms=self._clock.now_ms(),
        )
        heard = Heard(self._last_number, event)
        if window is not None:
            window.keep(heard)
        for subscription in watchers:
            if subscription.wants(event):
                subscription.put(heard)
        for listener in self._listeners:
            listener(event)


class _Window:
    """The last events of one session."""

    def __init__(self, lost: int) -> None:
        self.events: deque[Heard] = deque()
        self.lost = lost  # the number of the last event that is not kept

    def keep(self, heard: Heard) -> None:
        self.events.append(heard)
        oldest_ms = heard.event.at_ms - _KEPT_MS
        while len(self.events) > _KEPT_MAX or self.events[0].event.at_ms < oldest_ms:
            self.lost = self.events.popleft().number


class TurnActivities:
    """Publishes the events of one turn."""

    def __init__(self, bus: ActivityBus, session_id: str, turn_id: str) -> None:
        self._bus = bus
        self._session_id = session_id
        self._turn_id = turn_id

    def emit(self, activity: TurnActivity, correlation_id: str | None = None) -> None:
        """Publish an event. Without a correlation id it stands for itself."""
        self._bus.publish(self._session_id, self._turn_id, activity, correlation_id)
