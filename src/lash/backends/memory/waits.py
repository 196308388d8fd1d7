"""Durable waits (contract 5, B-23): the first writer wins."""

from __future__ import annotations

from lash.backends.memory.tables import StoredWait, Tables
from lash.rules.storable import storable_bytes
from lash.values import Json, WaitResolution, decode_record


class MemoryDurableWaits:
    """See `DurableWaits` for the contract."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def resolve_wait(self, key: str, value: Json, *, scope_key: str = "") -> WaitResolution:
        """Resolve a key once; a later writer is told the first one's value."""
        now_ms, is_first = self._tables.clock.now_ms(), key not in self._tables.waits
        if is_first:
            body = storable_bytes(value, what=f"value of wait {key!r}")
            self._tables.waits[key] = StoredWait(value=body, resolved_at_ms=now_ms, scope_key=scope_key)
            self._tables.hub.publish(f"wait:{key}")
        return _resolution(key, self._tables.waits[key], first=is_first)

    async def find_wait(self, key: str) -> WaitResolution | None:
        """Return how a key was resolved, or None."""
        wait = self._tables.waits.get(key)
        return None if wait is None else _resolution(key, wait, first=False)

    async def drop_waits(self, scope_key: str) -> int:
        """Delete the waits of a scope; return how many."""
        keys = [key for key, wait in self._tables.waits.items() if wait.scope_key == scope_key]
        for key in keys:
            del self._tables.waits[key]
        return len(keys)


def _resolution(key: str, wait: StoredWait, *, first: bool) -> WaitResolution:
    value: Json = decode_record(object, wait.value, what=f"wait {key!r}")
    return WaitResolution(key=key, value=value, resolved_at_ms=wait.resolved_at_ms, first=first)
