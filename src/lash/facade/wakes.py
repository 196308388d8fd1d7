"""Wakes that did not reach their sessions: the report, and sending them again."""

from __future__ import annotations

import builtins

from lash.contracts import ProcessRegistry
from lash.values import ProcessScope, WakeDeliveryRecord


class Wakes:
    """The wakes of a database. Get it from `Runtime.wakes`.

    A wake is stored with the event that wakes, and so is its way into the queue of its session: none is lost on
    the way. What is left are sessions that are gone.
    """

    def __init__(self, registry: ProcessRegistry) -> None:
        self._registry = registry

    async def of_process(self, process_id: str) -> builtins.list[WakeDeliveryRecord]:
        """Return the wakes of a process, by sequence, and what has become of each.

        Raises:
            LashError: `process_unknown`; `process_no_longer_retained`.
        """
        return await self._registry.list_wake_deliveries(process_id)

    async def discarded(
        self, *, after: WakeDeliveryRecord | None = None, limit: int = 100
    ) -> builtins.list[WakeDeliveryRecord]:
        """Return the wakes that did not arrive, each with the reason, after the last one of the page before."""
        place = None if after is None else (after.delivery.process_id, after.delivery.sequence)
        return await self._registry.list_discarded_wakes(after=place, limit=limit)

    async def redrive(self, wake: WakeDeliveryRecord, *, session: str | None = None) -> WakeDeliveryRecord:
        """Send a discarded wake again: to another session, as its own is gone.

        Raises:
            LashError: `process_wake_not_discarded`; `session_deleted` when that session is gone, too.
        """
        target = None if session is None else ProcessScope(session_id=session)
        return await self._registry.redrive_wake(
            wake.delivery.process_id, wake.delivery.sequence, target=target
        )
