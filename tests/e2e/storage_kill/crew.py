"""Writers as operating-system processes: started together, listened to, killed at a moment that was drawn."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Moment:
    """When to kill: after so many answers and a little more. Without answers the time counts from the start."""

    answers: int
    delay_ms: float

    @classmethod
    def draw(cls, random: Random) -> Moment:
        """One in eight falls into the start of the process and the opening of the database."""
        if random.random() < 0.125:
            return cls(0, random.uniform(50, 400))
        return cls(random.randint(1, 120), random.uniform(0, 3))


class WriterProcess:
    """One running writer. A thread of its own hears it, so that it never waits for a reader."""

    def __init__(
        self,
        url: str,
        name: str,
        seed: int,
        *,
        moment: Moment | None,
        operations: int | None = None,
        is_hasty: bool = False,
    ) -> None:
        command = [sys.executable, "-m", "tests.e2e.storage_kill.writer", url, name, str(seed)]
        self._moment = moment
        if operations is not None:
            command += ["--operations", str(operations)]
        if is_hasty:
            command.append("--hasty")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        self._lines: list[bytes] = []
        self._has_lines = threading.Condition()
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    def wait_for(self, lines: int, patience_seconds: float = 60) -> None:
        """Wait until it has said so many lines, or has ended."""
        with self._has_lines:
            said = self._has_lines.wait_for(
                lambda: len(self._lines) >= lines or not self._hearing.is_alive(), patience_seconds
            )
        assert said, f"a writer said {len(self._lines)} lines in {patience_seconds} s, not {lines}"

    def ended(self, patience_seconds: float = 120) -> list[bytes]:
        """Wait for its end and return everything that it said."""
        try:
            self._process.wait(patience_seconds)
        finally:
            self._process.kill()
            self._process.wait()
            self._hearing.join()
        return self._lines

    @property
    def was_killed(self) -> bool:
        return self._process.returncode == -9

    @property
    def ended_well(self) -> bool:
        return self._process.returncode == 0

    def _hear(self) -> None:
        assert self._process.stdout is not None
        moment, answers = self._moment, 0
        if moment is not None and moment.answers == 0:
            self._kill_after(moment.delay_ms)
        with self._process.stdout as told:
            for line in told:
                with self._has_lines:
                    self._lines.append(line)
                    self._has_lines.notify_all()
                answers += line.startswith(b'{"told"')
                if moment is not None and answers == moment.answers:
                    self._kill_after(moment.delay_ms)
        with self._has_lines:
            self._has_lines.notify_all()

    def _kill_after(self, delay_ms: float) -> None:
        time.sleep(delay_ms / 1000)  # the moment itself, not a wait for something
        self._process.kill()
