"""Recorded results, given out in the order in which they had come.

A function that waits for the first of several operations must see the same one come first again. So recorded
results are released one at a time, by rank; a later one waits until the earlier ones have been asked for. Where
the earlier one is not asked for (its task was cancelled before it got there), the earliest of those that are
is released once the event loop has nothing else to do for the function.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable

# Turns of the event loop that a released result takes to reach the code that waits for it, through futures,
# `gather` and `wait`. Generous: replays are short.
_IDLE_TURNS = 12


class ReplayOrder:
    """Gives recorded results their turn."""

    def __init__(self, ranks: Iterable[int]) -> None:
        self._remaining = sorted(ranks, reverse=True)
        self._asked: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self._idle = 0
        self._handle: asyncio.Handle | None = None

    async def turn(self, rank: int) -> None:
        """Return when the result of that rank may be given out."""
        self._idle = 0
        if not self._asked and self._remaining and self._remaining[-1] == rank:
            self._remaining.pop()
            return
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._asked, (rank, self._count, released))
        self._tick_later()
        await released

    def _tick_later(self) -> None:
        if self._handle is None and self._asked:
            self._handle = asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        self._handle = None
        while self._asked and self._asked[0][2].done():
            heapq.heappop(self._asked)  # whoever asked was cancelled
        if not self._asked:
            return
        self._idle += 1
        if self._idle >= _IDLE_TURNS:
            rank, _, released = heapq.heappop(self._asked)
            self._idle = 0
            while self._remaining and self._remaining[-1] <= rank:
                self._remaining.pop()
            released.set_result(None)
        self._tick_later()
