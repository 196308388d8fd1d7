"""A scripted model plays what it is told, when it is told, and says when it was not."""

from __future__ import annotations

import asyncio

import pytest

from lash.contracts import ModelCallError
from lash.errors import LashError
from lash.testing import ScriptedModel, call, garbled_call, load_script, reply, steps_taken
from lash.values import (
    Message,
    ModelFailure,
    ModelRequest,
    ModelSpec,
    ModelStreamEvent,
    ReasoningDelta,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolResultPart,
)

SPEC = ModelSpec(id="m", context_window_tokens=1000)


def said(role: str, text: str, message_id: str) -> Message:
    return Message(id=message_id, role=role, parts=(TextPart(text=text),))  # type: ignore[arg-type]  # test literals


def asked(*messages: Message, key: str = "k") -> ModelRequest:
    return ModelRequest(model=SPEC, messages=messages or (said("user", "hi", "t1:m0"),), call_key=key)


async def test_text_is_streamed_in_pieces_that_join_to_the_answer() -> None:
    heard: list[ModelStreamEvent] = []
    model = ScriptedModel(["abcdefgh"], chunk_chars=3)

    answer = await model.complete(asked(), heard.append)

    assert heard == [TextDelta(text="abc"), TextDelta(text="def"), TextDelta(text="gh")]
    assert answer.parts == (TextPart(text="abcdefgh"),)
    assert answer.terminal_reason == "stop"


async def test_calls_get_ids_that_depend_on_the_call_key_alone() -> None:
    script = [[call("add", a=1, b=2), call("add", a=3, b=4)]]

    first = await ScriptedModel(script).complete(asked(key="s:t:0"), lambda _: None)
    again = await ScriptedModel(script).complete(asked(key="s:t:0"), lambda _: None)
    other = await ScriptedModel(script).complete(asked(key="s:t:1"), lambda _: None)

    ids = [part.call_id for part in first.parts if isinstance(part, ToolCallPart)]
    assert len(set(ids)) == 2
    assert all(ids)
    assert first == again
    assert first != other
    assert first.terminal_reason == "tool_use"


async def test_a_new_process_goes_on_at_the_step_the_conversation_is_at() -> None:
    script = [call("look", path="x"), call("look", path="y"), "done"]
    history = (
        said("user", "old question", "t0:m0"),
        said("assistant", "old answer", "t0:m1"),
        said("user", "question", "t1:m0"),
        Message(id="t1:m1", role="assistant", parts=(ToolCallPart(call_id="c", name="look"),)),
        Message(id="t1:m2", role="tool", parts=(ToolResultPart(call_id="c", name="look", content="ok"),)),
        said("user", "injected while it ran", "t1:m3"),
    )
    fresh = ScriptedModel(script, by_request=True)

    answer = await fresh.complete(asked(*history), lambda _: None)

    (part,) = answer.parts
    assert isinstance(part, ToolCallPart)
    assert part.args == {"path": "y"}
    assert steps_taken(asked(*history)) == 1


async def test_each_turn_plays_a_script_by_request_from_its_start() -> None:
    model = ScriptedModel(["one"], by_request=True)

    await model.complete(asked(said("user", "a", "t1:m0")), lambda _: None)
    second = await model.complete(
        asked(said("user", "a", "t1:m0"), said("assistant", "one", "t1:m1"), said("user", "b", "t2:m0")),
        lambda _: None,
    )

    assert second.parts == (TextPart(text="one"),)
    model.assert_exhausted()


def test_messages_without_turn_ids_count_from_the_last_user_message() -> None:
    assert steps_taken(asked(said("user", "a", "1"), said("assistant", "b", "2"))) == 1
    assert steps_taken(asked(said("assistant", "b", "2"), said("user", "a", "1"))) == 0
    assert steps_taken(ModelRequest(model=SPEC, messages=())) == 0


async def test_an_unfinished_script_and_an_overrun_one_are_told_apart() -> None:
    model = ScriptedModel(["a", "b"])
    await model.complete(asked(), lambda _: None)

    with pytest.raises(AssertionError, match="only 1 of 2"):
        model.assert_exhausted()
    await model.complete(asked(), lambda _: None)
    model.assert_exhausted()
    with pytest.raises(ModelCallError) as caught:
        await model.complete(asked(), lambda _: None)
    assert caught.value.code == "script_exhausted"
    with pytest.raises(AssertionError, match="1 times beyond"):
        model.assert_exhausted()


async def test_a_cut_stream_has_streamed_exactly_what_was_asked_for() -> None:
    heard: list[ModelStreamEvent] = []
    model = ScriptedModel([reply("abcdefgh", fail_after_chars=5)], chunk_chars=3)

    with pytest.raises(ModelCallError) as caught:
        await model.complete(asked(), heard.append)

    assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == "abcde"
    assert caught.value.code == "model_stream_cut"
    assert caught.value.retryable


async def test_failures_and_exceptions_are_raised_as_they_are() -> None:
    failure = ModelFailure(kind="quota", code="model_quota", message="empty")
    model = ScriptedModel([failure, LashError("disk_full"), ValueError("odd")])

    with pytest.raises(ModelCallError) as caught:
        await model.complete(asked(), lambda _: None)
    assert caught.value.failure == failure
    with pytest.raises(LashError, match="disk_full"):
        await model.complete(asked(), lambda _: None)
    with pytest.raises(ValueError, match="odd"):
        await model.complete(asked(), lambda _: None)
    model.assert_exhausted()


async def test_a_step_may_be_a_function_that_looks_at_the_request() -> None:
    async def later(request: ModelRequest) -> object:
        await asyncio.sleep(0)
        return lambda _: request.messages[0].text.upper()

    model = ScriptedModel([later])

    answer = await model.complete(asked(said("user", "loud", "t:m0")), lambda _: None)

    assert answer.parts == (TextPart(text="LOUD"),)


async def test_reasoning_is_streamed_apart_from_text() -> None:
    heard: list[ModelStreamEvent] = []

    await ScriptedModel([reply("yes", reasoning="hm")]).complete(asked(), heard.append)

    assert heard == [ReasoningDelta(text="hm", block="0"), TextDelta(text="yes", block="1")]


async def test_a_garbled_call_keeps_its_raw_text() -> None:
    answer = await ScriptedModel([garbled_call("add", "{a:")]).complete(asked(), lambda _: None)

    (part,) = answer.parts
    assert isinstance(part, ToolCallPart)
    assert (part.name, part.args, part.raw_args) == ("add", {}, "{a:")


async def test_usage_is_counted_stated_per_step_or_stated_for_all() -> None:
    request = asked(said("user", "12345678", "t:m0"))

    counted = await ScriptedModel(["123456789"]).complete(request, lambda _: None)
    flat = TokenUsage(input_tokens=7, output_tokens=2)
    own = TokenUsage(input_tokens=1, output_tokens=1)
    model = ScriptedModel(["a", reply("b", usage=own)], usage=flat)
    await model.complete(request, lambda _: None)
    await model.complete(request, lambda _: None)

    assert counted.usage == TokenUsage(input_tokens=2, output_tokens=3)
    assert model.paid == TokenUsage(input_tokens=8, output_tokens=3)
    assert model.planned_usage() == TokenUsage(input_tokens=8, output_tokens=3)
    assert model.planned_usage(0, 1) == flat
    with pytest.raises(LashError, match="script_usage_unknown"):
        ScriptedModel(["a"]).planned_usage()


async def test_a_pause_before_a_piece_holds_the_stream_there() -> None:
    reached = asyncio.Event()
    heard: list[ModelStreamEvent] = []

    async def stop_at_second(index: int) -> None:
        if index == 1:
            reached.set()
            await asyncio.Event().wait()

    model = ScriptedModel([reply("abcd", before_chunk=stop_at_second)], chunk_chars=2)
    running = asyncio.create_task(model.complete(asked(), heard.append))
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert heard == [TextDelta(text="ab")]


async def test_requests_are_kept_as_they_were_when_they_were_made() -> None:
    growing = [said("user", "a", "t:m0")]
    model = ScriptedModel(["x"])

    await model.complete(ModelRequest(model=SPEC, messages=growing), lambda _: None)
    growing.append(said("assistant", "x", "t:m1"))

    assert [message.id for message in model.requests[0].messages] == ["t:m0"]


SCRIPT = ["from a module"]


async def test_a_script_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "script_under_test", sys.modules[__name__])

    answer = await load_script("script_under_test:SCRIPT").complete(asked(), lambda _: None)

    assert answer.parts == (TextPart(text="from a module"),)
    for wrong in ("script_under_test:NONE", "no_such_module:X", "script_under_test:SPEC", "plain"):
        with pytest.raises(LashError) as caught:
            load_script(wrong)
        assert caught.value.code == "script_invalid"
