"""Durable waits: the one way to suspend work until something happens outside (contract 5, B-23).

A wait is a one-shot promise by key. Resolving it also makes ready, in the same transaction, the turn or process
that is parked on its key (`TurnIngress.park_turn`, `ProcessRegistry.park_process`). Topics: `wait:{key}` when
it is resolved, `timers` when a deadline is set; `queue`, `session:{id}` and `processes` for what was parked.
"""

from __future__ import annotations

from typing import Protocol

from lash.values import Json, WaitDraft, WaitKind, WaitRecord, WaitResolution


class DurableWaits(Protocol):
    """Keys that are resolved once, by anybody, before or after somebody waits for them."""

    async def open_wait(self, draft: WaitDraft) -> WaitRecord:
        """Open a wait, or return the one of that key, with its resolution if it has one already.

        The first opening stands, so that a restarted waiter keeps its deadline. A later one fills in only what
        was left open: scope, deadline (with what it resolves to), token and detail.

        Raises:
            LashError: `invalid_argument` for a blank key, an unknown kind, or a deadline that is no time;
                `wait_token_taken` when another wait has that token; `json_not_representable`.
        """
        ...

    async def resolve_wait(self, key: str, value: Json, *, scope_key: str = "") -> WaitResolution:
        """Resolve a key. The first writer wins; a later one is told the first one's value.

        Args:
            key: Which wait. It need not be open: who opens it later finds the value.
            value: JSON that the waiter gets.
            scope_key: What owns a wait that is not open yet: dropping the scope drops it.
        """
        ...

    async def resolve_by_token(self, token: str, value: Json) -> WaitResolution:
        """Resolve the wait that was opened with this token, as `resolve_wait` does.

        Raises:
            LashError: `wait_unknown` for a token that was never given out, was tampered with, or whose wait is
                gone: nobody can tell these apart.
        """
        ...

    async def find_wait(self, key: str) -> WaitResolution | None:
        """Return how a key was resolved, or None."""
        ...

    async def get_wait(self, key: str) -> WaitRecord | None:
        """Return a wait, open or resolved, or None."""
        ...

    async def find_wait_by_token(self, token: str) -> WaitRecord:
        """Return the wait that was opened with this token, so that its value can be checked before it is sent.

        Raises:
            LashError: `wait_unknown`, as `resolve_by_token`.
        """
        ...

    async def list_waits(
        self,
        *,
        kind: WaitKind | None = None,
        scope_key: str | None = None,
        open_only: bool = True,
        after: str | None = None,
        limit: int = 100,
    ) -> list[WaitRecord]:
        """Return waits in the order in which they were made, after the wait of the key `after`.

        Args:
            kind: Only waits of this kind.
            scope_key: Only waits of this scope; a blank one has none.
            open_only: Only waits that were opened and are not resolved.
            after: The key of the last wait of the page before; one that is gone answers an empty page.
            limit: The most that are returned.
        """
        ...

    async def resolve_due(self, *, now_ms: int | None = None, limit: int = 1000) -> list[WaitResolution]:
        """Resolve open waits whose deadline has come with what they time out to; return those, earliest first.

        Several callers may do this at once: each wait is resolved by one of them.

        Args:
            now_ms: The time to compare with; the storage's own by default.
            limit: The most that are resolved; fewer are returned when no more are due.
        """
        ...

    async def next_deadline_ms(self) -> int | None:
        """Return the earliest deadline of an open wait, or None."""
        ...

    async def drop_waits(self, scope_key: str) -> int:
        """Delete the waits of a scope, and with them what their tokens can do; return how many."""
        ...

    async def drop_wait(self, key: str) -> bool:
        """Delete one wait, and with it what its token can do; return whether there was one."""
        ...

    async def prune_waits(self, *, resolved_before_ms: int, limit: int = 1000) -> int:
        """Delete up to `limit` resolved waits that no scope owns and that were resolved before that time.

        Waits of a scope go with it: those of a turn with its commit, those of a process with its end.
        """
        ...
