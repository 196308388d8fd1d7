"""The kit's clock: it stands still until a case moves it.

Boundary times can only be shown on a clock that a case controls. Subjects take their time from it; what
the kit itself waits for (a wake-up, the end of a case) is bounded in real time.
"""

from __future__ import annotations

import asyncio

START_MS = 1_700_000_000_000


class KitClock:
    """A `Clock` that a case moves."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._moved: asyncio.Event | None = None
        self._asleep = asyncio.Event()

    def now_ms(self) -> int:
        """Return the time that the last `advance` left."""
        return self._now_ms

    async def sleep_until(self, at_ms: int) -> None:
        """Return once the clock was moved to `at_ms` or past it."""
        while self._now_ms < at_ms:
            if self._moved is None:
                self._moved = asyncio.Event()
            self._asleep.set()
            await self._moved.wait()

    async def somebody_sleeps(self) -> None:
        """Return once somebody has begun to wait for a later time since this was last asked."""
        await self._asleep.wait()
        self._asleep.clear()

    def advance(self, ms: int) -> int:
        """Move the time, wake who sleeps, and return the new time."""
        self._now_ms += ms
        moved, self._moved = self._moved, None
        if moved is not None:
            moved.set()
        return self._now_ms
