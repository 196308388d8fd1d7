"""Each measurement has a process of its own, and says what it found row by row.

A child's standard output belongs to its rows; whatever a peer prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable


class ChildFailedError(Exception):
    """The child ended otherwise than it should have; the text says how."""


class Rows:
    """Where a child says what it found."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def row(self, label: str, **figures: float | None) -> None:
        """Hand a row to the parent; figures that nobody could take are left out."""
        known = {name: figure for name, figure in figures.items() if figure is not None}
        self._out.write(json.dumps([label, known]) + "\n")
        self._out.flush()


def run(
    module: str,
    *arguments: str,
    environment: dict[str, str],
    limit_s: float,
    row: Callable[[str, dict[str, float]], None],
    killed: bool = False,
) -> None:
    """Run `python -m peers.<module>` and pass on its rows as they come.

    Args:
        limit_s: When the child is ended, in seconds.
        row: What takes the rows.
        killed: The child is to end by its own SIGKILL.

    Raises:
        ChildFailedError: when it did not end as it should have.
    """
    command = [sys.executable, "-m", f"peers.{module}", *arguments]
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, env={**os.environ, **environment}
        )
        too_late = threading.Event()

        def end() -> None:
            too_late.set()
            child.kill()

        clock = threading.Timer(limit_s, end)
        clock.start()
        try:
            assert child.stdout is not None
            with child.stdout:
                for line in child.stdout:
                    row(*json.loads(line))
            status = child.wait()
        finally:
            clock.cancel()
            child.kill()  # nothing happens to one that has ended
            child.wait()
        if too_late.is_set():
            raise ChildFailedError(f"stopped after {limit_s:.0f} s")
        if status != (-signal.SIGKILL if killed else 0):
            said.seek(0)
            lines = [line for line in said.read().splitlines() if line.strip()]
            raise ChildFailedError(lines[-1].strip() if lines else f"ended with status {status}")
