"""The request to end a turn, and what runs racing against it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")

# How long tools may take to end by themselves once the turn is cancelled (runtime 1.12).
_CANCEL_GRACE_S = 0.05


class TurnCancelledError(Exception):
    """The turn was cancelled while an effect ran. Never leaves the driver."""


class TurnStop:
    """Whether somebody asked the turn to end. Once asked, always asked."""

    def __init__(self, *, requested: bool = False) -> None:
        self._event = asyncio.Event()
        if requested:
            self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        """Ask the turn to end at once."""
        self._event.set()

    async def wait(self) -> None:
        """Return when the turn is asked to end."""
        await self._event.wait()

    async def race(self, work: Awaitable[T], *, recorded: bool) -> T:
        """Return what `work` gives, unless the turn is cancelled first. What is recorded always replays.

        Raises:
            TurnCancelledError: The turn was cancelled; the work was ended.
        """
        if recorded:
            return await work
        if self.requested:
            asyncio.ensure_future(work).cancel()
            raise TurnCancelledError
        task = asyncio.ensure_future(work)
        async with self._signal() as stop:
            try:
                await _first_done(task, stop)
                if task.done():
                    return task.result()
                raise TurnCancelledError
            finally:
                await _ended(task)

    async def with_grace(
        self, task: asyncio.Future[T], tell: Callable[[], object], interrupt: Callable[[], object]
    ) -> T:
        """Return what a task gives. At a cancellation it is told first, and interrupted a little later.

        Raises:
            TurnCancelledError: The turn was cancelled, and the task ended without a result.
        """
        async with self._signal() as stop:
            try:
                await _first_done(task, stop)
                if not task.done():
                    tell()
                    await _first_done(task, timeout_s=_CANCEL_GRACE_S)
                    interrupt()
                    await _first_done(task)
                if task.cancelled():
                    raise TurnCancelledError
                return task.result()
            finally:
                await _ended(task)

    @asynccontextmanager
    async def _signal(self) -> AsyncIterator[asyncio.Future[Any]]:
        stop = asyncio.ensure_future(self._event.wait())
        try:
            yield stop
        finally:
            await _ended(stop)


async def _first_done(*futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


async def _ended(future: asyncio.Future[Any]) -> None:
    """Cancel what still runs, and wait until it has."""
    if not future.done():
        future.cancel()
        await asyncio.gather(future, return_exceptions=True)
