"""The adapters against a server that nobody of us wrote (npm `@copilotkit/aimock`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lash.contracts import ModelCallError
from lash.providers import AnthropicMessages, OpenAIChat, OpenAIResponses, RetryingModel, resolve_model
from lash.values import (
    Message,
    ModelRequest,
    ModelStreamEvent,
    ReasoningDelta,
    ReasoningPart,
    RetryStatus,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
)

ADD = ToolSpec(
    name="add",
    description="Add two numbers.",
    input_schema={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)


class JumpingClock:
    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        return self.now

    async def sleep_until(self, at_ms: int) -> None:
        self.now = max(self.now, at_ms)


class Ids:
    def new(self, kind: str) -> str:
        return kind


@pytest.fixture(params=["responses", "chat", "anthropic"])
async def model(request: pytest.FixtureRequest, peer: str) -> AsyncIterator[RetryingModel]:
    adapter: Any = {
        "responses": lambda: OpenAIResponses("gpt-5.4-mini", base_url=f"{peer}/v1", api_key="k"),
        "chat": lambda: OpenAIChat("gpt-5.4-mini", base_url=f"{peer}/v1", api_key="k"),
        "anthropic": lambda: AnthropicMessages("claude-haiku-4-5", base_url=peer, api_key="k"),
    }[request.param]()
    opened = resolve_model(adapter, clock=JumpingClock(), ids=Ids(), environ={})
    assert isinstance(opened, RetryingModel)
    yield opened
    await opened.close()


def asked(model: Any, text: str, *more: Message, **fields: Any) -> ModelRequest:
    first = Message(id="t:m0", role="user", parts=(TextPart(text=text),))
    return ModelRequest(model=model.spec, messages=(first, *more), instructions="Be brief.", **fields)


async def test_text_streams_and_usage_arrives(model: RetryingModel) -> None:
    heard: list[ModelStreamEvent] = []

    answer = await model.complete(asked(model, "say hello"), heard.append)

    text = "".join(part.text for part in answer.parts if isinstance(part, TextPart))
    pieces = [event.text for event in heard if isinstance(event, TextDelta)]
    assert text == "Hello from the peer, wörld. This text is longer than one chunk."
    assert "".join(pieces) == text
    assert len(pieces) > 1
    assert answer.usage == TokenUsage(input_tokens=100, output_tokens=20)
    assert answer.terminal_reason == "stop"


async def test_a_call_and_its_result_make_a_round(model: RetryingModel) -> None:
    first = await model.complete(asked(model, "add two", tools=(ADD,)), lambda _: None)
    (call,) = [part for part in first.parts if isinstance(part, ToolCallPart)]
    said = Message(id="t:m1", role="assistant", parts=first.parts)
    result = ToolResultPart(call_id=call.call_id, name="add", content=5)
    told = Message(id="t:m2", role="tool", parts=(result,))

    second = await model.complete(asked(model, "add two", said, told, tools=(ADD,)), lambda _: None)

    assert (call.name, call.args) == ("add", {"a": 2, "b": 3})
    assert call.call_id == "call_peer"
    assert first.terminal_reason == "tool_use"
    assert "".join(part.text for part in second.parts if isinstance(part, TextPart)) == "It is 5."


async def test_reasoning_is_kept_apart_and_goes_back(model: RetryingModel) -> None:
    heard: list[ModelStreamEvent] = []

    answer = await model.complete(asked(model, "think first"), heard.append)

    thoughts = [part.text for part in answer.parts if isinstance(part, ReasoningPart)]
    assert "".join(thoughts) == "Hm, let me see."
    assert "".join(e.text for e in heard if isinstance(e, ReasoningDelta)) == "Hm, let me see."
    assert "".join(part.text for part in answer.parts if isinstance(part, TextPart)) == "Done."
    said = Message(id="t:m1", role="assistant", parts=answer.parts)
    again = Message(id="t:m2", role="user", parts=(TextPart(text="say hello"),))
    await model.complete(asked(model, "think first", said, again), lambda _: None)


async def test_a_rate_limit_is_waited_out(model: RetryingModel, sent: Callable[[], Any]) -> None:
    heard: list[ModelStreamEvent] = []

    answer = await model.complete(asked(model, f"too fast [{model.provider_id}]"), heard.append)

    assert "".join(part.text for part in answer.parts if isinstance(part, TextPart)) == "Now I can."
    assert heard[0] == RetryStatus(wait_ms=3_000, attempt=2, max_attempts=4, reason="model_rate_limited")
    assert sent()["response"]["status"] == 200


async def test_an_overflow_is_told_from_other_bad_requests(model: RetryingModel) -> None:
    with pytest.raises(ModelCallError) as caught:
        await model.complete(asked(model, "too long"), lambda _: None)

    assert caught.value.code == "model_context_overflow"
    assert caught.value.failure.terminal_reason == "context_overflow"
    assert caught.value.failure.attempts == 1


async def test_the_output_limit_is_seen(model: RetryingModel) -> None:
    answer = await model.complete(asked(model, "no end"), lambda _: None)

    assert answer.terminal_reason == "output_limit"
    assert "".join(part.text for part in answer.parts if isinstance(part, TextPart)) == "Once upon a"
