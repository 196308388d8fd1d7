"""What the pure floors need from outside: time and fresh ids, as ports.

The real ones are in `lash.system`; tests hand in settable ones. No other module reads a clock or draws
randomness (decision 9 of the architecture).
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in integer milliseconds since the Unix epoch."""

    def now_ms(self) -> int:
        """Return the current time in milliseconds."""
        ...

    async def sleep_until(self, at_ms: int) -> None:
        """Return when `now_ms() >= at_ms`; at once if that is already so."""
        ...


class IdSource(Protocol):
    """Fresh, unguessable ids."""

    def new(self, kind: str) -> str:
        """Return an id never returned before, such as `claim_9f…`; `kind` becomes its prefix."""
        ...
