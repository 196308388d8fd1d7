"""What a case gets: a fresh subject, a second handle if there is one, the clock, and what was declared.

Some cases need more: other operating-system processes on the same database (`child`), a handle that was opened
after they were killed (`reopen`), or stored data that no longer decodes (`damage`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lash.contracts import Database
from lash.errors import LashBug
from lash.testing.conformance.children import Child
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.opening import Address
from lash.values import AttachmentStorePersistence, DurabilityTier, Json

S = TypeVar("S")
T = TypeVar("T")


Damage = Callable[[str, str], Awaitable[None]]
"""Makes what is stored of one thing unreadable: `await damage("process", "p1")`. The kinds are `DAMAGEABLE`."""
DAMAGEABLE = ("process", "node", "checkpoint", "meta", "batch")


@dataclass(frozen=True)
class Reopenable(Generic[S]):
    """Two handles on the same data, both open before anything is written (rule R-6).

    Args:
        open: The first handle.
        reopen: The second one.
        address: How other operating-system processes open the same data: a URL for `open_database`, or an
            `Address`. None: there is no way, and the cases that need one are not offered.
        damage: See `Damage`. None: the cases about damaged data are not offered.
    """

    open: S
    reopen: S
    address: str | Address | None = None
    damage: Damage | None = None


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
    address: Address | None = None
    damaging: Damage | None = None
    _children: list[Child] = field(default_factory=list)
    _handles: list[Database] = field(default_factory=list)
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

    async def child(self, job: str, **arguments: Json) -> Child:
        """Start a process that has opened the same database and waits for `go` to do a job (see `jobs`)."""
        child = await Child.start(self._whereabouts(), self.clock.now_ms(), job, arguments)
        self._children.append(child)
        return child

    async def reopen(self) -> Database:
        """Return a handle that is opened now; it is closed with the case."""
        handle = self._whereabouts().open(self.clock)
        self._handles.append(handle)
        await handle.connect()
        return handle

    async def damage(self, kind: str, id: str) -> None:
        """Make what is stored of a thing unreadable."""
        if self.damaging is None:
            raise LashBug("a case that damages stored data must say that it needs to")
        await self.damaging(kind, id)

    async def stop(self) -> None:
        """End what the case started; what it raised is no news any more."""
        for task in self._started:
            task.cancel()
        await asyncio.gather(*self._started, return_exceptions=True)
        for child in self._children:
            await child.kill()
        for handle in self._handles:
            with suppress(Exception):  # the case has its verdict; the handle may be what it is about
                await handle.close()

    def _whereabouts(self) -> Address:
        if self.address is None:
            raise LashBug("a case that opens the database again must say that it needs an address")
        return self.address
