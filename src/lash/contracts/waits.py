"""Durable waits: one-shot promises by key (contract 5, B-23)."""

from __future__ import annotations

from typing import Protocol

from lash.values import Json, WaitResolution


class DurableWaits(Protocol):
    """Keys that are resolved once, by anybody, before or after somebody waits for them."""

    async def resolve_wait(self, key: str, value: Json, *, scope_key: str = "") -> WaitResolution:
        """Resolve a key. The first writer wins; a later one is told the first one's value.

        Args:
            key: Which wait.
            value: JSON that the waiter gets.
            scope_key: What owns the wait: dropping the scope drops it.
        """
        ...

    async def find_wait(self, key: str) -> WaitResolution | None:
        """Return how a key was resolved, or None."""
        ...

    async def drop_waits(self, scope_key: str) -> int:
        """Delete the waits of a scope; return how many."""
        ...
