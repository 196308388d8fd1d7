"""Where a simulation's choices, ids and time come from: all of it follows from the seed.

The generator is splitmix64, written out: what a seed does must not change with the version of Python.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from lash.values import stable_hash

T = TypeVar("T")

_MASK = (1 << 64) - 1
_START_MS = 1_767_225_600_000  # 2026-01-01 00:00 UTC


class Chance:
    """A stream of choices.

    Args:
        seed: Names the stream; equal seeds make equal choices.
    """

    def __init__(self, *seed: int | str) -> None:
        self._seed = seed
        self._state = int(stable_hash(list(seed))[:16], 16)

    def of(self, name: str) -> Chance:
        """Return a stream of its own, so that more choices here change none there."""
        return Chance(*self._seed, name)

    def number(self) -> float:
        """Return a number from [0, 1)."""
        return self._bits() / (1 << 64)

    def below(self, limit: int) -> int:
        """Return an integer from 0 up to `limit`, without it."""
        return self._bits() % max(limit, 1)

    def between(self, first: int, last: int) -> int:
        """Return an integer from `first` up to `last`, with both."""
        return first + self.below(last - first + 1)

    def happens(self, probability: float) -> bool:
        """Return True that often."""
        return self.number() < probability

    def one_of(self, choices: Sequence[T]) -> T:
        """Return one of them."""
        return choices[self.below(len(choices))]

    def _bits(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)


class SeededIds:
    """Ids that are counted. Two sources of one simulation have different names."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = 0

    def new(self, kind: str) -> str:
        """Return the next id."""
        self._last += 1
        return f"{kind}_{self._name}_{self._last:05}"


class SimulatedClock:
    """A wall clock that goes with the loop's time, and can be set forward."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch."""
        return _START_MS + self._ahead_ms + int(asyncio.get_running_loop().time() * 1000)

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the clock has reached `at_ms`."""
        while (left_ms := at_ms - self.now_ms()) > 0:  # noqa: ASYNC110  # there is nothing to wait for but time
            await asyncio.sleep(min(left_ms, 10_000) / 1000)  # in slices, so that a jump is noticed

    def jump(self, ms: int) -> None:
        """Set the clock forward. Timers of the loop do not notice, as they would not on a machine."""
        self._ahead_ms += ms
