"""A failed attempt is announced, waited for, and what it streamed is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.contracts import ModelCallError
from lash.errors import LashError
from lash.providers import RetryingModel, RetryPolicy, draw_from
from lash.testing import ScriptedModel, reply
from lash.values import (
    AttemptReset,
    ModelFailure,
    ModelStreamEvent,
    RetryStatus,
    TextDelta,
    TextPart,
)

BUSY = ModelFailure(kind="http", code="model_overloaded", message="busy", status=503, retryable=True)
REFUSED = ModelFailure(kind="auth", code="model_auth", message="no")


def retrying(steps: list[Any], clock: Any, draw: float = 0.5, **policy: int) -> RetryingModel:
    return RetryingModel(
        ScriptedModel(steps, chunk_chars=100), clock=clock, draw=lambda: draw, policy=RetryPolicy(**policy)
    )


async def test_streamed_text_is_retracted_before_the_next_attempt(
    clock: Any, ask: Callable[..., Any], heard: list[ModelStreamEvent]
) -> None:
    model = retrying([reply("Half an ans", fail_after_chars=11), "The whole answer"], clock)

    answer = await model.complete(ask(), heard.append)

    assert heard == [
        TextDelta(text="Half an ans"),
        AttemptReset(attempt=2),
        RetryStatus(wait_ms=1_000, attempt=2, max_attempts=4, reason="model_stream_cut"),
        TextDelta(text="The whole answer"),
    ]
    assert answer.parts == (TextPart(text="The whole answer"),)
    assert clock.sleeps == [1_000]


async def test_nothing_streamed_is_nothing_retracted(
    clock: Any, ask: Callable[..., Any], heard: list[ModelStreamEvent]
) -> None:
    await retrying([BUSY, "yes"], clock).complete(ask(), heard.append)

    assert [type(event) for event in heard] == [RetryStatus, TextDelta]


async def test_waits_grow_to_the_cap_and_attempts_end(clock: Any, ask: Callable[..., Any]) -> None:
    model = retrying([BUSY] * 4, clock, draw=0.999999)

    with pytest.raises(ModelCallError) as caught:
        await model.complete(ask(), lambda _: None)

    assert clock.sleeps == [1_999, 3_999, 7_999]
    assert caught.value.failure == BUSY.replace(attempts=4)


async def test_what_cannot_help_is_not_tried_again(clock: Any, ask: Callable[..., Any]) -> None:
    model = retrying([REFUSED, "never"], clock)

    with pytest.raises(ModelCallError) as caught:
        await model.complete(ask(), lambda _: None)

    assert caught.value.failure == REFUSED
    assert clock.sleeps == []


@pytest.mark.parametrize(("asked_ms", "waited_ms"), [(7_000, 7_000), (0, 0), (300_000, 60_000)])
async def test_the_vendor_says_when(
    asked_ms: int, waited_ms: int, clock: Any, ask: Callable[..., Any]
) -> None:
    await retrying([BUSY.replace(retry_after_ms=asked_ms), "yes"], clock).complete(ask(), lambda _: None)

    assert clock.sleeps == [waited_ms]


async def test_other_errors_pass_through_at_once(clock: Any, ask: Callable[..., Any]) -> None:
    with pytest.raises(LashError, match="disk_full"):
        await retrying([LashError("disk_full"), "never"], clock).complete(ask(), lambda _: None)


async def test_cancelling_ends_the_wait(ask: Callable[..., Any]) -> None:
    sleeping = asyncio.Event()

    class Stopped:
        def now_ms(self) -> int:
            return 0

        async def sleep_until(self, at_ms: int) -> None:
            sleeping.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(retrying([BUSY, "never"], Stopped()).complete(ask(), lambda _: None))
    await sleeping.wait()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


@given(
    attempt=st.integers(1, 40),
    draw=st.floats(0, 1, exclude_max=True),
    base=st.integers(0, 10_000),
    cap=st.integers(0, 60_000),
)
def test_jitter_stays_below_the_cap(attempt: int, draw: float, base: int, cap: int) -> None:
    wait = RetryPolicy(base_ms=base, cap_ms=cap).wait_ms(attempt, BUSY, lambda: draw)

    assert 0 <= wait <= min(cap, base * 2 ** (attempt - 1))


def test_draws_are_even_and_come_from_the_ids_alone(ids: Any) -> None:
    draw = draw_from(ids)
    drawn = [draw() for _ in range(2_000)]

    assert all(0 <= number < 1 for number in drawn)
    assert 0.45 < sum(drawn) / len(drawn) < 0.55
    assert len(set(drawn)) == len(drawn)
    assert draw_from(type(ids)())() == drawn[0]
