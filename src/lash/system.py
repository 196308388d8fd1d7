"""The real clock and the real source of ids: the only module that asks the operating system for either."""

from __future__ import annotations

import asyncio
import os
import time


class SystemClock:
    """The machine's wall clock."""

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000  # noqa: TID251  # this is the wrapper

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the wall clock has reached `at_ms`."""
        while (left := at_ms - self.now_ms()) > 0:  # noqa: ASYNC110  # there is no event to wait for but time
            # In slices of an hour, so that a clock that was set forward is noticed.
            await asyncio.sleep(min(left, 3_600_000) / 1000)


class RandomIds:
    """Ids of 128 random bits."""

    def new(self, kind: str) -> str:
        """Return `kind`, an underscore, and 32 hex digits from the operating system."""
        return f"{kind}_{os.urandom(16).hex()}"
