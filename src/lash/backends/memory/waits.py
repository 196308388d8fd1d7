"""Durable waits in memory (contract 5, B-23): the first writer wins."""

from __future__ import annotations

from lash.backends.memory.parking import resolve_key
from lash.backends.memory.tables import Tables
from lash.rules.identifiers import check_text
from lash.rules.storable import check_storable
from lash.rules.waits import (
    check_wait,
    check_wait_key,
    is_open,
    opened_wait,
    token_taken,
    wait_unknown,
)
from lash.values import Json, WaitDraft, WaitKind, WaitRecord, WaitResolution, wait_token_hash


class MemoryDurableWaits:
    """See `DurableWaits` for the contract."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def open_wait(self, draft: WaitDraft) -> WaitRecord:
        """Open a wait, or return the one of that key; a later opening fills in what was left open."""
        check_wait(draft)
        waits = self._tables.waits
        stored = waits.find(draft.key)
        opened = opened_wait(stored, draft, self._tables.clock.now_ms())
        if draft.token is not None:
            holder = waits.find_by_token_hash(wait_token_hash(draft.token))
            if holder is not None and holder.key != draft.key:
                raise token_taken(draft.key)
        waits.put(opened)
        if is_open(opened) and opened.deadline_ms is not None:
            self._tables.hub.publish("timers")
        return opened

    async def resolve_wait(self, key: str, value: Json, *, scope_key: str = "") -> WaitResolution:
        """Resolve a key once; a later writer is told the first one's value."""
        check_wait_key(key)
        check_text(scope_key, what="scope key")
        check_storable(value, what=f"value of wait {key!r}")
        return _resolution(*resolve_key(self._tables, key, value, scope_key=scope_key))

    async def resolve_by_token(self, token: str, value: Json) -> WaitResolution:
        """Resolve the wait that was opened with this token."""
        wait = await self.find_wait_by_token(token)
        check_storable(value, what=f"value of wait {wait.key!r}")
        return _resolution(*resolve_key(self._tables, wait.key, value))

    async def find_wait(self, key: str) -> WaitResolution | None:
        """Return how a key was resolved, or None."""
        wait = self._tables.waits.find(key)
        return None if wait is None else wait.as_resolution()

    async def get_wait(self, key: str) -> WaitRecord | None:
        """Return a wait, open or resolved, or None."""
        return self._tables.waits.find(key)

    async def find_wait_by_token(self, token: str) -> WaitRecord:
        """Return the wait that was opened with this token."""
        wait = self._tables.waits.find_by_token_hash(wait_token_hash(token))
        if wait is None:
            raise wait_unknown()
        return wait

    async def list_waits(
        self,
        *,
        kind: WaitKind | None = None,
        scope_key: str | None = None,
        open_only: bool = True,
        after: str | None = None,
        limit: int = 100,
    ) -> list[WaitRecord]:
        """Return waits in the order in which they were made."""
        wanted = [
            wait
            for wait in self._tables.waits.after(after)
            if (kind is None or wait.kind == kind)
            and (scope_key is None or wait.scope_key == scope_key != "")
            and (is_open(wait) or not open_only)
        ]
        return wanted[: max(limit, 0)]

    async def resolve_due(self, *, now_ms: int | None = None, limit: int = 1000) -> list[WaitResolution]:
        """Resolve open waits whose deadline has come; return those, the earliest first."""
        now = self._tables.clock.now_ms() if now_ms is None else now_ms
        return [
            _resolution(*resolve_key(self._tables, wait.key, wait.on_timeout, timed_out=True))
            for wait in self._tables.waits.due(now, limit)
        ]

    async def next_deadline_ms(self) -> int | None:
        """Return the earliest deadline of an open wait, or None."""
        return self._tables.waits.next_deadline_ms()

    async def drop_waits(self, scope_key: str) -> int:
        """Delete the waits of a scope; return how many."""
        return self._tables.waits.remove(lambda wait: wait.scope_key == scope_key != "")

    async def drop_wait(self, key: str) -> bool:
        """Delete one wait; return whether there was one."""
        return self._tables.waits.remove(lambda wait: wait.key == key) > 0

    async def prune_waits(self, *, resolved_before_ms: int, limit: int = 1000) -> int:
        """Delete resolved waits that no scope owns; return how many."""
        return self._tables.waits.remove(
            lambda wait: (
                not wait.scope_key
                and wait.resolved_at_ms is not None
                and wait.resolved_at_ms < resolved_before_ms
            ),
            max(limit, 0),
        )


def _resolution(wait: WaitRecord, is_first: bool) -> WaitResolution:
    resolution = wait.as_resolution(first=is_first)
    assert resolution is not None  # it was resolved just now, or before
    return resolution
