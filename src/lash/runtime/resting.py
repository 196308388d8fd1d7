"""How what runs in the background rests: until the database rings, a time has come, or it is time to look around."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from lash.contracts import Subscription
from lash.values import Clock

LOOK_AROUND_MS: Final = 1_000


async def rest(subscription: Subscription, clock: Clock, until_ms: int | None) -> None:
    """Return when the subscription is notified, `until_ms` has come by the clock, or a second has passed.

    The second is the safety net: for a notification that never came, and for a clock that was set.
    """
    if until_ms is not None and until_ms <= clock.now_ms():
        return
    rung = asyncio.ensure_future(subscription.wait(timeout_ms=LOOK_AROUND_MS))
    waited: list[asyncio.Future[Any]] = [rung]
    if until_ms is not None:
        waited.append(asyncio.ensure_future(clock.sleep_until(until_ms)))
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waited:
            one.cancel()
        await asyncio.gather(*waited, return_exceptions=True)
