"""The ways in which compatible servers differ from the one that they are compatible with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lash.contracts import ModelCallError
from lash.providers import ChatDialect
from lash.providers.tool_arguments import derived_call_id
from lash.values import ReasoningPart, TextPart, ToolCallPart


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def fragment(arguments: object, **fields: Any) -> dict[str, Any]:
    name = fields.pop("name", None)
    return {
        "tool_calls": [{"function": {"arguments": arguments} | ({"name": name} if name else {})} | fields]
    }


async def calls(
    vendor: Any, model: Any, ask: Callable[..., Any], *chunks: dict[str, Any]
) -> list[ToolCallPart]:
    vendor.events("chat", list(chunks))
    answer = await model.complete(ask(model, call_key="K"), lambda _: None)
    return [part for part in answer.parts if isinstance(part, ToolCallPart)]


async def test_calls_without_ids_get_derived_ones(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    found = await calls(
        vendor,
        open_model("chat"),
        ask,
        chunk(fragment('{"x":1}', index=0, name="a")),
        chunk(fragment("{}", index=1, name="b"), "tool_calls"),
    )

    assert [(call.call_id, call.name) for call in found] == [
        (derived_call_id("K", 0), "a"),
        (derived_call_id("K", 1), "b"),
    ]


async def test_calls_under_one_index_are_told_apart_by_id(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    found = await calls(
        vendor,
        open_model("chat"),
        ask,
        chunk(fragment('{"x":', index=0, id="1", name="a")),
        chunk(fragment("1}", index=0)),
        chunk(fragment('{"x":2}', index=0, id="2", name="a"), "tool_calls"),
    )

    assert [call.args for call in found] == [{"x": 1}, {"x": 2}]


async def test_calls_without_an_index_are_told_apart_by_name(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    found = await calls(
        vendor,
        open_model("chat"),
        ask,
        chunk(fragment('{"x":1}', id="1", name="a")),
        chunk(fragment('{"x":2}', id="2", name="b"), "stop"),
    )

    assert [(call.name, call.args) for call in found] == [("a", {"x": 1}), ("b", {"x": 2})]


async def test_interleaved_fragments_find_their_calls(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    found = await calls(
        vendor,
        open_model("chat"),
        ask,
        chunk(fragment('{"x":', index=0, id="1", name="a")),
        chunk(fragment('{"x":', index=1, id="2", name="b")),
        chunk(fragment("1}", index=0)),
        chunk(fragment("2}", index=1), "tool_calls"),
    )

    assert [(call.name, call.args) for call in found] == [("a", {"x": 1}), ("b", {"x": 2})]


async def test_arguments_may_come_as_an_object(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    found = await calls(
        vendor, open_model("chat"), ask, chunk(fragment({"x": 1}, index=0, id="1", name="a"), "tool_calls")
    )

    assert found[0].args == {"x": 1}


async def test_malformed_arguments_are_kept_for_the_model_to_see(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    found = await calls(
        vendor, open_model("chat"), ask, chunk(fragment("{oops", index=0, id="1", name="a"), "tool_calls")
    )

    assert (found[0].args, found[0].raw_args) == ({}, "{oops")


async def test_a_call_cut_by_the_output_limit_is_dropped_and_named(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", [chunk(fragment('{"x":1', index=0, id="1", name="a")), chunk({}, "length")])
    model = open_model("chat")

    answer = await model.complete(ask(model), lambda _: None)

    assert answer.parts == ()
    assert answer.terminal_reason == "output_limit"
    assert answer.diagnostic == "dropped calls that may be incomplete: a"


async def test_a_server_that_never_says_why_it_stopped_can_be_tolerated(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", [chunk({"content": "Hi"})])
    model = open_model("chat", dialect=ChatDialect(tolerate_eof=True))

    answer = await model.complete(ask(model), lambda _: None)

    assert answer.parts == (TextPart(text="Hi"),)


async def test_a_torn_connection_is_never_taken_for_an_end(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", [chunk({"content": "Hi"})], end="cut")
    vendor.scenes[0].body = vendor.scenes[0].body[:1]
    model = open_model("chat", dialect=ChatDialect(tolerate_eof=True))

    with pytest.raises(ModelCallError) as caught:
        await model.complete(ask(model), lambda _: None)

    assert caught.value.code == "model_stream_cut"


async def test_a_gateways_reasoning_details_are_merged(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    def detail(text: str, **fields: Any) -> dict[str, Any]:
        entry = {"type": "reasoning.text", "index": 0, "text": text} | fields
        return chunk({"reasoning": text, "reasoning_details": [entry]})

    vendor.events("chat", [detail("Hm"), detail(".", signature="S"), chunk({"content": "Yes"}, "stop")])
    model = open_model("chat")

    answer = await model.complete(ask(model), lambda _: None)

    assert answer.parts[0] == ReasoningPart(
        text="Hm.",
        item_id="reasoning_details",
        encrypted='[{"type":"reasoning.text","index":0,"text":"Hm.","signature":"S"}]',
    )


async def test_extra_fields_reach_the_server(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", [chunk({"content": "Hi"}, "stop")])
    model = open_model("chat", dialect=ChatDialect(extra_body={"top_k": 5}), headers={"X-Team": "blue"})

    await model.complete(ask(model), lambda _: None)

    assert vendor.asked[0].body["top_k"] == 5
    assert vendor.asked[0].headers["x-team"] == "blue"
