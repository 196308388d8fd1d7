"""What a user touches: `open`, `Runtime`, `Session`, `Turn`."""

from lash.facade.opening import open
from lash.facade.runtime import Runtime
from lash.facade.session import Accepted, Session
from lash.facade.turn import Turn, TurnResult

__all__ = ["Accepted", "Runtime", "Session", "Turn", "TurnResult", "open"]
