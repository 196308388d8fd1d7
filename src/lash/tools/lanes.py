"""Serial keys: tool calls that share one run one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from lash.errors import LashError

_Job: TypeAlias = "asyncio.Future[Any]"  # a job may return anything


class _Lane:
    """The queue of one key."""

    __slots__ = ("abandoned", "lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.abandoned: set[_Job] = set()  # given up, but still running


class SerialHold:
    """The right to run under a key, until it is released."""

    __slots__ = ("_lane", "_released")

    def __init__(self, lane: _Lane) -> None:
        self._lane = lane
        self._released = False

    def release(self) -> None:
        """Let the next one run. A second release does nothing."""
        if not self._released:
            self._released = True
            self._lane.lock.release()

    def give_up(self, job: _Job) -> None:
        """Release a key whose job cannot be stopped. Until `job` ends, whoever wants the key is refused."""
        self._lane.abandoned.add(job)
        job.add_done_callback(self._lane.abandoned.discard)
        self.release()


class SerialLanes:
    """The queues of all keys of a runtime. They exclude calls of one event loop, not of other processes."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[int, str], _Lane] = {}

    def __len__(self) -> int:
        """How many keys are held or waited for."""
        return len(self._lanes)

    @asynccontextmanager
    async def entered(self, key: str | None) -> AsyncIterator[SerialHold | None]:
        """Wait for the key, and hold it while the block runs. No key: no waiting.

        Raises:
            LashError: `tool_serial_key_blocked` when a call that was given up still runs and cannot be
                stopped: waiting could last for ever, and going on would run two at a time.
        """
        if key is None:
            yield None
            return
        at = (id(asyncio.get_running_loop()), key)
        lane = self._lanes.setdefault(at, _Lane())
        lane.users += 1
        try:
            await lane.lock.acquire()
            hold = SerialHold(lane)
            try:
                if lane.abandoned:
                    raise _blocked(key)
                yield hold
            finally:
                hold.release()
        finally:
            lane.users -= 1
            if not lane.users:
                self._drop_when_idle(at, lane)

    def _drop_when_idle(self, at: tuple[int, str], lane: _Lane) -> None:
        """Forget a queue that nobody uses; one with an abandoned job is kept until that job ends."""
        if lane.users or self._lanes.get(at) is not lane:
            return
        if lane.abandoned:
            job = next(iter(lane.abandoned))
            job.add_done_callback(lambda _: self._drop_when_idle(at, lane))
        else:
            del self._lanes[at]


def _blocked(key: str) -> LashError:
    return LashError(
        "tool_serial_key_blocked",
        f"an earlier call was given up but still runs under {key!r}: try again later",
        retryable=True,
        serial_key=key,
    )
