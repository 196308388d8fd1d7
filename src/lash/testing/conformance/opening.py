"""How a database is opened again: by another operating-system process, or after that was killed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from lash.contracts import Database
from lash.testing.conformance.clock import KitClock


@dataclass(frozen=True)
class Address:
    """Where a database is, as one process tells another.

    Args:
        url: What to open.
        opener: `module:function` that is called with the URL and the kit's clock and returns the database;
            `lash.backends.open_database` by default, which knows every installed backend.
    """

    url: str
    opener: str | None = None

    def open(self, clock: KitClock) -> Database:
        """Return a handle that takes its time from the kit; nothing is connected yet."""
        if self.opener is None:
            return open_database(self.url, clock)
        module, _, name = self.opener.partition(":")
        opener: Any = getattr(import_module(module), name)
        database: Database = opener(self.url, clock)
        return database


def address_of(given: str | Address | None) -> Address | None:
    """Return an address from what a factory gives for one."""
    return Address(given) if isinstance(given, str) else given


def open_database(url: str, clock: KitClock) -> Database:
    """Return a database that takes its time from the kit."""
    from lash.backends import open_database as open_  # the kit runs without lash's own backends

    database: Database = open_(url, test_clock=clock)
    return database
