"""What a user touches: `open`, `Runtime`, `Session`, `Turn`. Loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lash.facade.opening import open
    from lash.facade.process_handle import ProcessHandle
    from lash.facade.processes import Processes
    from lash.facade.runtime import Runtime
    from lash.facade.session import Accepted, Session
    from lash.facade.turn import Turn, TurnResult

__all__ = ["Accepted", "ProcessHandle", "Processes", "Runtime", "Session", "Turn", "TurnResult", "open"]

_HOME_OF = {
    "Accepted": "lash.facade.session",
    "ProcessHandle": "lash.facade.process_handle",
    "Processes": "lash.facade.processes",
    "Runtime": "lash.facade.runtime",
    "Session": "lash.facade.session",
    "Turn": "lash.facade.turn",
    "TurnResult": "lash.facade.turn",
    "open": "lash.facade.opening",
}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'lash.facade' has no attribute {name!r}")
    return getattr(import_module(home), name)
