"""Durable waits (contract 5, B-23): the first writer wins."""

from __future__ import annotations

import msgspec

from lash.backends.sql.engine import Tx
from lash.backends.sql.store import Store
from lash.rules.identifiers import check_text
from lash.rules.storable import storable_bytes
from lash.values import Json, WaitResolution, decode_record


class WaitRow(msgspec.Struct, frozen=True, gc=False):
    """A wait that was resolved."""

    value: bytes
    resolved_at_ms: int

    def resolution(self, key: str, *, first: bool) -> WaitResolution:
        """Return how the wait was resolved.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        value: Json = decode_record(object, self.value, what=f"table wait: wait {key!r}")  # any JSON
        return WaitResolution(key=key, value=value, resolved_at_ms=self.resolved_at_ms, first=first)


FIND_WAIT = "SELECT value, resolved_at_ms FROM wait WHERE key = ?"
ADD_WAIT = "INSERT INTO wait (key, scope_key, value, resolved_at_ms) VALUES (?, ?, ?, ?)"
DROP_WAITS = "DELETE FROM wait WHERE scope_key = ?"


async def resolve_once(tx: Tx, key: str, value: bytes, scope_key: str) -> tuple[WaitRow, bool]:
    """Resolve a wait unless it is; return its row and whether this did it."""
    known = await tx.fetch_one(WaitRow, FIND_WAIT, key)
    if known is not None:
        return known, False
    await tx.write(ADD_WAIT, key, scope_key, value, tx.now_ms)
    tx.notify(f"wait:{key}")
    return WaitRow(value, tx.now_ms), True


class SqlDurableWaits:
    """See `DurableWaits` for the contract."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def resolve_wait(self, key: str, value: Json, *, scope_key: str = "") -> WaitResolution:
        """Resolve a key once; a later writer is told the first one's value."""
        check_text(key, what="wait key")
        check_text(scope_key, what="scope key")
        body = storable_bytes(value, what=f"value of wait {key!r}")

        async def script(tx: Tx) -> WaitResolution:
            row, is_first = await resolve_once(tx, key, body, scope_key)
            return row.resolution(key, first=is_first)

        return await self._store.run(script)

    async def find_wait(self, key: str) -> WaitResolution | None:
        """Return how a key was resolved, or None."""
        check_text(key, what="wait key")

        async def script(tx: Tx) -> WaitResolution | None:
            row = await tx.fetch_one(WaitRow, FIND_WAIT, key)
            return None if row is None else row.resolution(key, first=False)

        return await self._store.read(script)

    async def drop_waits(self, scope_key: str) -> int:
        """Delete the waits of a scope; return how many."""
        check_text(scope_key, what="scope key")

        async def script(tx: Tx) -> int:
            return await tx.write_counted(DROP_WAITS, scope_key)

        return await self._store.run(script)
