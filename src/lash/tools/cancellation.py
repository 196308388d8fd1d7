"""A flag that is raised once, and that threads may read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Cancellation:
    """Whether work should stop.

    `cancel`, `wait` and `subscribe` belong to the event loop; `cancelled` may be read from any thread.
    """

    __slots__ = ("_cancelled", "_listeners")

    def __init__(self) -> None:
        self._cancelled = False
        self._listeners: dict[Callable[[], None], None] = {}

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Raise the flag and tell the listeners, once."""
        self._cancelled = True
        listeners, self._listeners = self._listeners, {}
        for listener in listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when the flag is raised (at once if it is); return what ends the subscription."""
        if self._cancelled:
            listener()
        else:
            self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)

    async def wait(self) -> None:
        """Return when the flag is raised."""
        raised = asyncio.get_running_loop().create_future()
        unsubscribe = self.subscribe(lambda: None if raised.done() else raised.set_result(None))
        try:
            await raised
        finally:
            unsubscribe()
