"""What goes over the wire: the same conversation in each vendor's words."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lash.contracts import ModelCallError
from lash.providers.anthropic_messages.request import messages_payload
from lash.providers.capabilities import ModelTraits
from lash.providers.openai_chat.options import ChatDialect
from lash.providers.openai_chat.request import chat_payload
from lash.providers.openai_responses.request import responses_payload
from lash.providers.transcript import NO_RESULT
from lash.values import (
    AttachmentPart,
    AttachmentRef,
    GenerationOptions,
    Message,
    ModelRequest,
    ModelSpec,
    OutputSpec,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
)

PLAIN = ModelTraits(context_window_tokens=9_000, images=True, documents=True)
THINKER = PLAIN.replace(sampling=False, reasoning="effort", efforts=("low", "high"))
LOOK = ToolSpec(
    name="look",
    description="Look at it.",
    input_schema={"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
)


def message(role: Any, *parts: Part, message_id: str = "t:m0") -> Message:
    return Message(id=message_id, role=role, parts=parts)


def request(*messages: Message, model: str = "m", **fields: Any) -> ModelRequest:
    return ModelRequest(model=ModelSpec(id=model, context_window_tokens=9_000), messages=messages, **fields)


def responses(asked: ModelRequest, traits: ModelTraits = PLAIN) -> dict[str, Any]:
    return responses_payload(asked, traits)[0]


def chat(asked: ModelRequest, traits: ModelTraits = PLAIN, **dialect: Any) -> dict[str, Any]:
    return chat_payload(asked, traits, ChatDialect(**dialect))[0]


def anthropic(asked: ModelRequest, traits: ModelTraits = PLAIN, cache: Any = "none") -> dict[str, Any]:
    return messages_payload(asked, traits, cache)[0]


CALL = ToolCallPart(call_id="c1", name="look", args={"at": "x"}, item_id="fc_1")
RESULT = ToolResultPart(call_id="c1", name="look", content={"seen": 1}, is_error=True)


def test_responses_replays_reasoning_calls_and_ids() -> None:
    thought = ReasoningPart(text="Hm.", item_id="rs_1", encrypted="ENC")
    payload = responses(
        request(
            message("user", TextPart(text="Look.")),
            message("assistant", thought, TextPart(text="Wait.", item_id="msg_7"), CALL),
            message("tool", RESULT),
            instructions="Be brief.",
            tools=(LOOK,),
            session_id="s1",
        ),
        THINKER,
    )

    assert payload["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look."}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "ENC",
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_7",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Wait.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at":"x"}', "id": "fc_1"},
        {"type": "function_call_output", "call_id": "c1", "output": '{"seen":1}'},
    ]
    assert payload["instructions"] == "Be brief."
    assert payload["store"] is False
    assert payload["include"] == ["reasoning.encrypted_content"]
    assert payload["prompt_cache_key"] == "s1"
    assert payload["parallel_tool_calls"] is True
    assert payload["tools"][0]["strict"] is False


def test_responses_without_tools_say_nothing_about_them() -> None:
    payload = responses(request(message("user", TextPart(text="Hi."))))

    assert payload.keys().isdisjoint({"tools", "tool_choice", "parallel_tool_calls", "include"})


def test_an_answer_without_an_item_id_keeps_the_same_made_up_one() -> None:
    asked = request(message("assistant", TextPart(text="a"), TextPart(text="b"), message_id="t:m1"))

    first, second = responses(asked)["input"]

    assert first["id"] != second["id"]
    assert first["id"].startswith("msg_")
    assert responses(asked)["input"][0]["id"] == first["id"]


def test_a_long_session_id_is_a_short_cache_key() -> None:
    key = responses(request(message("user", TextPart(text="x")), session_id="😀" * 10_000))[
        "prompt_cache_key"
    ]

    assert len(key) == 64


def test_chat_says_the_same() -> None:
    payload = chat(
        request(
            message("user", TextPart(text="Look.")),
            message("assistant", TextPart(text="Wait."), CALL),
            message("tool", RESULT),
            instructions="Be brief.",
            tools=(LOOK,),
            tool_choice="required",
        )
    )

    assert payload["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look."},
        {
            "role": "assistant",
            "content": "Wait.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":"x"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"seen":1}'},
    ]
    assert payload["tool_choice"] == "required"
    assert payload["stream_options"] == {"include_usage": True}


def test_a_gateways_reasoning_details_go_back_as_they_came() -> None:
    details = '[{"type":"reasoning.encrypted","data":"ENC","id":"c1"}]'
    thought = ReasoningPart(text="Hm.", item_id="reasoning_details", encrypted=details)

    (said,) = chat(request(message("assistant", thought, TextPart(text="Yes."))))["messages"]

    assert said["reasoning_details"] == [{"type": "reasoning.encrypted", "data": "ENC", "id": "c1"}]


def test_anthropic_alternates_and_puts_results_first() -> None:
    payload = anthropic(
        request(
            message("user", TextPart(text="Look.")),
            message("assistant", ReasoningPart(text="Hm.", signature="SIG"), CALL),
            message("user", TextPart(text="And quickly.")),
            message("tool", RESULT),
            instructions="Be brief.",
            tools=(LOOK,),
        )
    )

    assert payload["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "SIG"},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "x"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": '{"seen":1}'}],
                    "is_error": True,
                },
                {"type": "text", "text": "And quickly."},
            ],
        },
    ]
    assert payload["system"] == [{"type": "text", "text": "Be brief."}]
    assert payload["max_tokens"] == 16_384


def test_anthropic_marks_what_stays_the_same() -> None:
    payload = anthropic(
        request(message("user", TextPart(text="a"), TextPart(text="b")), instructions="i", tools=(LOOK,)),
        cache="long",
    )

    mark = {"type": "ephemeral", "ttl": "1h"}
    assert payload["system"][-1]["cache_control"] == mark
    assert payload["tools"][-1]["cache_control"] == mark
    assert [block.get("cache_control") for block in payload["messages"][0]["content"]] == [None, mark]


def test_anthropic_marks_what_stays_before_what_is_of_one_call_only() -> None:
    said = request(
        message("user", TextPart(text="a")),
        message("assistant", TextPart(text="b")),
        message("user", TextPart(text="output")),
        message("user", TextPart(text="status"), TextPart(text="of this call")),
    )
    payload = anthropic(replace(said, passing=1), cache="short")

    marks = [[block.get("cache_control") for block in one["content"]] for one in payload["messages"]]
    assert marks == [[None], [None], [{"type": "ephemeral"}, None, None]]


def test_redacted_thoughts_go_back_to_anthropic_alone() -> None:
    hidden = message("assistant", ReasoningPart(encrypted="ENC"), TextPart(text="Yes."))

    assert anthropic(request(hidden))["messages"][0]["content"][0] == {
        "type": "redacted_thinking",
        "data": "ENC",
    }
    assert [item["type"] for item in responses(request(hidden))["input"]] == ["message"]


FROM_RESPONSES = ReasoningPart(text="Hm.", item_id="rs_1", encrypted="ENC")
FROM_A_GATEWAY = ReasoningPart(text="Hm.", item_id="reasoning_details", encrypted='["ENC"]')
FROM_ANTHROPIC = ReasoningPart(text="Hm.", signature="SIG")


@pytest.mark.parametrize(
    ("build", "foreign"),
    [
        (responses, FROM_A_GATEWAY),
        (responses, FROM_ANTHROPIC),
        (chat, FROM_RESPONSES),
        (chat, FROM_ANTHROPIC),
        (anthropic, FROM_RESPONSES),
        (anthropic, FROM_A_GATEWAY),
    ],
)
def test_another_vendors_thoughts_stay_at_home(
    build: Callable[..., dict[str, Any]], foreign: ReasoningPart
) -> None:
    question = message("user", TextPart(text="q"))
    sent = repr(build(request(question, message("assistant", foreign, TextPart(text="a")))))

    assert "Hm." not in sent
    assert "SIG" not in sent
    assert "ENC" not in sent


@pytest.mark.parametrize("build", [responses, chat, anthropic])
def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_becomes_text(
    build: Callable[..., dict[str, Any]],
) -> None:
    sent = repr(
        build(
            request(
                message("tool", ToolResultPart(call_id="gone", name="old", content="stale")),
                message("assistant", CALL),
                message("user", TextPart(text="Never mind.")),
            )
        )
    )

    assert NO_RESULT in sent
    assert "Result of old (gone): stale" in sent


@pytest.mark.parametrize("build", [responses, chat, anthropic])
def test_results_stay_with_the_nearest_call_when_a_server_repeats_its_ids(
    build: Callable[..., dict[str, Any]],
) -> None:
    def result(text: str) -> ToolResultPart:
        return ToolResultPart(call_id="c1", name="look", content=text)

    sent = repr(
        build(
            request(
                message("assistant", CALL),
                message("tool", result("first")),
                message("assistant", CALL),
                message("tool", result("second")),
            )
        )
    )

    assert sent.index("first") < sent.index("second")
    assert NO_RESULT not in sent
    assert "Result of" not in sent


@pytest.mark.parametrize("build", [responses, chat, anthropic])
def test_what_a_model_garbled_goes_back_as_an_object(build: Callable[..., dict[str, Any]]) -> None:
    garbled = ToolCallPart(call_id="c1", name="look", raw_args='{"at": ')

    sent = repr(build(request(message("assistant", garbled), message("tool", RESULT))))

    assert "malformed_arguments" in sent


@pytest.mark.parametrize("build", [responses, chat, anthropic])
def test_lone_surrogates_are_replaced(build: Callable[..., dict[str, Any]]) -> None:
    payload = build(request(message("user", TextPart(text="a\ud800b")), instructions="\udfff"))

    assert "\\ud800" not in repr(payload)
    assert "\\udfff" not in repr(payload)


PNG = AttachmentRef(id="a1", media_type="image/png", byte_len=3, label="cat.png")
PDF = AttachmentRef(id="a2", media_type="application/pdf", byte_len=3, label="paper.pdf")
TXT = AttachmentRef(id="a3", media_type="text/plain; charset=utf-8", byte_len=3, label="note.txt")
BYTES = {"a1": b"png", "a2": b"pdf", "a3": b"hey"}
B64 = base64.b64encode(b"png").decode()


def attached(**fields: Any) -> ModelRequest:
    return request(
        message("user", TextPart(text="See."), *(AttachmentPart(ref=ref) for ref in (PNG, PDF, TXT))),
        attachments=BYTES,
        **fields,
    )


def test_attachments_are_shown_in_each_vendors_way() -> None:
    pdf = base64.b64encode(b"pdf").decode()

    assert responses(attached())["input"][0]["content"][1:] == [
        {"type": "input_image", "image_url": f"data:image/png;base64,{B64}", "detail": "auto"},
        {"type": "input_file", "filename": "paper.pdf", "file_data": f"data:application/pdf;base64,{pdf}"},
        {"type": "input_text", "text": "[note.txt, text/plain]\nhey"},
    ]
    assert chat(attached())["messages"][0]["content"][1] == {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{B64}"},
    }
    assert anthropic(attached())["messages"][0]["content"][1:3] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": B64}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf}},
    ]


@pytest.mark.parametrize("build", [responses, chat, anthropic])
def test_a_model_that_cannot_see_is_told_what_it_does_not_see(build: Callable[..., dict[str, Any]]) -> None:
    sent = repr(build(attached(), PLAIN.replace(images=False, documents=False)))

    assert "cat.png: a file of type image/png, 3 bytes, which you cannot see" in sent
    assert B64 not in sent


@pytest.mark.parametrize("build", [responses, chat, anthropic])
def test_bytes_that_are_gone_are_missed_loudly(build: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(ModelCallError) as caught:
        build(request(message("user", AttachmentPart(ref=PNG))))

    assert caught.value.code == "model_attachment_missing"


def test_effort_is_asked_for_in_the_models_own_way() -> None:
    asked = request(
        message("user", TextPart(text="q")),
        generation=GenerationOptions(reasoning_effort="high", temperature=0.5),
    )

    assert responses(asked, THINKER)["reasoning"] == {"summary": "auto", "effort": "high"}
    assert "temperature" not in responses(asked, THINKER)
    assert chat(asked, THINKER)["reasoning_effort"] == "high"
    adaptive = anthropic(asked, THINKER.replace(reasoning="adaptive"))
    assert (adaptive["thinking"], adaptive["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})
    budget = anthropic(
        asked, THINKER.replace(reasoning="budget", output_token_capacity=64_000, sampling=True)
    )
    assert budget["thinking"] == {"type": "enabled", "budget_tokens": 16_384}
    assert budget["max_tokens"] > 16_384
    assert "temperature" not in budget


def test_a_forced_call_wins_over_thinking() -> None:
    payload = anthropic(
        request(
            message("user", TextPart(text="q")),
            tools=(LOOK,),
            tool_choice="required",
            generation=GenerationOptions(reasoning_effort="low"),
        ),
        THINKER.replace(reasoning="budget"),
    )

    assert payload["tool_choice"] == {"type": "any"}
    assert "thinking" not in payload


SHAPE = OutputSpec(
    name="answer",
    schema={"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}, "required": ["n"]},
)


def test_an_answers_schema_is_said_in_each_vendors_way() -> None:
    asked = request(message("user", TextPart(text="q")), output=SHAPE)

    assert responses(asked)["text"]["format"] == {
        "type": "json_schema",
        "name": "answer",
        "strict": True,
        "schema": {**SHAPE.schema, "additionalProperties": False},
    }
    assert chat(asked)["response_format"]["json_schema"]["strict"] is True
    assert anthropic(asked)["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert "of this schema" in anthropic(asked, PLAIN.replace(output_schema=False))["system"][0]["text"]


async def test_more_output_than_the_model_has_is_refused_before_it_is_asked(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    model = open_model("responses")
    for options, code in (
        (GenerationOptions(max_output_tokens=10_000_000), "model_bad_request"),
        (GenerationOptions(max_output_tokens=0), "model_bad_request"),
        (GenerationOptions(reasoning_effort="enormous"), "model_unsupported"),
    ):
        with pytest.raises(ModelCallError) as caught:
            await model.complete(ask(model, generation=options), lambda _: None)
        assert caught.value.code == code
    assert vendor.asked == []


async def test_what_could_not_be_sent_is_said(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    done = {"id": "r", "status": "completed", "output": [], "usage": None}
    vendor.events("responses", [{"type": "response.completed", "response": done}])
    model = open_model("responses")

    answer = await model.complete(
        ask(model, generation=GenerationOptions(temperature=0.1, seed=4, stop=("x",))), lambda _: None
    )

    assert answer.diagnostic == "not sent, because the model does not take it: seed, stop, temperature"


async def test_a_shaped_answer_is_asked_for_on_anthropics_wire(
    vendor: Any, open_model: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    """The field travels beside what the SDK knows by name, and must still arrive at the top."""
    vendor.events(
        "anthropic",
        [
            {"type": "message_start", "message": {"id": "m", "model": "x", "content": [], "usage": {}}},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": '{"n": 1}'},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ],
    )
    model = open_model("anthropic")

    answer = await model.complete(ask(model, output=SHAPE), lambda _: None)

    assert answer.parts == (TextPart(text='{"n": 1}'),)
    assert vendor.asked[0].body["output_config"]["format"]["type"] == "json_schema"
    assert vendor.asked[0].body["stream"] is True
