"""`RollingHistory`: the model sees the last turns of a session only. A view: the history stays whole."""

from __future__ import annotations

from collections.abc import Sequence

from lash.errors import LashError
from lash.plugins.contexts import PromptContext
from lash.plugins.plugin import Plugin
from lash.values import Message


class RollingHistory(Plugin):
    """Shows the model the last turns.

    Args:
        turns: How many turns before the current one are shown, counted by what users said.

    Raises:
        LashError: `invalid_argument` for a negative number.
    """

    id = "rolling_history"

    def __init__(self, *, turns: int = 20) -> None:
        if turns < 0:
            raise LashError("invalid_argument", f"{turns} turns cannot be shown; give 0 or more", turns=turns)
        self._turns = turns
        self.version = turns  # another number is another view

    async def transform_context(self, prompt: PromptContext) -> Sequence[Message] | None:
        """Return the history from the first shown turn on: never the middle of one, so no call lacks its result."""
        if self._turns == 0:
            return ()
        left = self._turns
        for at in range(len(prompt.history) - 1, -1, -1):
            message = prompt.history[at]
            if message.role == "user" and message.origin is None:
                left -= 1
                if left == 0:
                    return prompt.history[at:]
        return None
