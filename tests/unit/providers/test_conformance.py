"""Ten scenarios that every adapter passes on its own wire, with the same figures for all (runtime 9.5).

The wires are written by hand after the vendors' documents; what is expected is the same whoever speaks. A
vendor that has no such thing says why: silence fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lash.values import (
    ModelStreamEvent,
    ReasoningDelta,
    ReasoningPart,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolSpec,
)

SCENARIOS = (
    "plain_stop",
    "output_capped",
    "tool_use_in_one_piece",
    "streamed_text_assembly",
    "streamed_argument_merge",
    "content_filter",
    "usage_with_cache_hit",
    "usage_with_reasoning",
    "reasoning_extraction",
    "streamed_usage_merge",
)

ADD = ToolSpec(
    name="add",
    description="Add two numbers.",
    input_schema={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)


class Unsupported(str):
    """Why a vendor has no such scenario."""


# --- OpenAI, responses ---------------------------------------------------------------------------------


def r_message(text: str, item_id: str = "msg_1") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content}


def r_end(output: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": changes.pop("cached", 0)},
        "output_tokens": 20 + changes.get("reasoning", 0),
        "output_tokens_details": {"reasoning_tokens": changes.pop("reasoning", 0)},
        "total_tokens": 120,
    }
    status = changes.pop("status", "completed")
    response = {"id": "resp_1", "model": "served-1", "status": status, "output": output, "usage": usage}
    return {"type": f"response.{status}", "sequence_number": 9, "response": response | changes}


def r_text(*pieces: str) -> list[dict[str, Any]]:
    return [
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": piece}
        | {"content_index": 0, "sequence_number": n}
        for n, piece in enumerate(pieces)
    ]


R_CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "add",
    "arguments": '{"a":2,"b":3}',
    "status": "completed",
}
R_THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Think."}],
    "encrypted_content": "ENC",
}

RESPONSES: dict[str, Any] = {
    "plain_stop": [*r_text("Hello"), r_end([r_message("Hello")])],
    "output_capped": [
        *r_text("Hel"),
        r_end([r_message("Hel")], status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    ],
    "tool_use_in_one_piece": [r_end([R_CALL])],
    "streamed_text_assembly": [*r_text("Hel", "lo ", "wörld"), r_end([r_message("Hello wörld")])],
    "streamed_argument_merge": [
        {"type": "response.output_item.added", "output_index": 0, "item": R_CALL | {"arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"a":2,'},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '"b":3}'},
        {"type": "response.output_item.done", "output_index": 0, "item": R_CALL},
        r_end([]),  # a server that leaves the items out of its last event
    ],
    "content_filter": [
        r_end([r_message("Hel")], status="incomplete", incomplete_details={"reason": "content_filter"})
    ],
    "usage_with_cache_hit": [r_end([r_message("Hello")], cached=40)],
    "usage_with_reasoning": [r_end([r_message("Hello")], reasoning=15)],
    "reasoning_extraction": [
        {"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0}
        | {"delta": "Think.", "summary_index": 0},
        r_end([R_THOUGHT, r_message("Hello")]),
    ],
    "streamed_usage_merge": Unsupported("usage comes once, in the last event"),
}

# --- OpenAI, chat --------------------------------------------------------------------------------------


def c_chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chat_1",
        "object": "chat.completion.chunk",
        "model": "served-1",
        "choices": [choice],
    } | fields


def c_usage(cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20 + reasoning,
        "total_tokens": 120 + reasoning,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    return {
        "id": "chat_1",
        "object": "chat.completion.chunk",
        "model": "served-1",
        "choices": [],
        "usage": usage,
    }


def c_call(arguments: str, **fields: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | fields.pop("function", {})
    return {"tool_calls": [{"index": 0, "type": "function", "function": function} | fields]}


CHAT: dict[str, Any] = {
    "plain_stop": [c_chunk({"content": "Hello"}), c_chunk({}, "stop"), c_usage()],
    "output_capped": [c_chunk({"content": "Hel"}), c_chunk({}, "length"), c_usage()],
    "tool_use_in_one_piece": [
        c_chunk(c_call('{"a":2,"b":3}', id="call_1", function={"name": "add"}), "tool_calls"),
        c_usage(),
    ],
    "streamed_text_assembly": [
        *(c_chunk({"content": piece}) for piece in ("Hel", "lo ", "wörld")),
        c_chunk({}, "stop"),
        c_usage(),
    ],
    "streamed_argument_merge": [
        c_chunk(c_call("", id="call_1", function={"name": "add"})),
        c_chunk(c_call('{"a":2,')),
        c_chunk(c_call('"b":3}')),
        c_chunk({}, "tool_calls"),
        c_usage(),
    ],
    "content_filter": [c_chunk({"content": "Hel"}), c_chunk({}, "content_filter"), c_usage()],
    "usage_with_cache_hit": [c_chunk({"content": "Hello"}, "stop"), c_usage(cached=40)],
    "usage_with_reasoning": [c_chunk({"content": "Hello"}, "stop"), c_usage(reasoning=15)],
    "reasoning_extraction": [
        c_chunk({"reasoning_content": "Think."}),
        c_chunk({"content": "Hello"}, "stop"),
        c_usage(),
    ],
    "streamed_usage_merge": [
        c_chunk({"content": "Hello"}, "stop", usage={"prompt_tokens": 100, "completion_tokens": 0})
        | {"usage": {"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103}},
        c_usage(cached=40) | {"usage": c_usage(cached=40)["usage"] | {"prompt_tokens": 0}},
    ],
}

# --- Anthropic -----------------------------------------------------------------------------------------


def a_start(**usage: int) -> dict[str, Any]:
    figures = {"input_tokens": 100, "output_tokens": 1} | usage
    message = {"id": "am_1", "type": "message", "role": "assistant", "model": "served-1", "content": []}
    return {"type": "message_start", "message": message | {"stop_reason": None, "usage": figures}}


def a_block(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def a_text(*pieces: str, index: int = 0) -> list[dict[str, Any]]:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return a_block(index, {"type": "text", "text": ""}, *deltas)


def a_end(reason: str = "end_turn", **usage: Any) -> list[dict[str, Any]]:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": 20} | usage,
        },
        {"type": "message_stop"},
    ]


A_CALL = {"type": "tool_use", "id": "call_1", "name": "add", "input": {}}

ANTHROPIC: dict[str, Any] = {
    "plain_stop": [a_start(), {"type": "ping"}, *a_text("Hello"), *a_end()],
    "output_capped": [a_start(), *a_text("Hel"), *a_end("max_tokens")],
    "tool_use_in_one_piece": [
        a_start(),
        *a_block(0, A_CALL, {"type": "input_json_delta", "partial_json": '{"a":2,"b":3}'}),
        *a_end("tool_use"),
    ],
    "streamed_text_assembly": [a_start(), *a_text("Hel", "lo ", "wörld"), *a_end()],
    "streamed_argument_merge": [
        a_start(),
        *a_block(
            0,
            A_CALL,
            {"type": "input_json_delta", "partial_json": '{"a":2,'},
            {"type": "input_json_delta", "partial_json": '"b":3}'},
        ),
        *a_end("tool_use"),
    ],
    "content_filter": [a_start(), *a_text("Hel"), *a_end("refusal")],
    # 60 were read anew and 40 came from the cache: the vendor's input leaves those out.
    "usage_with_cache_hit": [
        a_start(input_tokens=60, cache_read_input_tokens=40),
        *a_text("Hello"),
        *a_end(),
    ],
    "usage_with_reasoning": [
        a_start(),
        *a_text("Hello"),
        *a_end(output_tokens=35, output_tokens_details={"thinking_tokens": 15}),
    ],
    "reasoning_extraction": [
        a_start(),
        *a_block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Think."},
            {"type": "signature_delta", "signature": "SIG"},
        ),
        *a_text("Hello", index=1),
        *a_end(),
    ],
    "streamed_usage_merge": [
        a_start(input_tokens=60, cache_read_input_tokens=40),
        *a_text("Hello"),
        *a_end(input_tokens=0, cache_read_input_tokens=0),
    ],
}

WIRES: dict[str, dict[str, Any]] = {"responses": RESPONSES, "chat": CHAT, "anthropic": ANTHROPIC}

PLAIN = TokenUsage(input_tokens=100, output_tokens=20)
USAGE = {
    "usage_with_cache_hit": PLAIN.replace(cached_input_tokens=40),
    "usage_with_reasoning": PLAIN.replace(reasoning_tokens=15),
    "streamed_usage_merge": PLAIN.replace(cached_input_tokens=40),
}
REASON = {
    "output_capped": "output_limit",
    "tool_use_in_one_piece": "tool_use",
    "streamed_argument_merge": "tool_use",
    "content_filter": "content_filter",
}
TEXT = {
    "output_capped": "Hel",
    "content_filter": "Hel",
    "streamed_text_assembly": "Hello wörld",
    "tool_use_in_one_piece": "",
    "streamed_argument_merge": "",
}


@pytest.mark.parametrize("kind", WIRES)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_every_adapter_reads_the_canonical_scenario(
    kind: str,
    scenario: str,
    vendor: Any,
    open_model: Callable[..., Any],
    ask: Callable[..., Any],
    heard: list[ModelStreamEvent],
) -> None:
    wire = WIRES[kind][scenario]
    if isinstance(wire, Unsupported):
        pytest.skip(f"{kind} has no {scenario}: {wire}")
    vendor.events(kind, wire)
    model = open_model(kind)

    answer = await model.complete(ask(model, tools=(ADD,)), heard.append)

    calls = [part for part in answer.parts if isinstance(part, ToolCallPart)]
    text = "".join(part.text for part in answer.parts if isinstance(part, TextPart))
    streamed = "".join(event.text for event in heard if isinstance(event, TextDelta))
    assert text == TEXT.get(scenario, "Hello")
    assert streamed in ("", text)
    assert answer.terminal_reason == REASON.get(scenario, "stop")
    assert answer.usage == USAGE.get(scenario, PLAIN)
    assert answer.model == "served-1"
    if scenario in ("tool_use_in_one_piece", "streamed_argument_merge"):
        assert [(call.call_id, call.name, call.args) for call in calls] == [
            ("call_1", "add", {"a": 2, "b": 3})
        ]
    else:
        assert calls == []
    if scenario == "streamed_text_assembly":
        assert [e.text for e in heard if isinstance(e, TextDelta)] == ["Hel", "lo ", "wörld"]
    if scenario == "reasoning_extraction":
        assert answer.parts[0].text == "Think."
        assert isinstance(answer.parts[0], ReasoningPart)
        assert [e.text for e in heard if isinstance(e, ReasoningDelta)] == ["Think."]


def test_no_scenario_is_passed_over_in_silence() -> None:
    for kind, wires in WIRES.items():
        assert set(wires) == set(SCENARIOS), kind


@pytest.mark.parametrize("kind", WIRES)
async def test_any_split_of_the_bytes_gives_the_same_answer(
    kind: str,
    vendor: Any,
    open_model: Callable[..., Any],
    ask: Callable[..., Any],
    heard: list[ModelStreamEvent],
) -> None:
    """Bytes may be split inside a character, and lines may end in CRLF with comments between."""
    vendor.events(kind, WIRES[kind]["streamed_text_assembly"])
    scene = vendor.scenes[0]
    stream = b": a comment\r\n\r\n" + b"".join(scene.body).replace(b"\n", b"\r\n")
    stream = stream.replace(json.dumps("wörld").encode(), '"wörld"'.encode())
    scene.body = [stream[n : n + 1] for n in range(len(stream))]
    model = open_model(kind)

    answer = await model.complete(ask(model), heard.append)

    assert "".join(part.text for part in answer.parts if isinstance(part, TextPart)) == "Hello wörld"
