"""Which failures are tried again, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError, ToolError
from lash.tools import Cancellation, Retry, ToolContext, tool
from lash.values import PreparedToolCall

SAFE = ["read_only", "idempotent"]
ALL = [*SAFE, "at_most_once"]


def failing(error: BaseException, effect: Any, retry: Any, succeeds_at: int = 99) -> tuple[Any, list[int]]:
    attempts: list[int] = []

    async def f(ctx: ToolContext) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < succeeds_at:
            raise error
        return ctx.idempotency_key

    return tool(f, effect=effect, retry=retry), attempts


@pytest.mark.parametrize("effect", ALL)
async def test_a_tool_that_says_nothing_happened_is_tried_again(call: Any, effect: str) -> None:
    one, attempts = failing(ToolError("busy", "later", retryable=True), effect, 3, succeeds_at=3)
    result = await call(one)
    assert attempts == [1, 2, 3]
    assert result.content == "lash-tool:s1:t1:c1:f"
    assert result.attempts == 3
    assert call.slept_ms == [200, 400]


@pytest.mark.parametrize("effect", ALL)
async def test_a_final_tool_error_is_not_tried_again(call: Any, effect: str) -> None:
    one, attempts = failing(ToolError("no", "never"), effect, 3)
    assert (await call(one)).error.code == "no"
    assert attempts == [1]


@pytest.mark.parametrize(
    "error", [ConnectionError("x"), TimeoutError("x"), LashError("busy", "x", retryable=True)], ids=repr
)
@pytest.mark.parametrize("effect", ALL)
async def test_trouble_with_the_world_is_tried_again_unless_at_most_once(
    call: Any, effect: str, error: Exception
) -> None:
    one, attempts = failing(error, effect, 2)
    await call(one)
    assert attempts == ([1] if effect == "at_most_once" else [1, 2])


@pytest.mark.parametrize("effect", ALL)
async def test_a_bug_is_not_tried_again(call: Any, effect: str) -> None:
    one, attempts = failing(ValueError("x"), effect, 3)
    await call(one)
    assert attempts == [1]
    assert len(call.crashes) == 1


async def test_a_policy_may_name_other_exceptions(call: Any) -> None:
    one, attempts = failing(ValueError("x"), "read_only", Retry(attempts=2, on=(ValueError,)))
    await call(one)
    assert attempts == [1, 2]


@pytest.mark.parametrize("effect", ALL)
async def test_a_timeout_is_tried_again_unless_at_most_once(call: Any, effect: Any) -> None:
    attempts = []

    @tool(effect=effect, timeout=0.01, retry=2)
    async def f(ctx: ToolContext) -> None:
        attempts.append(ctx.attempt)
        await asyncio.Event().wait()

    assert (await call(f)).error.code == "tool_timeout"
    assert attempts == ([1] if effect == "at_most_once" else [1, 2])


async def test_without_a_policy_there_is_one_attempt(call: Any) -> None:
    one, attempts = failing(ToolError("busy", "later", retryable=True), "read_only", None)
    assert (await call(one)).error.retryable is True
    assert attempts == [1]


async def test_the_effect_class_that_was_recorded_decides(call: Any) -> None:
    one, attempts = failing(ConnectionError("x"), "idempotent", 3)
    from lash.tools import ToolSet

    prepared = PreparedToolCall(call_id="c", tool_name="f", args={}, effect="at_most_once")
    await ToolSet([one]).execute(prepared, call.invocation())
    assert attempts == [1]


async def test_the_failure_may_ask_for_a_wait_of_its_own(call: Any) -> None:
    error = ToolError("busy", "later", retryable=True, retry_after_ms=1234)
    one, _ = failing(error, "at_most_once", Retry(attempts=3, base_ms=1, cap_ms=2000))
    await call(one)
    assert call.slept_ms == [1234, 1234]


async def test_a_cancelled_turn_ends_the_wait_between_attempts(call: Any) -> None:
    cancellation, asleep = Cancellation(), asyncio.Event()

    async def sleep(duration_ms: int) -> None:
        asleep.set()
        await asyncio.Event().wait()

    one, attempts = failing(ToolError("busy", "later", retryable=True), "read_only", 5)
    task = asyncio.create_task(call(one, sleep=sleep, cancellation=cancellation))
    await asleep.wait()
    cancellation.cancel()
    assert (await task).error.code == "busy"
    assert attempts == [1]


async def test_a_sleep_that_fails_is_not_the_tools_failure(call: Any) -> None:
    async def sleep(duration_ms: int) -> None:
        raise LashError("effect_replay_lease_lost", "another driver took over")

    one, _ = failing(ToolError("busy", "later", retryable=True), "read_only", 5)
    with pytest.raises(LashError) as caught:
        await call(one, sleep=sleep)
    assert caught.value.code == "effect_replay_lease_lost"


def test_waits_double_up_to_the_cap() -> None:
    policy = Retry(attempts=9, base_ms=100, cap_ms=1000)
    assert [policy.delay_ms(n) for n in range(1, 7)] == [100, 200, 400, 800, 1000, 1000]
    assert policy.delay_ms(10_000) == 1000


@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.none() | st.floats() | st.integers() | st.text() | st.booleans(),
)
def test_no_wait_is_negative_or_beyond_the_cap(attempt: int, base: int, cap: int, asked: object) -> None:
    delay = Retry(base_ms=base, cap_ms=cap).delay_ms(attempt, retry_after_ms=asked)
    assert type(delay) is int
    assert 0 <= delay <= cap
