"""When a failed attempt of a tool may be followed by another, and after how long.

The law: an at-most-once tool is never started again unless it said itself, by
`ToolError(retryable=True)`, that nothing has happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lash.errors import LashError, ToolError

Effect = Literal["read_only", "idempotent", "at_most_once"]

_SHIFT_MAX = 62  # doublings beyond this exceed any cap that fits the journal's integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a tool is tried, and how long to wait in between.

    Attributes:
        attempts: Attempts in all, the first included.
        base_ms: The wait before the second attempt; it doubles from there.
        cap_ms: The longest wait, also for waits that a failure asks for.
        on: Exception types, beside retryable `ToolError`s and timeouts, after which a read-only or
            idempotent tool is tried again. At-most-once tools ignore them.
    """

    attempts: int = 3
    base_ms: int = 200
    cap_ms: int = 10_000
    on: tuple[type[Exception], ...] = (ConnectionError, TimeoutError)

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.base_ms < 0 or self.cap_ms < 0:
            raise LashError(
                "tool_definition_invalid",
                f"a Retry needs attempts >= 1, base_ms >= 0 and cap_ms >= 0, not {self}",
            )

    def delay_ms(self, attempt: int, *, retry_after_ms: object = None) -> int:
        """Return the wait after the failed attempt number `attempt` (from 1).

        Args:
            attempt: Which attempt has failed.
            retry_after_ms: The wait that the failure itself asks for; it wins over the doubling. Anything
                that is no number of milliseconds is ignored.
        """
        if isinstance(retry_after_ms, int | float) and not isinstance(retry_after_ms, bool):
            # max() before int(): a NaN compares false and becomes 0, an infinity becomes the cap.
            return int(min(self.cap_ms, max(0, retry_after_ms)))
        return min(self.cap_ms, self.base_ms << min(attempt - 1, _SHIFT_MAX))


ONCE = Retry(attempts=1)


def may_retry(error: BaseException, effect: Effect, policy: Retry, *, timed_out: bool) -> bool:
    """Return whether a tool of class `effect` may be started again after `error`.

    Args:
        error: What the attempt ended with.
        effect: The tool's declared class of side effects.
        policy: The tool's policy; how many attempts are left is the caller's business.
        timed_out: Whether lash ended the attempt because its time was up.
    """
    if isinstance(error, ToolError) and not timed_out:
        return error.retryable
    if effect == "at_most_once":
        return False
    return timed_out or isinstance(error, policy.on) or (isinstance(error, LashError) and error.retryable)
