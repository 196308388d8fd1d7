"""Runs a script to its end without an event loop.

A script awaits nothing but its `Tx`, whose methods never suspend on SQLite; so one `send` runs the whole of
it, in whatever thread calls. A script that suspends has awaited something else, and is a bug of ours.
"""

from typing import TypeVar

from lash.backends.sql.engine.tx import Script, Tx
from lash.errors import LashBug

T = TypeVar("T")


def drive(script: Script[T], tx: Tx) -> T:
    """Return what the script returns, and let out what it raises.

    Raises:
        LashBug: The script awaited something other than a method of its `Tx`.
    """
    coroutine = script(tx)
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value  # what a coroutine returns travels untyped in StopIteration
        return result
    coroutine.close()
    name = getattr(script, "__qualname__", repr(script))
    raise LashBug(f"the storage script {name} awaited something other than its Tx; nothing of it was kept")
