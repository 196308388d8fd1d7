"""The bridge for scripts: an event loop on a thread of its own, and calls that wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from lash.errors import LashError

T = TypeVar("T")


class Portal:
    """Runs coroutines for callers that have no event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self._loop is not None

    def start(self) -> None:
        """Start the loop, if it is not running."""
        if self._loop is not None:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lash-loop", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the portal's loop and return its result."""
        assert self._loop is not None, "the portal was started"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """Stop the loop and wait for its thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def refuse_on_running_loop(what: str) -> None:
    """Raise when the caller is on an event loop, which a waiting call would block.

    Raises:
        LashError: `sync_call_on_event_loop`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    name = what.removesuffix("_sync")
    raise LashError(
        "sync_call_on_event_loop",
        f"{what}() would block the event loop that it is called on; use `await …{name}()` there",
        call=what,
    )
