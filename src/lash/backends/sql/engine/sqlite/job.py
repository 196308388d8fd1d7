"""A script on its way: handed in on the event loop, run in a thread, answered on the event loop.

A job is answered exactly once. Cancelling its future only means that nobody listens: the script still runs,
so a cancelled caller finds it done or still to come, never half done.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from lash.backends.sql.engine.tx import Script


class Job:
    """One script, and what became of it."""

    __slots__ = ("durable", "error", "future", "result", "script", "topics")

    def __init__(self, script: Script[Any], future: "asyncio.Future[Any]", *, durable: bool = True) -> None:
        # The result is typed where the script is handed in; on the way it may be anything.
        self.script = script
        self.future = future
        self.durable = durable
        self.result: Any = None
        self.error: BaseException | None = None
        self.topics: Iterable[str] = ()


def answer(jobs: Iterable[Job]) -> None:
    """Give every job's outcome to its caller. Runs on the event loop."""
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


def post(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: object) -> None:
    """Call back on the event loop, from a thread; if the loop is gone, so are those who wanted to know."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise
