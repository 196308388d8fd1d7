"""The one retry policy for model calls (runtime 9.3).

Vendors' SDKs retry nothing: a retry that the runtime cannot see would leave text on screens that the
answer does not have. Here each new attempt is announced, and what the failed one streamed is taken back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from lash.contracts import Model, ModelCallError, StreamSink
from lash.values import (
    AttemptReset,
    Clock,
    IdSource,
    ModelFailure,
    ModelRequest,
    ModelResponse,
    ModelStreamEvent,
    ReasoningDelta,
    Record,
    RetryStatus,
    TextDelta,
)


class RetryPolicy(Record, frozen=True, kw_only=True):
    """How often and how patiently a failed call is tried again.

    The wait before attempt n + 1 is drawn evenly from zero to `base_ms * 2 ** (n - 1)`, at most `cap_ms`
    ("full jitter"), so that many callers who failed together do not come back together. A vendor that
    names a time is waited for instead, up to `retry_after_cap_ms`.
    """

    max_attempts: int = 4
    base_ms: int = 2_000
    cap_ms: int = 10_000
    retry_after_cap_ms: int = 60_000

    def wait_ms(self, failed_attempt: int, failure: ModelFailure, draw: Callable[[], float]) -> int:
        """Return how long to wait after attempt `failed_attempt` (from 1)."""
        if failure.retry_after_ms is not None:
            return min(failure.retry_after_ms, self.retry_after_cap_ms)
        return int(draw() * min(self.cap_ms, self.base_ms * 2 ** (failed_attempt - 1)))


def draw_from(ids: IdSource) -> Callable[[], float]:
    """Return a source of even draws from [0, 1), made of fresh ids."""

    def draw() -> float:
        digest = hashlib.sha256(ids.new("jitter").encode()).digest()
        return int.from_bytes(digest[:7], "big") / 2**56

    return draw


class RetryingModel:
    """A model whose calls are tried again when that may help.

    Args:
        model: What is called; it must not retry by itself.
        clock: Sleeps between attempts.
        draw: Returns an even draw from [0, 1); see `draw_from`.
        policy: How often, how long.
    """

    def __init__(
        self,
        model: Model,
        *,
        clock: Clock,
        draw: Callable[[], float],
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
    ) -> None:
        self.model = model
        self.policy = policy
        self.provider_id = model.provider_id
        self.spec = model.spec
        self.capabilities = model.capabilities
        self._clock = clock
        self._draw = draw

    async def complete(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        """Return the answer of the first attempt that gives one.

        `attempt` in what `sink` hears is the number of the attempt that comes next.

        Raises:
            ModelCallError: the failure of the last attempt, with the number of attempts made.
        """
        attempt = 1
        while True:
            listener = _Listener(sink)
            try:
                return await self.model.complete(request, listener)
            except ModelCallError as problem:
                failure = problem.failure.replace(attempts=attempt)
                if not failure.retryable or attempt >= self.policy.max_attempts:
                    raise ModelCallError(failure) from problem
            wait_ms = self.policy.wait_ms(attempt, failure, self._draw)
            attempt += 1
            if listener.heard_content:
                sink(AttemptReset(attempt=attempt))
            sink(
                RetryStatus(
                    wait_ms=wait_ms,
                    attempt=attempt,
                    max_attempts=self.policy.max_attempts,
                    reason=failure.code,
                )
            )
            await self._clock.sleep_until(self._clock.now_ms() + wait_ms)

    async def close(self) -> None:
        """Close the model behind."""
        await self.model.close()


class _Listener:
    """Passes a stream on and remembers whether there is anything to take back."""

    def __init__(self, sink: StreamSink) -> None:
        self._sink = sink
        self.heard_content = False

    def __call__(self, event: ModelStreamEvent) -> None:
        if isinstance(event, TextDelta | ReasoningDelta):
            self.heard_content = True
        self._sink(event)
