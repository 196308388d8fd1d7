"""What is parked on which waits, and what resolving a wait makes ready (contract 5, B-23).

A turn is parked by its session, which has one at most; a process by its id. Whatever resolves a key goes through
`resolve_key`, so that nothing is resolved without waking what is parked on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from lash.rules.waits import resolved_wait
from lash.values import (
    EffectScope,
    Json,
    ProcessRecord,
    WaitRecord,
    plain,
    process_of_wait_key,
    process_wait_key,
)

if TYPE_CHECKING:
    from lash.backends.memory.tables import Tables


class ParkedTurn(msgspec.Struct, frozen=True):
    """A turn that waits. One session has one at most."""

    session_id: str
    turn_id: str


class ParkedProcess(msgspec.Struct, frozen=True):
    """A process that waits."""

    process_id: str


class ParkingTable:
    """Everything that is parked, by what it is and by what it waits for."""

    def __init__(self) -> None:
        self._keys: dict[ParkedTurn | ParkedProcess, tuple[str, ...]] = {}
        self._by_key: dict[str, dict[ParkedTurn | ParkedProcess, None]] = {}
        self._turns: dict[str, ParkedTurn] = {}  # by session

    def park(self, parked: ParkedTurn | ParkedProcess, keys: tuple[str, ...]) -> None:
        """Note that a turn or process waits for one of the keys."""
        self._keys[parked] = keys
        for key in keys:
            self._by_key.setdefault(key, {})[parked] = None
        if isinstance(parked, ParkedTurn):
            self._turns[parked.session_id] = parked

    def unpark(self, parked: ParkedTurn | ParkedProcess) -> bool:
        """Let one go on; return whether it was parked."""
        keys = self._keys.pop(parked, ())
        for key in keys:
            waiting = self._by_key[key]
            del waiting[parked]
            if not waiting:
                del self._by_key[key]
        if isinstance(parked, ParkedTurn):
            self._turns.pop(parked.session_id, None)
        return bool(keys)

    def on(self, key: str) -> list[ParkedTurn | ParkedProcess]:
        """Return what is parked on a key."""
        return list(self._by_key.get(key, ()))

    def keys_of(self, parked: ParkedTurn | ParkedProcess) -> tuple[str, ...]:
        """Return what one is parked on; nothing when it is not."""
        return self._keys.get(parked, ())

    def turn_of(self, session_id: str) -> ParkedTurn | None:
        """Return the parked turn of a session."""
        return self._turns.get(session_id)


def resolve_key(
    tables: Tables, key: str, value: Json, *, scope_key: str = "", timed_out: bool = False
) -> tuple[WaitRecord, bool]:
    """Resolve a wait unless it is, and wake what is parked on it; return it and whether this did it."""
    stored = tables.waits.find(key)
    if stored is not None and stored.is_resolved:
        return stored, False
    wait = resolved_wait(
        stored, key, value, scope_key=scope_key, now_ms=tables.clock.now_ms(), timed_out=timed_out
    )
    tables.waits.put(wait)
    tables.hub.publish(f"wait:{key}")
    make_ready(tables, tables.parking.on(key))
    return wait, True


def resolve_end(tables: Tables, record: ProcessRecord) -> None:
    """Resolve the wait for a process that is over, if anybody has one, and clear what was the process's own."""
    key = process_wait_key(record.id)
    if tables.waits.find(key) is not None or tables.parking.on(key):
        resolve_key(tables, key, plain(record.await_output))
    make_ready(tables, [ParkedProcess(record.id)])
    scope_key = EffectScope.process(record.id).key
    tables.waits.remove(lambda wait: wait.scope_key == scope_key and wait.key != key)
    tables.processes.frames.pop(record.id, None)
    tables.processes.resumable.discard(record.id)


def make_ready(tables: Tables, parked: Iterable[ParkedTurn | ParkedProcess]) -> None:
    """Make what was parked ready, and tell those who look for work."""
    for one in parked:
        if not tables.parking.unpark(one):
            continue
        if isinstance(one, ParkedTurn):
            tables.announce(one.session_id, queue=True)
        else:
            tables.hub.publish("processes")


def is_ready(tables: Tables, keys: Iterable[str]) -> bool:
    """Whether one of the keys is resolved, or names a process that is over."""
    return any(_is_resolved(tables, key) for key in keys)


def _is_resolved(tables: Tables, key: str) -> bool:
    wait = tables.waits.find(key)
    if wait is not None and wait.is_resolved:
        return True
    process_id = process_of_wait_key(key)
    return process_id is not None and tables.processes.is_over(process_id)
