"""The server's time, known without asking for it.

Leases of many machines are compared with one clock, the server's (ruling 10). A script needs its time before
its first statement, and to ask for it would cost a round trip. So the clock of this machine is used with a
correction, which every transaction checks: its first flight brings the server's time, and with it the interval
in which the correction must lie.
"""

from __future__ import annotations

from lash.values.environment import Clock


class ServerClock:
    """The machine's clock, corrected to the server's; or one that a test sets, as it is."""

    def __init__(self, clock: Clock, *, is_frozen: bool) -> None:
        """Start without a correction.

        Args:
            clock: What to correct.
            is_frozen: Whether it stands for the server's time as it is, because a test sets it.
        """
        self.is_frozen = is_frozen
        self._clock = clock
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """Return the server's time, as far as it is known."""
        return self._clock.now_ms() + self._ahead_ms

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the server's time has reached `at_ms`."""
        while self.now_ms() < at_ms:
            await self._clock.sleep_until(at_ms - self._ahead_ms)

    def local_ms(self) -> int:
        """Return this machine's time, for `learn`."""
        return self._clock.now_ms()

    def learn(self, server_ms: int, sent_ms: int, received_ms: int) -> int:
        """Correct the clock by what the server said.

        Args:
            server_ms: The server's time, read between the two others.
            sent_ms: This machine's time before the question.
            received_ms: This machine's time after the answer.

        Returns:
            By how many milliseconds the correction was off.
        """
        if self.is_frozen:
            return 0
        least, most = server_ms - received_ms, server_ms - sent_ms
        known = self._ahead_ms
        self._ahead_ms = min(max(known, least), max(least, most))
        return abs(self._ahead_ms - known)
