"""Tool calls on servers that ignore `tools`: held to a schema, told in text."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.providers import ChatDialect
from lash.providers.openai_chat.answer_reader import AnswerReader
from lash.values import (
    Message,
    ModelStreamEvent,
    OutputSpec,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
)

LOOK = ToolSpec(
    name="look",
    description="Look at a place.",
    input_schema={
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/place"}, "far": {"type": "boolean"}},
        "required": ["at"],
        "$defs": {"place": {"type": "string"}},
    },
)
SCHEMA_MODE = ChatDialect(tool_mode="schema", text_max_chars=50)
FREE = SCHEMA_MODE.replace(free_prose=True, answer_repeated_calls=True)


def stream(text: str, finish: str = "stop") -> list[dict[str, Any]]:
    def chunk(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    pieces = [chunk({"content": text[n : n + 3]}, None) for n in range(0, len(text), 3)]
    return [*pieces, chunk({}, finish), {"id": "c", "choices": [], "usage": usage}]


async def test_a_call_is_read_from_the_json_and_nothing_is_streamed(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any], heard: list[ModelStreamEvent]
) -> None:
    vendor.events("chat", stream('{"name": "look", "arguments": {"at": "home"}}'))
    model = open_model("chat", dialect=SCHEMA_MODE)

    answer = await model.complete(ask(model, tools=(LOOK,)), heard.append)

    (call,) = answer.parts
    assert isinstance(call, ToolCallPart)
    assert (call.name, call.args) == ("look", {"at": "home"})
    assert call.call_id
    assert answer.terminal_reason == "tool_use"
    assert heard == []
    assert "tools" not in vendor.asked[0].body


async def test_the_schema_admits_each_call_and_an_answer_and_nothing_else(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", stream('{"answer": "x"}'))
    model = open_model("chat", dialect=SCHEMA_MODE)

    await model.complete(ask(model, tools=(LOOK,)), lambda _: None)

    validator = jsonschema_rs.validator_for(vendor.asked[0].body["response_format"]["json_schema"]["schema"])
    assert validator.is_valid({"name": "look", "arguments": {"at": "home"}})
    assert validator.is_valid({"answer": "yes"})
    assert not validator.is_valid({"name": "look", "arguments": {}})
    assert not validator.is_valid({"name": "look", "arguments": {"at": "x" * 51}})
    assert not validator.is_valid({"name": "look", "arguments": {"at": "x", "more": 1}})
    assert not validator.is_valid({"name": "other", "arguments": {}})


async def test_an_answer_inside_the_json_is_streamed_as_text(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any], heard: list[ModelStreamEvent]
) -> None:
    said = 'Line one.\nShe said "ü😀".'
    vendor.events("chat", stream(json.dumps({"answer": said})))
    model = open_model("chat", dialect=SCHEMA_MODE)

    answer = await model.complete(ask(model, tools=(LOOK,)), heard.append)

    assert answer.parts == (TextPart(text=said),)
    assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == said
    assert len(heard) > 3


async def test_free_prose_is_asked_for_without_a_schema(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any], heard: list[ModelStreamEvent]
) -> None:
    vendor.events("chat", stream('{"answer": true}'))
    vendor.events("chat", stream("All is well."))
    model = open_model("chat", dialect=FREE)

    answer = await model.complete(ask(model, tools=(LOOK,)), heard.append)

    assert answer.parts == (TextPart(text="All is well."),)
    assert answer.usage == TokenUsage(input_tokens=20, output_tokens=10)
    assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == "All is well."
    assert "response_format" not in vendor.asked[1].body
    assert "functions" not in json.dumps(vendor.asked[1].body["messages"])


async def test_a_repeated_call_is_taken_for_the_wish_to_answer(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", stream('{"name": "look", "arguments": {"at": "home"}}'))
    vendor.events("chat", stream("It is blue."))
    model = open_model("chat", dialect=FREE)
    messages = (
        Message(id="t:m0", role="user", parts=(TextPart(text="Look."),)),
        Message(
            id="t:m1", role="assistant", parts=(ToolCallPart(call_id="c", name="look", args={"at": "home"}),)
        ),
        Message(id="t:m2", role="tool", parts=(ToolResultPart(call_id="c", name="look", content="blue"),)),
    )

    answer = await model.complete(ask(model, tools=(LOOK,), messages=messages), lambda _: None)

    assert answer.parts == (TextPart(text="It is blue."),)
    told = vendor.asked[1].body["messages"]
    assert told[1:] == [
        {"role": "assistant", "content": '{"name":"look","arguments":{"at":"home"}}'},
        {"role": "user", "content": "Result of look: blue"},
    ]


async def test_a_required_call_leaves_no_way_to_answer(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", stream('{"name": "look", "arguments": {"at": "x"}}'))
    model = open_model("chat", dialect=FREE)

    await model.complete(ask(model, tools=(LOOK,), tool_choice="required"), lambda _: None)

    schema = vendor.asked[0].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["name"] == {"const": "look"}


async def test_half_a_call_is_dropped_and_half_an_answer_is_shown(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", stream('{"name": "look", "arguments": {"at": "ho', "length"))
    vendor.events("chat", stream('{"name": "look", "arguments": {"at": "ho"}}', "length"))
    vendor.events("chat", stream('{"answer": "All is w', "length"))
    model = open_model("chat", dialect=SCHEMA_MODE)

    for parts in ((), (), (TextPart(text="All is w"),)):
        answer = await model.complete(ask(model, tools=(LOOK,)), lambda _: None)
        assert answer.parts == parts
        assert answer.terminal_reason == "output_limit"


async def test_a_server_that_ignores_the_schema_too_has_simply_answered(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any], heard: list[ModelStreamEvent]
) -> None:
    vendor.events("chat", stream("I would rather not."))
    model = open_model("chat", dialect=SCHEMA_MODE)

    answer = await model.complete(ask(model, tools=(LOOK,)), heard.append)

    assert answer.parts == (TextPart(text="I would rather not."),)
    assert heard == [TextDelta(text="I would rather not.")]


async def test_a_shaped_answer_is_a_branch_of_the_schema(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    shape = OutputSpec(
        name="n", schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    )
    vendor.events("chat", stream('{"answer": {"n": 3}}'))
    model = open_model("chat", dialect=SCHEMA_MODE)

    answer = await model.complete(ask(model, tools=(LOOK,), output=shape), lambda _: None)

    assert answer.parts == (TextPart(text='{"n":3}'),)


async def test_tools_are_described_in_few_words(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    vendor.events("chat", stream('{"answer": "x"}'))
    model = open_model("chat", dialect=SCHEMA_MODE)

    await model.complete(ask(model, tools=(LOOK,), instructions="Be kind."), lambda _: None)

    system = vendor.asked[0].body["messages"][0]["content"]
    assert system.startswith("Be kind.\n\n")
    assert "- look(at: string, far?: boolean): Look at a place." in system


@given(text=st.text(), cuts=st.lists(st.integers(0, 400), max_size=8), ascii_only=st.booleans())
def test_any_split_of_the_json_gives_the_text(text: str, cuts: list[int], ascii_only: bool) -> None:
    text = text.encode("utf-8", "replace").decode()
    written = ' {\n"answer" : ' + json.dumps(text, ensure_ascii=ascii_only) + "}"
    reader = AnswerReader("answer")
    edges = [0, *sorted(min(cut, len(written)) for cut in cuts), len(written)]

    heard = "".join(reader.feed(written[start:end]) for start, end in itertools.pairwise(edges))

    assert heard == text == reader.text


@pytest.mark.parametrize("written", ['{"name": "answer"}', '["answer"]', '{"answer": 3}', "prose"])
def test_what_is_no_answer_gives_no_text(written: str) -> None:
    assert AnswerReader("answer").feed(written) == ""


@pytest.mark.parametrize(
    ("written", "text"),
    [(r'{"answer": "a\ud800b"}', "a?b"), (r'{"answer": "\udc00"}', "?"), (r'{"answer": "\uzzzz!"}', "?!")],
)
def test_broken_escapes_become_question_marks(written: str, text: str) -> None:
    assert AnswerReader("answer").feed(written) == text
