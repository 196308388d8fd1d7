"""Deletes settled evidence once its retention is over, so that a database that works does not only grow.

What is deleted has no turn waiting for it: settled lines of the effect journal, settled batches of the queue, and
waits that were resolved and belong to no turn or process.
It goes in slices, each a short transaction of its own, so that no turn waits behind a sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from lash.contracts import Database
from lash.errors import LashError
from lash.values import Clock

DEFAULT_RETENTION_MS = 7 * 24 * 3_600_000
SWEEP_EVERY_MS = 3_600_000
SLICE_ROWS = 500

_log = logging.getLogger("lash.runtime")


class Housekeeping:
    """Sweeps a database now and then every hour.

    Args:
        database: What is swept.
        clock: Tells the hours.
        retention_ms: How long settled evidence is kept.
    """

    def __init__(self, database: Database, clock: Clock, *, retention_ms: int) -> None:
        self._database = database
        self._clock = clock
        self._retention_ms = retention_ms

    async def run(self) -> None:
        """Sweep until cancelled. A sweep that fails is reported; the next one does its work as well."""
        while True:
            try:
                await self.sweep()
            except LashError as problem:
                _log.warning("settled evidence could not be pruned: %s", problem)
            await self._clock.sleep_until(self._clock.now_ms() + SWEEP_EVERY_MS)

    async def sweep(self) -> int:
        """Delete what was settled before the retention began; return how many lines, batches and waits that was."""
        before_ms = self._clock.now_ms() - self._retention_ms
        journal, ingress = self._database.effect_journal, self._database.turn_ingress
        effects = await _in_slices(
            lambda: journal.prune_settled_effects(ended_before_ms=before_ms, limit=SLICE_ROWS)
        )
        batches = await _in_slices(
            lambda: ingress.prune_settled_work(settled_before_ms=before_ms, limit=SLICE_ROWS)
        )
        waits = await _in_slices(
            lambda: self._database.durable_waits.prune_waits(resolved_before_ms=before_ms, limit=SLICE_ROWS)
        )
        return effects + batches + waits


async def _in_slices(prune: Callable[[], Awaitable[int]]) -> int:
    total = 0
    while True:
        pruned = await prune()
        total += pruned
        if pruned < SLICE_ROWS:
            return total
