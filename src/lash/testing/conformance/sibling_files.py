"""Throw-away databases in files: siblings of a path that nothing is at, one a case."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from lash.contracts import Database
from lash.errors import LashError
from lash.system import RandomIds
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.opening import open_database
from lash.testing.conformance.trial import Damage, Reopenable


class Template(Protocol):
    """Makes throw-away databases from a URL, one after the other."""

    async def make(self, clock: KitClock) -> Reopenable[Database]:
        """Return two handles on a database that nothing was written to, and its address."""
        ...

    async def discard(self) -> None:
        """Remove what the last `make` made; its handles are closed."""
        ...


class SiblingFiles:
    """A template for backends that keep a database at a path: `PATH`, or `scheme:///PATH`.

    Whatever lies beside a database under a name that begins with the database's is taken for its own, and
    removed with it.

    Args:
        url: The template. Databases get its name with something random in it.
        damage: Makes the means to damage the database at a path.

    Raises:
        LashError: `conformance_database_not_empty`.
    """

    def __init__(self, url: str, *, damage: Callable[[Path], Damage] | None = None) -> None:
        scheme, slashes, path = url.rpartition(":///")
        template = Path(path)
        if template.exists() and (template.is_dir() or template.stat().st_size):
            raise LashError(
                "conformance_database_not_empty",
                f"{template} holds something already; name a path that nothing is at",
                path=str(template),
            )
        self._prefix = scheme + slashes
        self._template = template
        self._damage = damage
        self._ids = RandomIds()
        self._made: Path | None = None

    async def make(self, clock: KitClock) -> Reopenable[Database]:
        """Return two handles on a fresh file."""
        suffix = self._template.suffix or ".db"
        self._made = self._template.with_name(f"{self._template.stem}-{self._ids.new('case')}{suffix}")
        url = f"{self._prefix}{self._made}" if self._prefix else str(self._made.absolute())
        return Reopenable(
            open_database(url, clock),
            open_database(url, clock),
            address=url,
            damage=None if self._damage is None else self._damage(self._made),
        )

    async def discard(self) -> None:
        """Remove the file and what the backend keeps beside it."""
        made, self._made = self._made, None
        if made is not None:
            for path in made.parent.glob(f"{made.name}*"):  # the name is random: nothing else begins alike
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
