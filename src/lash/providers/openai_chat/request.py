"""A model request as chat completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from lash.providers.attachments import ShownText, shown
from lash.providers.capabilities import ModelTraits
from lash.providers.openai_chat.options import ChatDialect
from lash.providers.schema_projection import Projection, openai_output, tool_parameters
from lash.providers.tool_arguments import clean_text, replayable_arguments
from lash.providers.transcript import Results, Said, content_text, transcript
from lash.providers.vendor_model import effort_for
from lash.values import (
    AttachmentPart,
    ModelRequest,
    OutputSpec,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

Payload = dict[str, Any]  # the vendor's JSON

REASONING_DETAILS = "reasoning_details"  # the item id of reasoning that a gateway wants back as it was


def chat_payload(
    request: ModelRequest, traits: ModelTraits, dialect: ChatDialect
) -> tuple[Payload, Projection | None]:
    """Return the body of a call with native tools, and how the answer's schema was said if there is one.

    Raises:
        ModelCallError: `model_unsupported`, `model_attachment_missing`.
    """
    payload = plain_payload(request, traits, dialect)
    if request.tools:
        payload["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": clean_text(tool.description),
                    "parameters": tool_parameters(tool.input_schema).schema,
                },
            }
            for tool in request.tools
        ]
        payload["tool_choice"] = request.tool_choice
    if request.output is None:
        return payload, None
    payload["response_format"], projection = output_format(request.output)
    return payload, projection


def plain_payload(request: ModelRequest, traits: ModelTraits, dialect: ChatDialect) -> Payload:
    """Return the body without tools and without a schema."""
    payload: Payload = {
        "model": request.model.id,
        "messages": list(chat_messages(request, traits, dialect)),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    generation = request.generation
    if generation.max_output_tokens is not None:
        payload[dialect.max_tokens_field] = generation.max_output_tokens
    if generation.seed is not None:
        payload["seed"] = generation.seed
    if generation.stop:
        payload["stop"] = list(generation.stop)
    if traits.sampling:
        if generation.temperature is not None:
            payload["temperature"] = generation.temperature
        if generation.top_p is not None:
            payload["top_p"] = generation.top_p
    effort = effort_for(request, traits)
    if effort is not None:
        payload["reasoning_effort"] = effort
    if dialect.extra_body:
        payload["extra_body"] = dict(dialect.extra_body)
    return payload


def output_format(output: OutputSpec) -> tuple[Payload, Projection]:
    """Return the `response_format` that asks for an answer of this shape."""
    projection = openai_output(output.schema)
    return named_format(output.name, projection.schema, strict=projection.strict), projection


def named_format(name: str, schema: dict[str, Any], *, strict: bool) -> Payload:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": strict}}


def unsent_options(request: ModelRequest, traits: ModelTraits) -> list[str]:
    """Return the generation options that the model has no place for."""
    if traits.sampling:
        return []
    return [name for name in ("temperature", "top_p") if getattr(request.generation, name) is not None]


def chat_messages(request: ModelRequest, traits: ModelTraits, dialect: ChatDialect) -> Iterator[Payload]:
    """Return the conversation, the instructions first."""
    if request.instructions:
        yield {"role": "system", "content": clean_text(request.instructions)}
    for entry in transcript(request.messages):
        match entry:
            case Results(parts=parts):
                yield from _result_messages(parts, request, traits)
            case Said(role="assistant", parts=parts):
                message = _assistant_message(parts, dialect)
                if len(message) > 1:
                    yield message
            case Said(role=role, parts=parts):
                content = user_content(parts, request, traits)
                if content:
                    yield {"role": role, "content": content}


def _assistant_message(parts: tuple[Part, ...], dialect: ChatDialect) -> Payload:
    message: Payload = {"role": "assistant"}
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    if text:
        message["content"] = clean_text(text)
    calls = [
        {
            "id": part.call_id,
            "type": "function",
            "function": {
                "name": part.name,
                "arguments": msgspec.json.encode(replayable_arguments(part)).decode(),
            },
        }
        for part in parts
        if isinstance(part, ToolCallPart)
    ]
    if calls:
        message.setdefault("content", None)
        message["tool_calls"] = calls
    thoughts = [part for part in parts if isinstance(part, ReasoningPart)]
    details = next((p.encrypted for p in thoughts if p.item_id == REASONING_DETAILS and p.encrypted), None)
    if details is not None:
        message["reasoning_details"] = msgspec.json.decode(details)
    elif dialect.reasoning_replay == "reasoning_content" and thoughts:
        message["reasoning_content"] = clean_text("".join(part.text for part in thoughts))
    return message


def _result_messages(
    parts: tuple[ToolResultPart, ...], request: ModelRequest, traits: ModelTraits
) -> Iterator[Payload]:
    """Return the results, and behind them what they have attached: tool messages hold text only."""
    attached: list[Part] = []
    for part in parts:
        yield {"role": "tool", "tool_call_id": part.call_id, "content": content_text(part.content)}
        attached += [AttachmentPart(ref=ref) for ref in part.shown_attachments]
    if attached:
        yield {"role": "user", "content": user_content(tuple(attached), request, traits)}


def user_content(parts: tuple[Part, ...], request: ModelRequest, traits: ModelTraits) -> str | list[Payload]:
    """Return the content of a message: text alone as one string, which every server understands."""
    items: list[Payload] = []
    for part in parts:
        match part:
            case TextPart(text=text):
                items.append({"type": "text", "text": clean_text(text)})
            case AttachmentPart(ref=ref):
                seen = shown(ref, request.attachments, traits)
                if isinstance(seen, ShownText):
                    items.append({"type": "text", "text": seen.text})
                elif seen.is_image:
                    items.append({"type": "image_url", "image_url": {"url": seen.data_url}})
                else:
                    items.append(
                        {"type": "file", "file": {"filename": seen.name, "file_data": seen.data_url}}
                    )
            case _:
                pass  # calls and results stand in messages of their own
    if all(item["type"] == "text" for item in items):
        return "\n".join(item["text"] for item in items)
    return items
