"""A clock that a test sets."""

from __future__ import annotations

import asyncio


class SettableClock:
    """Stands still until a test moves it."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self._now_ms = now_ms
        self._moved = asyncio.Event()

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_until(self, at_ms: int) -> None:
        while self._now_ms < at_ms:
            await self._moved.wait()

    def advance(self, ms: int) -> None:
        self._now_ms += ms
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
