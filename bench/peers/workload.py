"""The work that every system is given, and what each of them has to offer to be given it."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["ANSWER", "PROMPT", "RESULT", "USER", "Conversation", "Recovered", "Scene", "Talker"]

# As in the turn benchmark of lash alone, whose raw baseline is used here; `histories` holds them to it. They are not
# imported, because that would load lash into every peer's process.
USER = "u" * 1024
RESULT = "r" * 300
ANSWER = "a" * 2048
PROMPT = "Charge the customer 10, then tell me."


@dataclass
class Conversation:
    """One open conversation.

    Attributes:
        turn: Give it `USER`; it returns the answer, recorded.
        messages_seen: How many messages the model was given when it was last asked: nobody may win by
            showing it less than the whole history.
    """

    turn: Callable[[], Awaitable[str]]
    messages_seen: Callable[[], int]


class Talker(Protocol):
    """Opens the conversation that is kept in the database at `path`, new or as it was left."""

    def __call__(self, path: Path) -> AbstractAsyncContextManager[Conversation]: ...


@dataclass(frozen=True)
class Recovered:
    """How the toy agent ended.

    Attributes:
        answer: What the model said at last.
        user_messages: How often the one user message is in the history; None where no history is kept.
    """

    answer: str
    user_messages: int | None = None


class Scene:
    """A toy agent's outside world: what it charged, what its model was asked, and the trap."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "agent.db"
        self._charges = folder / "charges.txt"
        self._asked = folder / "asked.txt"
        self._trap = folder / "trap"

    def set_trap(self) -> None:
        """Let the next charge be the last thing that its process does."""
        self._trap.touch()

    def charge(self, key: str) -> str:
        """Append a charge durably; then die, if the trap is set.

        Args:
            key: What the system offers a tool to tell a repetition from a new call.
        """
        self._append(self._charges, key)
        if self._trap.exists():
            self._trap.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return "charged 10"

    def asked(self) -> None:
        """Note that the model was called: a real one would have been paid."""
        self._append(self._asked, "asked")

    def charges(self) -> list[str]:
        """Return the key of each charge."""
        return self._charges.read_text().splitlines() if self._charges.exists() else []

    def times_asked(self) -> int:
        """Return how often the model was called."""
        return len(self._asked.read_text().splitlines())

    @staticmethod
    def _append(path: Path, line: str) -> None:
        with path.open("a") as out:
            out.write(line + "\n")
            out.flush()
            os.fsync(out.fileno())
