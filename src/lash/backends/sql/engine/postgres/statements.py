"""What an engine is told of each statement: its text for this server, and what to lock around it.

Scripts are written as if they were alone, which on SQLite they are. Here several run at once, each statement
on a snapshot of its own (READ COMMITTED). So whatever a script decides about is locked, by name, before it is
read: the lock is taken by a statement of its own that precedes the read in the same flight, so that the
read's snapshot is younger than the lock. Locks by name also cover what is not there yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from lash.backends.sql.engine.tx import Value


@dataclass(frozen=True, slots=True)
class Lock:
    """A name that one transaction at a time may hold, or several of them shared."""

    name: str
    is_shared: bool = False

    @property
    def number(self) -> int:
        """The server's name for it. Two names with one number only wait for each other needlessly."""
        digest = hashlib.blake2b(self.name.encode(errors="surrogatepass"), digest_size=8, person=b"lash lock")
        return int.from_bytes(digest.digest(), "big", signed=True)


Locks: TypeAlias = Callable[[tuple[Value, ...]], Iterable[Lock]]
"""Returns what to lock before a statement is run with these parameters."""


def no_locks(params: tuple[Value, ...]) -> Iterable[Lock]:
    """Lock nothing."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of a script, in the server's words."""

    text: str
    """With `$1`, `$2`, … for the parameters."""
    writing_text: str
    """The same for a script that writes: a select may lock its rows."""
    is_change: bool = False
    """Whether it changes rows, even if it also returns some."""
    before: str | None = None
    """A statement with the same parameters that a script that writes runs before this one."""
    locks: Locks = no_locks
    """What a script that writes locks before."""
    reading_locks: Locks = no_locks
    """What a script that only reads locks before. It is then run on a snapshot for each statement."""

    @property
    def reading_locks_anything(self) -> bool:
        """Whether a script that only reads locks something before this statement."""
        return self.reading_locks is not no_locks


Dialect: TypeAlias = Callable[[str], Statement]
"""Returns what a script's constant text means here. It is asked again and again, so it remembers."""
