"""A hub of notifications that loses some and is late with others, until it is told to be reliable."""

from __future__ import annotations

import asyncio

from lash.backends.memory.hub import MemoryHub
from lash.testing.simulation.chance import Chance
from lash.testing.simulation.faults import Faults


class UnreliableHub(MemoryHub):
    """See the module.

    Args:
        faults: How much is lost and late.
        chance: Which.
    """

    def __init__(self, faults: Faults, chance: Chance) -> None:
        super().__init__()
        self._faults = faults
        self._chance = chance
        self.reliable = False

    def publish(self, *topics: str) -> None:
        """Wake those who listen, or some of them, or some of them later."""
        if self.reliable:
            super().publish(*topics)
            return
        for topic in topics:
            for subscription in tuple(self._listeners.get(topic, ())):
                if self._chance.happens(self._faults.lost):
                    continue
                if self._chance.happens(self._faults.late):
                    asyncio.get_running_loop().call_later(self._chance.number() * 3, subscription.wake)
                else:
                    subscription.wake()
