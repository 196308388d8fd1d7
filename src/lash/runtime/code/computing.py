"""The computing of a program between two of its requests: on a thread, and stopped when its turn is to end."""

from __future__ import annotations

import asyncio

from lash.runtime.code_turns import CodeTurn
from lashlang import LATER, Effect, Execution
from lashlang.machine.values import Unset


async def advance_apart(run: Execution) -> None:
    """One stretch of computing on a thread; a cancellation waits for it to stop, which takes a slice of fuel."""
    task = asyncio.ensure_future(asyncio.to_thread(run.advance, not_yet))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        run.cancel()
        await asyncio.wait([task])
        raise


def not_yet(request: Effect) -> Unset:
    """The host that has no answer yet: each request hands the run back."""
    return LATER


class StopsWith:
    """While a program runs: the end of its turn stops it at once, computing or not."""

    def __init__(self, turn: CodeTurn, run: Execution, *, heed: bool) -> None:
        self._turn = turn
        self._run = run
        self._heed = heed
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        if self._heed:
            self._watcher = asyncio.ensure_future(self._turn.stop.wait())
            self._watcher.add_done_callback(self._stopped)

    def __exit__(self, *_: object) -> None:
        if self._watcher is not None:
            self._watcher.remove_done_callback(self._stopped)
            self._watcher.cancel()

    def _stopped(self, watcher: asyncio.Task[None]) -> None:
        if not watcher.cancelled():
            self._run.cancel()
