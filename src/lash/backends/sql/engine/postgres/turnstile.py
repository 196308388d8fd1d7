"""Scripts of one engine that lock the same names first go in the order in which they were handed in.

Left to the server, the order would be that in which connections come free. It also spares the server: who has
to wait for a script of the same process waits here, without holding a connection.

Only the names of a script's first flight are waited for here, in one order, and by a script that holds nothing
yet. So nobody can wait for each other; any later names are locked by the server alone, which notices those
that do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Turnstile:
    """The names that scripts of one engine hold or wait for."""

    def __init__(self) -> None:
        self._places: dict[str, asyncio.Lock] = {}
        self._interest: dict[str, int] = {}

    async def enter(self, name: str) -> None:
        """Wait for a name behind everybody who came before."""
        self._interest[name] = self._interest.get(name, 0) + 1
        try:
            await self._places.setdefault(name, asyncio.Lock()).acquire()
        except BaseException:
            self._lose_interest(name)
            raise

    def leave(self, name: str) -> None:
        """Let the next one in."""
        self._places[name].release()
        self._lose_interest(name)

    def _lose_interest(self, name: str) -> None:
        self._interest[name] -= 1
        if not self._interest[name]:
            del self._interest[name], self._places[name]


class Ticket:
    """The names that one script holds, however often it is run."""

    __slots__ = ("_names", "_turnstile")

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self._names: list[str] = []

    async def take(self, names: Iterable[str]) -> None:
        """Wait for these names, unless the script holds some already."""
        if self._names:
            return
        for name in sorted(set(names)):
            await self._turnstile.enter(name)
            self._names.append(name)

    def give_back(self) -> None:
        """Let others have the names."""
        while self._names:
            self._turnstile.leave(self._names.pop())
