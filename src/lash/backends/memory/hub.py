"""Who waits for which topic.

Subscribe first, then look, then wait: a subscription remembers that it was woken until its next `wait`, so
what is published between the look and the wait ends that wait at once (R-24).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self


class MemorySubscription:
    """Interest in some topics until it is closed."""

    def __init__(self, hub: MemoryHub, topics: Sequence[str]) -> None:
        self.topics = tuple(topics)
        self._hub = hub
        self._woken = asyncio.Event()

    async def wait(self, timeout_ms: int | None = None) -> bool:
        """Return True when a topic was published since the last wait, False on the time-out."""
        try:
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def wake(self) -> None:
        """End the current wait, or else the next one."""
        self._woken.set()

    def close(self) -> None:
        """Leave the hub."""
        self._hub.drop(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MemoryHub:
    """Hands published topics to those who subscribed to them. Topics without listeners cost nothing."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[MemorySubscription, None]] = {}

    def subscribe(self, topics: Sequence[str]) -> MemorySubscription:
        """Listen to topics from now on."""
        subscription = MemorySubscription(self, topics)
        for topic in subscription.topics:
            self._listeners.setdefault(topic, {})[subscription] = None
        return subscription

    def drop(self, subscription: MemorySubscription) -> None:
        """Forget a subscription; an unknown one is ignored."""
        for topic in subscription.topics:
            listeners = self._listeners.get(topic, {})
            listeners.pop(subscription, None)
            if not listeners:
                self._listeners.pop(topic, None)

    def publish(self, *topics: str) -> None:
        """Wake everyone who listens to one of the topics."""
        for topic in topics:
            for subscription in self._listeners.get(topic, ()):
                subscription.wake()
