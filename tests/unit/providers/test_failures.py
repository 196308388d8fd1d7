"""Each way in which a vendor can fail has one code, the same for all vendors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lash.contracts import ModelCallError
from lash.providers import MODEL_FAILURES, Timeouts
from lash.providers.failures import retry_after_ms, vendor_failure
from lash.values import ModelStreamEvent, TextDelta, ToolSpec

KINDS = ("responses", "chat", "anthropic")

TEXT: dict[str, list[dict[str, Any]]] = {
    "responses": [{"type": "response.output_text.delta", "output_index": 0, "delta": "Hel"}],
    "chat": [{"id": "c", "choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}],
    "anthropic": [
        {
            "type": "message_start",
            "message": {
                "id": "m",
                "model": "x",
                "content": [],
                "usage": {"input_tokens": 1, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    ],
}
HALF_CALL: dict[str, list[dict[str, Any]]] = {
    "responses": [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "rm", "arguments": ""},
        },
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"path":"/"}'},
    ],
    "chat": [
        {
            "id": "c",
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "tool_calls": [
                            {"index": 0, "id": "c1", "function": {"name": "rm", "arguments": '{"path":"/"}'}}
                        ]
                    },
                    "finish_reason": None,
                }
            ],
        }
    ],
    "anthropic": [
        TEXT["anthropic"][0],
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "c1", "name": "rm", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"path":"/"}'},
        },
    ],
}


async def failing(model: Any, request: Any, sink: Callable[[Any], None] = lambda _: None) -> Any:
    with pytest.raises(ModelCallError) as caught:
        await model.complete(request, sink)
    return caught.value.failure


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "code", "kind_of_failure", "retryable"),
    [
        (400, "model_bad_request", "validation", False),
        (401, "model_auth", "auth", False),
        (403, "model_auth", "auth", False),
        (404, "model_not_found", "unsupported", False),
        (408, "model_timeout", "timeout", True),
        (409, "model_server_error", "http", True),
        (413, "model_bad_request", "validation", False),
        (422, "model_bad_request", "validation", False),
        (429, "model_rate_limited", "http", True),
        (500, "model_server_error", "http", True),
        (502, "model_server_error", "http", True),
        (503, "model_overloaded", "http", True),
        (504, "model_timeout", "timeout", True),
        (529, "model_overloaded", "http", True),
        (418, "model_bad_request", "validation", False),
        (599, "model_server_error", "http", True),
    ],
)
async def test_a_status_has_its_code(
    kind: str,
    status: int,
    code: str,
    kind_of_failure: str,
    retryable: bool,
    vendor: Any,
    open_model: Callable[..., Any],
    ask: Callable[..., Any],
) -> None:
    vendor.error(status, {"error": {"message": "no", "type": "strange"}})
    model = open_model(kind)

    failure = await failing(model, ask(model))

    assert (failure.code, failure.kind, failure.retryable) == (code, kind_of_failure, retryable)
    assert failure.status == status
    assert len(vendor.asked) == 1, "the SDK must not retry by itself"


@pytest.mark.parametrize("kind", KINDS)
async def test_retry_after_is_read(
    kind: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.error(429, {"error": {"message": "slow down", "type": "rate_limit_error"}}, retry_after="7")
    model = open_model(kind)

    failure = await failing(model, ask(model))

    assert failure.retry_after_ms == 7_000


@pytest.mark.parametrize(
    ("status", "message", "vendor_type", "vendor_code", "code"),
    [
        (429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota", "model_quota"),
        (400, "Your credit balance is too low", "invalid_request_error", "", "model_quota"),
        (
            400,
            "This model's maximum context length is 8192",
            "",
            "context_length_exceeded",
            "model_context_overflow",
        ),
        (
            400,
            "prompt is too long: 210000 tokens > 200000",
            "invalid_request_error",
            "",
            "model_context_overflow",
        ),
        (
            400,
            "exceeds the available context size",
            "exceed_context_size_error",
            "400",
            "model_context_overflow",
        ),
        (429, "Request too large: maximum context length, tokens per min", "", "", "model_rate_limited"),
        (400, "flagged", "", "content_policy_violation", "model_content_filter"),
        (400, "the model does not exist", "", "model_not_found", "model_not_found"),
        (None, "Overloaded", "overloaded_error", "", "model_overloaded"),
        (None, "busy", "", "rate_limit_exceeded", "model_rate_limited"),
        (None, "oops", "api_error", "", "model_server_error"),
        (None, "upstream", "", "502", "model_server_error"),
        (None, "who knows", "new_error", "", "model_error_unknown"),
    ],
)
def test_what_a_vendor_says_has_its_code(
    status: int | None, message: str, vendor_type: str, vendor_code: str, code: str
) -> None:
    found = vendor_failure(message, status=status, vendor_type=vendor_type, vendor_code=vendor_code)

    assert found.code == code
    assert found.retryable == MODEL_FAILURES[code].retryable
    expected = {"model_context_overflow": "context_overflow", "model_content_filter": "content_filter"}
    assert found.terminal_reason == expected.get(code)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["cut", "whole"])
async def test_a_stream_that_ends_early_is_cut_and_may_be_retried(
    kind: str, end: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events(kind, TEXT[kind], end=end)
    model = open_model(kind)
    heard: list[ModelStreamEvent] = []

    failure = await failing(model, ask(model), heard.append)

    assert (failure.code, failure.kind, failure.retryable) == ("model_stream_cut", "stream", True)
    assert [event.text for event in heard if isinstance(event, TextDelta)] == ["Hel"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["cut", "whole"])
async def test_half_a_tool_call_is_never_returned(
    kind: str, end: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    """The arguments look complete; that the call is, only the vendor's last word says."""
    vendor.events(kind, HALF_CALL[kind], end=end)
    model = open_model(kind)
    tools = (ToolSpec(name="rm", description="Remove.", input_schema={"type": "object", "properties": {}}),)

    failure = await failing(model, ask(model, tools=tools))

    assert failure.code == "model_stream_cut"


async def test_a_call_whose_block_never_ended_is_half_a_call(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    last = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}
    vendor.events("anthropic", [*HALF_CALL["anthropic"], last, {"type": "message_stop"}])
    model = open_model("anthropic")

    failure = await failing(model, ask(model))

    assert failure.code == "model_stream_cut"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_of_nonsense_is_garbage(
    kind: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    model = open_model(kind)
    name = {"responses": "response.output_text.delta", "chat": "x", "anthropic": "message_start"}[kind]
    for data in ("{not json", "[1, 2]", '"text"', '{"type": "' + name + '"}'):
        vendor.events(kind, [])
        vendor.scenes[-1].body = [f"event: {name}\ndata: {data}\n\n".encode()]

        failure = await failing(model, ask(model))

        assert (failure.code, failure.retryable) == ("model_garbage", True), data


@pytest.mark.parametrize("kind", KINDS)
async def test_a_page_instead_of_a_stream_is_no_answer(
    kind: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events(kind, [], content_type="text/html")
    vendor.scenes[0].body = [b"<html><body>Please log in</body></html>"]
    model = open_model(kind)

    failure = await failing(model, ask(model))

    assert failure.code in ("model_stream_cut", "model_garbage")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_inside_the_stream_is_read(
    kind: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    error = {
        "responses": {
            "type": "error",
            "code": "server_is_overloaded",
            "message": "busy",
            "sequence_number": 2,
        },
        "chat": {"error": {"message": "busy", "type": "overloaded_error", "code": None}},
        "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
    }[kind]
    vendor.events(kind, [*TEXT[kind], error])
    model = open_model(kind)

    failure = await failing(model, ask(model))

    assert (failure.code, failure.retryable, failure.status) == ("model_overloaded", True, None)


async def test_a_failed_response_is_read(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    error = {"code": "rate_limit_exceeded", "message": "slow"}
    vendor.events("responses", [{"type": "response.failed", "response": {"id": "r", "error": error}}])
    model = open_model("responses")

    failure = await failing(model, ask(model))

    assert failure.code == "model_rate_limited"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stalled_stream_times_out(
    kind: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events(kind, TEXT[kind], end="stall")
    vendor.scenes[0].body = vendor.scenes[0].body[: len(TEXT[kind])]
    model = open_model(kind, timeouts=Timeouts(chunk_ms=200, request_ms=None))

    failure = await failing(model, ask(model))

    assert (failure.code, failure.kind, failure.retryable) == ("model_timeout", "timeout", True)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_attempt_has_a_limit_as_a_whole(
    kind: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events(kind, TEXT[kind], end="stall")
    vendor.scenes[0].body = vendor.scenes[0].body[: len(TEXT[kind])]
    model = open_model(kind, timeouts=Timeouts(chunk_ms=None, request_ms=300))

    failure = await failing(model, ask(model))

    assert failure.code == "model_timeout"
    assert "300 ms" in failure.message


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_is_not_there_is_a_transport_failure(
    kind: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    model = open_model(kind)
    await vendor.stop()

    failure = await failing(model, ask(model))

    assert (failure.code, failure.kind, failure.retryable) == ("model_transport", "transport", True)
    await vendor.start()  # for the fixture's own stop


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelling_the_task_ends_the_call(
    kind: str, vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events(kind, TEXT[kind], end="stall")
    vendor.scenes[0].body = vendor.scenes[0].body[: len(TEXT[kind])]
    model = open_model(kind)
    first_text = asyncio.Event()

    def sink(event: ModelStreamEvent) -> None:
        first_text.set()

    running = asyncio.create_task(model.complete(ask(model), sink))
    await first_text.wait()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_answer_whose_tail_is_lost_is_kept(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    """After the vendor's last word only the usage can get lost; paying twice would be worse."""
    vendor.events(
        "chat", [{"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}]
    )
    vendor.scenes[0].body = vendor.scenes[0].body[:1]
    vendor.scenes[0].end = "cut"
    model = open_model("chat")

    answer = await model.complete(ask(model), lambda _: None)

    assert answer.parts[0].text == "Hi"


async def test_a_bug_of_the_listener_is_no_failure_of_the_model(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", TEXT["chat"])
    model = open_model("chat")

    def broken(_: ModelStreamEvent) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await model.complete(ask(model), broken)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "2.5"}, 2_500),
        ({"retry-after-ms": "40", "retry-after": "9"}, 40),
        (
            {"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            30_000,
        ),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_comes_in_three_forms(headers: dict[str, str], expected: int | None) -> None:
    assert retry_after_ms(headers) == expected


def test_only_what_may_pass_is_retried() -> None:
    retried = {code for code, known in MODEL_FAILURES.items() if known.retryable}

    assert retried == {
        "model_rate_limited",
        "model_overloaded",
        "model_server_error",
        "model_timeout",
        "model_transport",
        "model_stream_cut",
        "model_garbage",
    }
