"""What a case gets: a fresh subject, a second handle if there is one, the clock, and what was declared."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lash.errors import LashBug
from lash.testing.conformance.clock import KitClock
from lash.values import AttachmentStorePersistence, DurabilityTier

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Reopenable(Generic[S]):
    """Two handles on the same data, both open before anything is written (rule R-6)."""

    open: S
    reopen: S


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What whoever made the subject says of it; the `…reports_declared…` cases hold it to that."""

    tier: DurabilityTier = DurabilityTier.INLINE
    persistence: AttachmentStorePersistence = AttachmentStorePersistence.EPHEMERAL


@dataclass(kw_only=True)
class Trial(Generic[S]):
    """One run of one case."""

    subject: S
    clock: KitClock
    declared: Declared = field(default_factory=Declared)
    reopened: S | None = None
    moves_time: bool = True
    _started: list[asyncio.Future[Any]] = field(default_factory=list)

    @property
    def second(self) -> S:
        """The other handle on the data of `subject`; only for cases that need one."""
        if self.reopened is None:
            raise LashBug("a case that uses a second handle must say that it needs one")
        return self.reopened

    async def pass_time(self, ms: int) -> None:
        """Let at least `ms` milliseconds pass for the subject: on the kit's clock if it follows that."""
        self.clock.advance(ms)
        if not self.moves_time:
            await asyncio.sleep(ms / 1000)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Run something beside the case; it ends with the case at the latest."""
        task = asyncio.ensure_future(work)
        self._started.append(task)
        return task

    async def stop(self) -> None:
        """End what the case started; what it raised is no news any more."""
        for task in self._started:
            task.cancel()
        await asyncio.gather(*self._started, return_exceptions=True)
