"""Tool calls for servers that ignore `tools`: what comes is held to a schema, one call or an answer.

The conversation is told in plain text, because such servers' templates drop calls and results as well. In
the schema a text and a list have limits, so that a small model comes to an end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from lash.providers.openai_chat.answer_reader import AnswerReader
from lash.providers.openai_chat.options import ChatDialect
from lash.providers.openai_chat.request import named_format
from lash.providers.openai_chat.stream import ChatAssembler
from lash.providers.schema_projection import bounded, inlined
from lash.providers.tool_arguments import distinct_call_ids, replayable_arguments, tool_call
from lash.providers.transcript import Results, Said, content_text, transcript
from lash.values import (
    AttachmentPart,
    Json,
    Message,
    ModelRequest,
    ModelResponse,
    ModelStreamEvent,
    Part,
    TextDelta,
    TextPart,
    ToolCallPart,
    ToolSpec,
)

ANSWER = "answer"


def decision_format(request: ModelRequest, dialect: ChatDialect) -> dict[str, Any]:
    """Return the `response_format` under which the model either calls one tool or answers."""
    branches: list[dict[str, Json]] = [_call_branch(tool, dialect) for tool in request.tools]
    if request.tool_choice != "required":
        branches.append(_closed({ANSWER: _answer_schema(request, dialect)}))
    schema: dict[str, Json] = branches[0] if len(branches) == 1 else {"anyOf": branches}
    return named_format("call_or_answer", schema, strict=True)


def _call_branch(tool: ToolSpec, dialect: ChatDialect) -> dict[str, Json]:
    arguments = bounded(
        inlined(tool.input_schema), max_chars=dialect.text_max_chars, max_items=dialect.list_max_items
    ).schema
    # Left open, an object may go on for ever.
    arguments.setdefault("additionalProperties", False)
    return _closed({"name": {"const": tool.name}, "arguments": arguments})


def _answer_schema(request: ModelRequest, dialect: ChatDialect) -> dict[str, Json]:
    if dialect.free_prose:
        return {"const": True}
    if request.output is not None:
        return inlined(request.output.schema)
    return {"type": "string"}


def _closed(properties: dict[str, Json]) -> dict[str, Json]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def told_in_text(request: ModelRequest) -> ModelRequest:
    """Return the request without calls and results: both are text in it."""
    messages: list[Message] = []
    for number, entry in enumerate(transcript(request.messages)):
        match entry:
            case Said(role=role, parts=parts, message_id=message_id):
                messages.append(Message(id=message_id, role=role, parts=tuple(map(_said_in_text, parts))))
            case Results(parts=results):
                told: list[Part] = [
                    TextPart(text=f"Result of {part.name}: {content_text(part.content)}") for part in results
                ]
                told += [AttachmentPart(ref=ref) for part in results for ref in part.attachments]
                messages.append(Message(id=f"results:{number}", role="user", parts=tuple(told)))
    return replace(request, messages=messages)


def _said_in_text(part: Part) -> Part:
    if not isinstance(part, ToolCallPart):
        return part
    call = {"name": part.name, "arguments": replayable_arguments(part)}
    return TextPart(text=msgspec.json.encode(call).decode())


def with_tools_described(request: ModelRequest, dialect: ChatDialect) -> ModelRequest:
    """Return the request with its tools in the instructions, and how to call them."""
    lines = ["Reply with JSON. You can call one of these functions:"]
    lines += [f"- {_signature(tool)}: {tool.description}".rstrip(": ") for tool in request.tools]
    lines.append('To call one: {"name": "function", "arguments": {"argument": "value"}}')
    if request.tool_choice != "required":
        answer = "true" if dialect.free_prose else '"your answer"'
        lines.append(f'When you know enough to answer: {{"{ANSWER}": {answer}}}')
    described = "\n".join(lines)
    instructions = f"{request.instructions}\n\n{described}" if request.instructions else described
    return replace(request, instructions=instructions)


def _signature(tool: ToolSpec) -> str:
    """Return `name(required: type, optional?: type)`: short, because reading is what costs a small model."""
    required = tool.input_schema.get("required", [])
    properties: dict[str, Json] = inlined(tool.input_schema).get("properties", {})
    arguments = [
        f"{name}{'' if name in required else '?'}: {_type_word(schema)}"
        for name, schema in properties.items()
    ]
    return f"{tool.name}({', '.join(arguments)})"


def _type_word(schema: Json) -> str:
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str) and not schema.keys() & {"enum", "properties"}:
            return str(schema["type"])
        return msgspec.json.encode(schema).decode()
    return "any"


def repeats_itself(request: ModelRequest, decision: ModelResponse) -> bool:
    """Whether every call of the decision was made before since the user last spoke, and has its result."""
    made: list[ToolCallPart] = []
    for message in reversed(request.messages):
        if message.role == "user":
            break
        made += message.tool_calls
    calls = [part for part in decision.parts if isinstance(part, ToolCallPart)]
    return bool(calls) and all(
        any(old.name == call.name and old.args == call.args for old in made) for call in calls
    )


class ConstrainedAssembler:
    """Puts together an answer that is either a call or an answer. See `Assembler`.

    Attributes:
        wants_to_answer: After `response()`: whether the model said that it answers, and no more.
    """

    def __init__(self, inner: ChatAssembler, request: ModelRequest, dialect: ChatDialect) -> None:
        self.wants_to_answer = False
        self._inner = inner
        self._reader = AnswerReader(ANSWER)
        self._call_key = request.call_key
        self._free_prose = dialect.free_prose

    @property
    def is_complete(self) -> bool:
        return self._inner.is_complete

    def take(self, event: Any) -> Iterable[ModelStreamEvent]:
        news: list[ModelStreamEvent] = []
        for heard in self._inner.take(event):
            if not isinstance(heard, TextDelta):
                news.append(heard)
            elif more := self._reader.feed(heard.text):
                news.append(TextDelta(text=more))
        return news

    def response(self) -> ModelResponse:
        response = self._inner.response()
        thoughts = tuple(part for part in response.parts if not isinstance(part, TextPart))
        text = "".join(part.text for part in response.parts if isinstance(part, TextPart))
        decision = _decoded(text)
        if isinstance(decision, dict) and isinstance(decision.get("name"), str):
            arguments = msgspec.json.encode(decision.get("arguments", {})).decode()
            call = tool_call(call_id="", name=decision["name"], arguments=arguments)
            if response.terminal_reason == "stop":
                parts = (*thoughts, *distinct_call_ids([call], self._call_key))
                return response.replace(parts=parts, terminal_reason="tool_use")
        elif isinstance(decision, dict) and ANSWER in decision:
            self.wants_to_answer = self._free_prose
            return response.replace(parts=(*thoughts, *_answer_parts(decision[ANSWER], self._free_prose)))
        elif response.terminal_reason == "stop" and text:
            return response  # the server ignores the schema as well: what the model says is its answer
        # Cut short. Half an answer is worth showing, half a call is not.
        heard = self._reader.text
        return response.replace(parts=(*thoughts, TextPart(text=heard)) if heard else thoughts)


def _answer_parts(answer: Json, free_prose: bool) -> tuple[Part, ...]:
    if free_prose:
        return ()
    text = answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
    return (TextPart(text=text),) if text else ()


def _decoded(text: str) -> Json:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
