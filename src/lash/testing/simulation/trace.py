"""What happened in a simulation, line by line: the same bytes for the same seed."""

from __future__ import annotations

import asyncio
import hashlib


class Trace:
    """Lines with the virtual time, who, and what."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, who: str, what: str) -> None:
        """Add a line."""
        self.lines.append(f"{asyncio.get_running_loop().time():10.3f} {who:<8} {what}")

    def text(self) -> str:
        """Return all of it."""
        return "\n".join(self.lines) + "\n"

    def digest(self) -> str:
        """Return a hash of all of it."""
        return hashlib.sha256(self.text().encode()).hexdigest()
