"""One call from start to result: lanes, injection, failure, timeout, cancellation."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import subprocess
import sys
import threading
from typing import Any

import pytest

from lash.errors import LashError, ToolError
from lash.tools import Cancellation, ToolContext, ToolInvocation, ToolSet, tool, tool_idempotency_key
from lash.values import PreparedToolCall, ToolCallPart

place = contextvars.ContextVar("place", default="nowhere")


async def test_async_tools_run_on_the_loop_and_sync_tools_in_a_thread(call: Any) -> None:
    @tool
    async def on_loop() -> str:
        return threading.current_thread().name

    @tool
    def in_thread() -> str:
        return threading.current_thread().name

    assert (await call(on_loop)).content == threading.current_thread().name
    assert (await call(in_thread)).content == "lash-tool"


async def test_context_variables_reach_both_lanes(call: Any) -> None:
    @tool
    async def on_loop() -> str:
        return place.get()

    @tool
    def in_thread() -> str:
        return place.get()

    place.set("here")
    assert (await call(on_loop)).content == "here"
    assert (await call(in_thread)).content == "here"


async def test_a_plain_function_may_return_a_coroutine(call: Any) -> None:
    async def inner(n: int) -> int:
        return n + 1

    def outer(n: int) -> Any:
        return inner(n)

    assert (await call(tool(outer), {"n": 1})).content == 2
    assert (await call(tool(functools.partial(inner, n=4), name="p"))).content == 5


async def test_the_context_stands_wherever_it_is_annotated(call: Any) -> None:
    @tool
    async def f(a: int, ctx: ToolContext, b: int = 2) -> dict[str, Any]:
        return {
            "sum": a + b,
            "session": ctx.session_id,
            "turn": ctx.turn_id,
            "call": ctx.call_id,
            "agent": ctx.agent,
            "attempt": ctx.attempt,
            "key": ctx.idempotency_key,
            "context": ctx.context,
            "cancelled": ctx.cancelled,
        }

    assert list(f.spec.input_schema["properties"]) == ["a", "b"]
    assert (await call(f, {"a": 1}, context={"user": 7})).content == {
        "sum": 3,
        "session": "s1",
        "turn": "t1",
        "call": "c1",
        "agent": "reader",
        "attempt": 1,
        "key": "lash-tool:s1:t1:c1:f",
        "context": {"user": 7},
        "cancelled": False,
    }


def test_idempotency_keys_never_collide_and_fit_a_header() -> None:
    assert tool_idempotency_key("s", "t", "c", "f") == "lash-tool:s:t:c:f"
    assert tool_idempotency_key("a:b", "c", "d", "f") != tool_idempotency_key("a", "b:c", "d", "f")
    for session in ("x" * 10_000, "🦀/é", "a\nb"):
        key = tool_idempotency_key(session, "t", "c", "f")
        assert len(key) <= 255
        assert key.isascii()
        assert key.isprintable()
        assert key != tool_idempotency_key(session, "t2", "c", "f")


async def test_a_tool_error_is_told_with_its_own_code(call: Any) -> None:
    @tool
    def f() -> None:
        raise ToolError("no_such_user", "user 7 is unknown", user=7, when=object())

    result = await call(f)
    assert result.error.code == "no_such_user"
    assert result.error.facts == {"user": 7, "when": "<object>"}
    assert result.content == "Error (no_such_user): user 7 is unknown"
    assert call.crashes == []


async def test_a_crash_tells_the_model_type_and_text_and_the_operator_the_traceback(call: Any) -> None:
    @tool
    def f() -> None:
        raise ZeroDivisionError("no way")

    result = await call(f)
    assert result.error.code == "tool_failed"
    assert result.content == "Error (tool_failed): ZeroDivisionError: no way"
    (crash,) = call.crashes
    assert (crash.tool_name, crash.call_id, crash.attempt) == ("f", "c1", 1)
    assert "in f" in crash.traceback
    assert 'raise ZeroDivisionError("no way")' in crash.traceback


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Panic(BaseException):
    """What a native library raises when it broke."""


@pytest.mark.parametrize(
    "error",
    [
        StopIteration(3),
        StopAsyncIteration(),
        GeneratorExit(),
        Unprintable(),
        Panic("rust"),
        MemoryError(),
        ExceptionGroup("several", [ValueError("x")]),
        ValueError("x" * 10_000_000),
        ValueError("\ud800"),
        asyncio.CancelledError(),
        LashError("head_revision_conflict", "not the tool's"),
    ],
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_whatever_a_tool_raises_becomes_a_result(
    call: Any, error: BaseException, is_async: bool
) -> None:
    def sync() -> None:
        raise error

    async def on_loop() -> None:
        raise error

    result = await call(tool(on_loop if is_async else sync))
    assert result.error is not None
    assert len(result.content) < 5000
    result.content.encode("utf-8")


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit(7)"])
@pytest.mark.parametrize("kind", ["async def", "def"])
def test_what_ends_the_process_is_not_contained(error: str, kind: str) -> None:
    """In a process of its own: pytest would take these as meant for itself."""
    program = f"""
import asyncio
from lash.tools import ToolInvocation, ToolSet, tool
from lash.values import PreparedToolCall

{kind} f() -> None:
    raise {error}

async def main():
    await ToolSet([f]).execute(
        PreparedToolCall(call_id="c", tool_name="f", args={{}}), ToolInvocation(session_id="s", turn_id="t")
    )
    print("contained")

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert "contained" not in ended.stdout
    if error == "KeyboardInterrupt":
        assert "KeyboardInterrupt" in ended.stderr
        assert ended.returncode != 0
    else:
        assert ended.returncode == 7


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("is_async", [True, False])
def test_a_loop_that_is_started_again_still_sees_what_ended_the_process(
    call: Any, error: type[BaseException], is_async: bool
) -> None:
    def sync() -> None:
        raise error

    async def on_loop() -> None:
        raise error

    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(call(tool(on_loop if is_async else sync)))
        for _ in range(2):
            with pytest.raises(error):
                loop.run_until_complete(task)
    finally:
        loop.close()
    assert call.crashes == []


async def test_a_timeout_cancels_an_async_tool_and_tells_the_model(call: Any) -> None:
    cleaned = asyncio.Event()

    @tool(timeout=0.01)
    async def f() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    result = await call(f)
    assert cleaned.is_set()
    assert result.error.code == "tool_timeout"
    assert "within 0.01 s" in result.content
    assert "may have taken effect" in result.content


async def test_a_timeout_leaves_a_sync_tool_behind_that_can_notice(call: Any) -> None:
    noticed = threading.Event()

    @tool(timeout=0.01, effect="read_only")
    def f(ctx: ToolContext) -> str:
        while not ctx.cancelled:
            threading.Event().wait(0.001)
        ctx.progress("too late")
        noticed.set()
        return "too late"

    result = await call(f)
    assert result.error.code == "tool_timeout"
    assert await asyncio.to_thread(noticed.wait, 30)
    assert call.progress == []


async def test_a_tool_in_time_is_not_disturbed(call: Any) -> None:
    @tool(timeout=60)
    async def f() -> int:
        return 1

    assert (await call(f)).content == 1


async def test_cancelling_the_caller_cancels_the_tool(call: Any) -> None:
    running, cleaned = asyncio.Event(), asyncio.Event()

    @tool
    async def f(ctx: ToolContext) -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            assert ctx.cancelled
            cleaned.set()

    task = asyncio.create_task(call(f))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_cancelling_the_caller_abandons_a_thread(call: Any) -> None:
    running, release = threading.Event(), threading.Event()

    @tool
    def f() -> None:
        running.set()
        release.wait(30)

    task = asyncio.create_task(call(f))
    assert await asyncio.to_thread(running.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()


async def test_a_cancelled_turn_gives_a_tool_the_time_to_answer(call: Any) -> None:
    cancellation, running = Cancellation(), asyncio.Event()

    @tool
    async def f(ctx: ToolContext) -> str:
        running.set()
        await ctx.wait_cancelled()
        return "half of it"

    task = asyncio.create_task(call(f, cancellation=cancellation))
    await running.wait()
    cancellation.cancel()
    assert (await task).content == "half of it"


async def test_a_cancelled_turn_does_not_wait_for_a_deaf_tool(call: Any) -> None:
    cancellation, running = Cancellation(), asyncio.Event()

    @tool
    async def f() -> None:
        running.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(call(f, cancellation=cancellation))
    await running.wait()
    cancellation.cancel()
    result = await task
    assert result.error.code == "tool_cancelled"
    assert call.crashes == []


async def test_progress_arrives_in_order_and_before_the_result(call: Any) -> None:
    @tool
    def in_thread(ctx: ToolContext) -> str:
        for n in range(100):
            ctx.progress({"done": n})
        return "ok"

    await call(in_thread)
    assert call.progress == [{"done": n} for n in range(100)]


async def test_progress_must_be_json(call: Any) -> None:
    @tool
    async def f(ctx: ToolContext) -> None:
        ctx.progress(object())

    assert (await call(f)).error.code == "json_not_representable"


async def test_tools_store_and_read_attachments_from_both_lanes(call: Any) -> None:
    @tool
    async def on_loop(ctx: ToolContext) -> str:
        ref = await ctx.put_attachment(b"abc", "text/csv", "table")
        return (await ctx.get_attachment(ref.id)).data.decode()

    @tool
    def in_thread(ctx: ToolContext) -> str:
        ref = ctx.put_attachment_sync(b"abc", "text/csv", "table")
        return ctx.get_attachment_sync(ref.id).data.decode()

    for one in (on_loop, in_thread):
        result = await call(one)
        assert result.content == "abc"
        (ref,) = result.attachments
        assert (ref.media_type, ref.label, ref.byte_len) == ("text/csv", "table", 3)


async def test_what_a_failed_tool_stored_still_belongs_to_its_call(call: Any) -> None:
    @tool
    async def f(ctx: ToolContext) -> None:
        await ctx.put_attachment(b"evidence")
        raise ToolError("broke", "after storing")

    assert [ref.byte_len for ref in (await call(f)).attachments] == [8]


async def test_the_sync_methods_refuse_to_block_the_loop(call: Any) -> None:
    @tool
    async def f(ctx: ToolContext) -> None:
        ctx.put_attachment_sync(b"abc")

    assert (await call(f)).error.code == "sync_call_on_running_loop"


async def test_attachments_need_a_store(call: Any) -> None:
    @tool
    async def f(ctx: ToolContext) -> None:
        await ctx.put_attachment(b"abc")

    assert (await call(f, attachments=None)).error.code == "attachments_unavailable"


async def test_a_call_that_needs_approval_does_not_run_without(call: Any) -> None:
    ran = []

    @tool(approval=lambda args: args["amount"] > 100)
    def pay(amount: int) -> str:
        ran.append(amount)
        return "paid"

    assert (await call(pay, {"amount": 5})).content == "paid"
    refused = await call(pay, {"amount": 500})
    assert (refused.error.code, refused.attempts) == ("tool_approval_required", 0)
    assert (await call(pay, {"amount": 500}, approved=True)).content == "paid"
    assert ran == [5, 500]


async def test_an_approval_rule_that_breaks_runs_nothing(call: Any) -> None:
    @tool(approval=lambda args: args["missing"])
    def pay() -> str:
        return "paid"

    assert (await call(pay)).error.code == "tool_failed"
    assert len(call.crashes) == 1


async def test_a_call_that_was_prepared_for_an_older_definition_is_refused() -> None:
    @tool
    def f(n: int) -> int:
        return n

    tools, invocation = ToolSet([f]), ToolInvocation(session_id="s", turn_id="t")
    renamed = PreparedToolCall(call_id="c", tool_name="f", args={"old": 1})
    result = await tools.execute(renamed, invocation)
    assert result.error is not None
    assert result.error.code == "invalid_tool_args"
    gone = await tools.execute(renamed.replace(tool_name="g"), invocation)
    assert gone.error is not None
    assert gone.error.code == "tool_unavailable"


async def test_calls_of_a_batch_run_side_by_side() -> None:
    meeting = asyncio.Barrier(3)

    @tool
    async def meet() -> None:
        await meeting.wait()

    tools, invocation = ToolSet([meet]), ToolInvocation(session_id="s", turn_id="t")
    prepared = [tools.prepare(ToolCallPart(call_id=str(n), name="meet")) for n in range(3)]
    async with asyncio.timeout(30):
        results = await asyncio.gather(*(tools.execute(one, invocation) for one in prepared))  # type: ignore[arg-type]
    assert [result.error for result in results] == [None] * 3


class Ticking:
    def __init__(self) -> None:
        self.now = 1000

    def now_ms(self) -> int:
        self.now += 250
        return self.now

    async def sleep_until(self, at_ms: int) -> None:
        self.now = at_ms


async def test_duration_comes_from_the_clock(call: Any) -> None:
    @tool
    async def f() -> None: ...

    assert (await call(f, clock=Ticking())).duration_ms == 250
