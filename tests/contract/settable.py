"""Time and ids that a test sets."""

from __future__ import annotations

import asyncio

START_MS = 1_000_000


class SettableClock:
    """Stands still until a test moves it."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._moved = asyncio.Event()

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_until(self, at_ms: int) -> None:
        while self._now_ms < at_ms:
            await self._moved.wait()

    def advance(self, ms: int) -> int:
        """Move time, wake the sleepers, and return the new time."""
        self._now_ms += ms
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        return self._now_ms


class CountingIds:
    """`batch_000001`, `batch_000002`, …: each kind counts for itself."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def new(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}_{self._counts[kind]:06d}"
