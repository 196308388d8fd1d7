"""When a function only waits: nothing of it is under way but waits, for a while, and no task of it is about to go on.

Operations are counted where they are asked for and until they have answered. After the grace the event loop is let
turn a few times before the function counts as quiet: a result on its way through `gather` or `wait` reaches the code
that asks for the next operation in that time, and what is asked for then must be waited for too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

_TURNS = 24


class Quiet:
    """Counts what is under way, and tells when there are only waits left.

    Args:
        grace_s: How long only waits may be left before that is told.
        on_quiet: Told the keys of the waits.
    """

    def __init__(self, grace_s: float, on_quiet: Callable[[tuple[str, ...]], None]) -> None:
        self._grace_s = grace_s
        self._on_quiet = on_quiet
        self._under_way = 0  # operations, those that wait among them
        self._waiting: dict[object, tuple[str, ...]] = {}
        self._changes = 0
        self._handle: asyncio.Handle | None = None

    @contextmanager
    def doing(self) -> Iterator[None]:
        """Note that something is under way."""
        self._under_way += 1
        self._changed()
        try:
            yield
        finally:
            self._under_way -= 1
            self._changed()

    @contextmanager
    def waiting(self, wait_keys: Sequence[str]) -> Iterator[None]:
        """Note that something which is under way only waits."""
        token = object()
        self._waiting[token] = tuple(wait_keys)
        self._changed()
        try:
            yield
        finally:
            del self._waiting[token]
            self._changed()

    def close(self) -> None:
        """Tell nothing any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _changed(self) -> None:
        """Start the grace anew, if only waits are left."""
        self._changes += 1
        self.close()
        if self._waiting and self._under_way == len(self._waiting):
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(self._grace_s, self._settle, self._changes, _TURNS)

    def _settle(self, seen: int, turns_left: int) -> None:
        if seen != self._changes:
            return
        if turns_left:
            self._handle = asyncio.get_running_loop().call_soon(self._settle, seen, turns_left - 1)
            return
        keys = dict.fromkeys(key for keys in self._waiting.values() for key in keys)
        self._on_quiet(tuple(keys))
