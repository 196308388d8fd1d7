"""What a runtime does beside turns and processes: timers, deliveries that were left, and the ticks of schedules."""

from __future__ import annotations

import asyncio
import logging

from lash.runtime.processes import ProcessHost
from lash.runtime.services import RuntimeServices
from lash.runtime.timers import Timers
from lash.runtime.triggers import DeliveryRecovery, Ticker, TriggerCommands, TriggerRouter

_log = logging.getLogger("lash.runtime")


class StandingWork:
    """The tasks of a runtime that are always there. Several runtimes may have them on one database.

    Args:
        services: What all drivers share.
        host: Plans what events start.

    Attributes:
        router: Records events and starts what they trigger.
        triggers: Makes, lists and cancels subscriptions.
    """

    def __init__(self, services: RuntimeServices, host: ProcessHost) -> None:
        database, clock = services.database, services.clock
        self.router = TriggerRouter(services, host)
        self.triggers = TriggerCommands(database.host_event_store, services.event_sources)
        self._timers = Timers(database, clock)
        self._recovery = DeliveryRecovery(database, clock, self.router)
        self._ticker = Ticker(services, self.router)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin. What was left over is found first."""
        for name, work in (
            ("timers", self._timers.run()),
            ("deliveries", self._recovery.run()),
            ("ticker", self._ticker.run()),
        ):
            task = asyncio.create_task(work, name=f"lash-{name}")
            task.add_done_callback(_report_bug)
            self._tasks.append(task)

    async def stop(self) -> None:
        """End. What is open stays in the database."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        _log.error("%s ended in a bug; restart the runtime", task.get_name(), exc_info=problem)
