"""Resolves waits whose time has come (contract 5, B-23). One task a runtime; several runtimes may do it at once.

It sleeps until the next deadline, or until an earlier one is opened. Nothing is held for a wait that sleeps: ten of
them or a million, there is one deadline to look at.
"""

from __future__ import annotations

import logging
from typing import Final

from lash.contracts import Database
from lash.errors import LashError
from lash.runtime.resting import LOOK_AROUND_MS, rest
from lash.values import Clock

_BEHIND_MS: Final = 50  # how soon to ask again when the database's clock is behind ours

_log = logging.getLogger("lash.runtime")


class Timers:
    """The timers of a runtime.

    Args:
        database: Whose waits are resolved.
        clock: Tells when the next one is due; the database decides whether it is.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Resolve what is due until cancelled. What cannot be resolved now is tried again."""
        subscription = self._database.subscribe(["timers"])
        try:
            while True:
                try:
                    until_ms = await self.resolve_due()
                except LashError as problem:
                    _log.warning("waits that are due could not be resolved: %s", problem)
                    until_ms = self._clock.now_ms() + LOOK_AROUND_MS
                await rest(subscription, self._clock, until_ms)
        finally:
            subscription.close()

    async def resolve_due(self) -> int | None:
        """Resolve what is due now; return when it is worth looking again, None when no deadline is set."""
        waits = self._database.durable_waits
        while True:
            next_ms = await waits.next_deadline_ms()
            if next_ms is None or next_ms > self._clock.now_ms():
                return next_ms
            if not await waits.resolve_due():
                return self._clock.now_ms() + _BEHIND_MS
