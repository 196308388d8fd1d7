"""The state that the log leads to: lash's database in memory, which each change is carried out on.

That database decides by nothing but its state, the time and fresh ids. So whoever carries out the same changes at
the same times with the same ids has the same state: that is all there is to reading a log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine
from typing import Any

from lash.backends.memory import MemoryDatabase
from logbook.file import Change
from logbook.wire import unpacked


class Moment:
    """The clock and the ids of one change."""

    def __init__(self) -> None:
        self._now_ms, self._salt, self._number = 0, "", 0

    def set(self, now_ms: int, salt: str) -> None:
        """Begin a change."""
        self._now_ms, self._salt, self._number = now_ms, salt, 0

    def now_ms(self) -> int:
        """Return the time of the change."""
        return self._now_ms

    async def sleep_until(self, at_ms: int) -> None:
        """Return at once: nothing sleeps inside a change."""

    def new(self, kind: str) -> str:
        """Return the next id of the change."""
        self._number += 1
        return f"{kind}_{hashlib.sha256(f'{self._salt}:{self._number}'.encode()).hexdigest()[:32]}"


class Replica:
    """A database in memory, and the handles of it that have a state of their own."""

    def __init__(self) -> None:
        self.moment = Moment()
        self.database = MemoryDatabase(clock=self.moment, ids=self.moment)
        self._unbound: dict[str, Any] = {}

    def port(self, name: str, session_id: str | None = None, handle: str | None = None) -> Any:
        """Return what has the operations of a port."""
        if name != "runtime_persistence":
            return getattr(self.database, name)
        if handle is None:
            return self.database.runtime_persistence(session_id)
        if handle not in self._unbound:  # it binds to the first session that it commits
            self._unbound[handle] = self.database.runtime_persistence()
        return self._unbound[handle]

    def carry_out(self, change: Change) -> None:
        """Carry out a change that was logged; it went well when it was."""
        arguments, options = unpacked(change.arguments)
        self.moment.set(change.now_ms, change.salt)
        port = self.port(change.port, change.session_id, change.handle)
        at_once(getattr(port, change.operation)(*arguments, **options))


def at_once(operation: Coroutine[Any, Any, Any]) -> Any:
    """Run an operation that waits for nothing to its end, without giving the event loop a turn."""
    try:
        operation.send(None)
    except StopIteration as done:
        return done.value
    operation.close()
    raise RuntimeError("an operation of the database in memory waited for something")
