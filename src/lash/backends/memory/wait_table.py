"""The waits of a memory database, kept encoded, with the ways in which they are looked for."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

from lash.rules.waits import is_due, is_open
from lash.values import WaitRecord, decode_record, encode_record


class WaitTable:
    """All waits by key, in the order in which they were made."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}
        self._numbers: dict[str, int] = {}
        self._by_token: dict[str, str] = {}
        self._deadlines: list[tuple[int, int, str]] = []  # of open waits; lines of others are passed over
        self._last_number = 0

    def find(self, key: str) -> WaitRecord | None:
        """Return a wait."""
        body = self._bodies.get(key)
        return None if body is None else decode_record(WaitRecord, body, what=f"wait {key!r}")

    def find_by_token_hash(self, token_hash: str) -> WaitRecord | None:
        """Return the wait that has a token."""
        key = self._by_token.get(token_hash)
        return None if key is None else self.find(key)

    def put(self, wait: WaitRecord) -> None:
        """Store a wait as it is now."""
        if wait.key not in self._numbers:
            self._last_number += 1
            self._numbers[wait.key] = self._last_number
        self._bodies[wait.key] = encode_record(wait)
        if wait.token_hash is not None:
            self._by_token[wait.token_hash] = wait.key
        if is_open(wait) and wait.deadline_ms is not None:
            line = (wait.deadline_ms, self._numbers[wait.key], wait.key)
            if line not in self._deadlines:
                insort(self._deadlines, line)

    def after(self, key: str | None) -> list[WaitRecord]:
        """Return the waits that were made after that of a key; none when that one is gone."""
        if key is not None and key not in self._numbers:
            return []
        number = 0 if key is None else self._numbers[key]
        found = (self.find(other) for other, made in self._numbers.items() if made > number)
        return [wait for wait in found if wait is not None]

    def due(self, now_ms: int, limit: int) -> list[WaitRecord]:
        """Return open waits whose deadline has come, the earliest first."""
        self._drop_stale()
        lines = [line for line in self._deadlines if line[0] <= now_ms]
        waits = (self.find(key) for _, _, key in lines)
        return [wait for wait in waits if wait is not None and is_due(wait, now_ms)][: max(limit, 0)]

    def next_deadline_ms(self) -> int | None:
        """Return the earliest deadline of an open wait."""
        self._drop_stale()
        return self._deadlines[0][0] if self._deadlines else None

    def remove(self, is_gone: Callable[[WaitRecord], bool], limit: int | None = None) -> int:
        """Delete waits, the oldest first; return how many."""
        gone = [wait for wait in self.after(None) if is_gone(wait)][:limit]
        for wait in gone:
            del self._bodies[wait.key], self._numbers[wait.key]
            if wait.token_hash is not None:
                self._by_token.pop(wait.token_hash, None)
        return len(gone)

    def _drop_stale(self) -> None:
        """Forget the deadlines of waits that wait no more, up to the first that does."""
        while self._deadlines:
            _, number, key = self._deadlines[0]
            wait = self.find(key)
            if wait is not None and self._numbers[key] == number and is_open(wait):
                return
            del self._deadlines[0]
