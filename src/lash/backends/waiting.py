"""Waiting for something to be stored, in one place for every backend (contract 5, B-12; rule R-24).

Subscribe, then look, then wait: what is committed between the look and the wait ends that wait at once. The
time-out is the safety net for a notification that never came from another process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from lash.contracts import Subscription

T = TypeVar("T")

LOOK_AGAIN_MS = 1000


async def first_found(
    subscribe: Callable[[Sequence[str]], Subscription],
    topic: str,
    look: Callable[[], Awaitable[T | None]],
) -> T:
    """Return what `look` finds, now or after the topic was notified.

    Raises:
        LashError: whatever `look` raises. A cancelled caller leaves nothing behind.
    """
    subscription = subscribe([topic])
    try:
        while (found := await look()) is None:
            await subscription.wait(LOOK_AGAIN_MS)
        return found
    finally:
        subscription.close()
