"""Waiting for a commit: topics, and subscriptions that cannot miss one.

Subscribe first, then look, then wait. A subscription remembers that it was woken until its next `wait`, so a
commit that falls between the look and the wait ends that wait at once. The other order loses wake-ups. A
wake-up says only "look again": it may be shared by several commits, and it may come without any.

Everything here belongs to one event loop; engines publish from it, after the commit.
"""

import asyncio
from collections.abc import Iterable
from types import TracebackType


class Subscription:
    """Interest in some topics, from its creation until it is closed; use it in a `with` statement."""

    __slots__ = ("_hub", "_woken", "topics")

    def __init__(self, hub: "Hub", topics: tuple[str, ...]) -> None:
        self.topics = topics
        self._hub = hub
        self._woken = asyncio.Event()

    async def wait(self) -> None:
        """Return once a topic has been published since the last return, or since the subscription."""
        await self._woken.wait()
        self._woken.clear()

    @property
    def is_woken(self) -> bool:
        """Whether the next `wait` would return at once."""
        return self._woken.is_set()

    def wake(self) -> None:
        """End the current wait, or else the next one."""
        self._woken.set()

    def close(self) -> None:
        """Stop listening."""
        self._hub.unsubscribe(self)

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Hub:
    """Hands published topics to those who subscribed to them."""

    __slots__ = ("_by_topic",)

    def __init__(self) -> None:
        self._by_topic: dict[str, dict[Subscription, None]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nobody is subscribed to anything."""
        return not self._by_topic

    def subscribe(self, *topics: str) -> Subscription:
        """Listen to the given topics from now on."""
        subscription = Subscription(self, topics)
        for topic in topics:
            self._by_topic.setdefault(topic, {})[subscription] = None
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a subscription; one that is not known is ignored."""
        for topic in subscription.topics:
            listeners = self._by_topic.get(topic)
            if listeners is not None:
                listeners.pop(subscription, None)
                if not listeners:
                    del self._by_topic[topic]

    def publish(self, topics: Iterable[str]) -> None:
        """Wake everyone who subscribed to one of the topics."""
        for topic in topics:
            for subscription in self._by_topic.get(topic, ()):
                subscription.wake()

    def publish_all(self) -> None:
        """Wake everyone: something was committed, and it is not known what."""
        for listeners in self._by_topic.values():
            for subscription in listeners:
                subscription.wake()
