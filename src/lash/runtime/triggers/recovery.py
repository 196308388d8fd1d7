"""Starts what was reserved and not started: its emitter died, or had not what it takes (contract 5, B-20)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from lash.contracts import Database
from lash.errors import LashError
from lash.runtime.resting import rest
from lash.runtime.triggers.router import TriggerRouter
from lash.values import Clock, TriggerDeliveryState

_PAGE: Final = 100
# What cannot be started here is looked at again this much later: another runtime may be the one for it.
_PASS_OVER_S: Final = 30.0

_log = logging.getLogger("lash.runtime")


class DeliveryRecovery:
    """Looks for reserved deliveries: at the start, when the database rings, and every second as a safety net.

    Args:
        database: Where they are.
        clock: For the rests between.
        router: Starts them.
    """

    def __init__(self, database: Database, clock: Clock, router: TriggerRouter) -> None:
        self._database = database
        self._clock = clock
        self._router = router
        self._passed_over: dict[tuple[str, str], float] = {}  # until when, by the loop's clock

    async def run(self) -> None:
        """Recover deliveries until cancelled."""
        subscription = self._database.subscribe(["deliveries"])
        try:
            while True:
                try:
                    await self.recover()
                except LashError as problem:
                    _log.warning("reserved deliveries could not be looked at: %s", problem)
                await rest(subscription, self._clock, None)
        finally:
            subscription.close()

    async def recover(self) -> int:
        """Start what is reserved now, page by page; return how many were started."""
        started, after = 0, None
        self._forget_old()
        while True:
            page = await self._database.host_event_store.list_deliveries(
                state=TriggerDeliveryState.RESERVED, after=after, limit=_PAGE
            )
            for delivery in page:
                key = (delivery.occurrence_id, delivery.subscription_id)
                if key in self._passed_over:
                    continue
                done = await self._router.deliver(delivery)
                started += done.state is TriggerDeliveryState.STARTED
                if done.state is TriggerDeliveryState.RESERVED:
                    self._passed_over[key] = asyncio.get_running_loop().time() + _PASS_OVER_S
            if len(page) < _PAGE:
                return started
            after = (page[-1].occurrence_id, page[-1].subscription_id)

    def _forget_old(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self._passed_over = {key: until for key, until in self._passed_over.items() if until > now_s}
