"""A model request as Anthropic's messages API reads it.

Sides alternate; results travel in the user's message directly behind their calls, and first in it.
Thoughts go back with their signatures, without which the vendor refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import msgspec

from lash.providers.attachments import ShownText, shown
from lash.providers.capabilities import ModelTraits
from lash.providers.schema_projection import Projection, anthropic_output, tool_parameters
from lash.providers.tool_arguments import clean_text, replayable_arguments
from lash.providers.transcript import Results, Said, content_text, transcript
from lash.providers.vendor_model import effort_for
from lash.values import (
    AttachmentPart,
    ModelRequest,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

Payload = dict[str, Any]  # the vendor's JSON
CacheRetention = Literal["none", "short", "long"]

_DEFAULT_MAX_TOKENS = 16_384  # the vendor wants a figure; this many fit an ordinary answer
_BUDGETS = {"low": 2_048, "medium": 8_192, "high": 16_384}
_ROOM_BESIDE_THOUGHT = 4_096


def messages_payload(
    request: ModelRequest, traits: ModelTraits, cache: CacheRetention
) -> tuple[Payload, Projection | None]:
    """Return the body of the call, and how the answer's schema was said if there is one.

    Raises:
        ModelCallError: `model_unsupported`, `model_attachment_missing`.
    """
    payload: Payload = {
        "model": request.model.id,
        "max_tokens": _max_tokens(request, traits),
        "messages": _messages(request, traits),
        "stream": True,
    }
    system = clean_text(request.instructions)
    projection = None
    output_config: Payload = {}
    if request.output is not None:
        projection = anthropic_output(request.output.schema)
        if projection.strict and traits.output_schema:
            output_config["format"] = {"type": "json_schema", "schema": projection.schema}
        else:
            projection = None
            wanted = msgspec.json.encode(request.output.schema).decode()
            system = f"{system}\n\nAnswer with JSON alone, of this schema: {wanted}".lstrip()
    if system:
        payload["system"] = [{"type": "text", "text": system}]
    _add_thinking(payload, output_config, request, traits)
    if output_config:
        payload["output_config"] = output_config
    _add_tools(payload, request)
    _add_sampling(payload, request, traits)
    _mark_cache(payload, cache, _passing_blocks(request, traits))
    return payload, projection


def _max_tokens(request: ModelRequest, traits: ModelTraits) -> int:
    if request.generation.max_output_tokens is not None:
        return request.generation.max_output_tokens
    return min(traits.output_token_capacity or _DEFAULT_MAX_TOKENS, _DEFAULT_MAX_TOKENS)


def _add_thinking(
    payload: Payload, output_config: Payload, request: ModelRequest, traits: ModelTraits
) -> None:
    effort = effort_for(request, traits)
    if effort is None or traits.reasoning == "none":
        return
    if traits.reasoning == "adaptive":
        payload["thinking"] = {"type": "adaptive"}
        output_config["effort"] = effort
        return
    capacity = traits.output_token_capacity or payload["max_tokens"]
    budget = _BUDGETS.get(effort, _BUDGETS["medium"])
    if request.generation.max_output_tokens is None:
        payload["max_tokens"] = min(capacity, budget + max(payload["max_tokens"], _ROOM_BESIDE_THOUGHT))
    budget = min(budget, payload["max_tokens"] - 1)
    if budget >= 1_024:  # the vendor's least; with less room the answer matters more than the thought
        payload["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _add_tools(payload: Payload, request: ModelRequest) -> None:
    if not request.tools:
        return
    payload["tools"] = [
        {
            "name": tool.name,
            "description": clean_text(tool.description),
            "input_schema": tool_parameters(tool.input_schema).schema,
        }
        for tool in request.tools
    ]
    choice = {"auto": "auto", "none": "none", "required": "any"}[request.tool_choice]
    if choice == "any":
        payload.pop("thinking", None)  # the vendor refuses a forced call from a thinking model
    payload["tool_choice"] = {"type": choice}


def _add_sampling(payload: Payload, request: ModelRequest, traits: ModelTraits) -> None:
    generation = request.generation
    if generation.stop:
        payload["stop_sequences"] = list(generation.stop)
    if not traits.sampling or "thinking" in payload:
        return
    if generation.temperature is not None:
        payload["temperature"] = generation.temperature
    elif generation.top_p is not None:  # the vendor takes one of the two
        payload["top_p"] = generation.top_p


def unsent_options(request: ModelRequest, payload: Payload) -> list[str]:
    """Return the generation options that are not in the payload, because the model does not take them."""
    generation = request.generation
    unsent = [] if generation.seed is None else ["seed"]
    unsent += [
        name
        for name in ("temperature", "top_p")
        if getattr(generation, name) is not None and name not in payload
    ]
    wants_effort = (generation.reasoning_effort or request.model.variant) is not None
    if wants_effort and "thinking" not in payload and "effort" not in payload.get("output_config", {}):
        unsent.append("reasoning_effort")
    return unsent


def _passing_blocks(request: ModelRequest, traits: ModelTraits) -> int:
    """Return how many blocks at the end say what is of this call only."""
    if not request.passing:
        return 0
    said = replace(request, messages=request.messages[len(request.messages) - request.passing :])
    return sum(len(blocks) for _, blocks in _sides(said, traits))


def _mark_cache(payload: Payload, cache: CacheRetention, passing: int) -> None:
    """Mark what stays the same from call to call: the instructions, the tools, and all that has been said.

    The last `passing` blocks do not stay: a mark on them would never be met again.
    """
    if cache == "none":
        return
    mark: Payload = {"type": "ephemeral"} | ({"ttl": "1h"} if cache == "long" else {})
    for name in ("system", "tools"):
        if payload.get(name):
            payload[name][-1]["cache_control"] = mark
    said = [block for message in payload["messages"] for block in message["content"]]
    for block in reversed(said[: len(said) - passing]):
        if block["type"] not in ("thinking", "redacted_thinking"):
            block["cache_control"] = mark
            break


def _messages(request: ModelRequest, traits: ModelTraits) -> list[Payload]:
    """Return the messages; neighbours of one side are one message."""
    messages: list[Payload] = []
    for role, blocks in _sides(request, traits):
        if not blocks:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    return messages


def _sides(request: ModelRequest, traits: ModelTraits) -> Iterator[tuple[str, list[Payload]]]:
    for entry in transcript(request.messages):
        match entry:
            case Results(parts=parts):
                yield "user", [_result_block(part, request, traits) for part in parts]
            case Said(role="assistant", parts=parts):
                yield "assistant", [block for part in parts for block in _assistant_blocks(part)]
            case Said(role=role, parts=parts):
                blocks = [block for part in parts for block in _user_blocks(part, request, traits)]
                if role == "system":  # there is one system text, at the front; what comes later is told
                    blocks = [{"type": "text", "text": "[system]"}, *blocks] if blocks else []
                yield "user", blocks


def _assistant_blocks(part: Part) -> Iterator[Payload]:
    match part:
        case TextPart(text=text) if text.strip():  # the vendor refuses blank text
            yield {"type": "text", "text": clean_text(text)}
        case ReasoningPart(signature=str(signature), text=text):
            yield {"type": "thinking", "thinking": text, "signature": signature}
        case ReasoningPart(item_id=None, encrypted=str(encrypted)):
            yield {"type": "redacted_thinking", "data": encrypted}
        case ToolCallPart():
            yield {
                "type": "tool_use",
                "id": part.call_id,
                "name": part.name,
                "input": replayable_arguments(part),
            }
        case _:
            pass  # another vendor's reasoning, which this one cannot read


def _result_block(part: ToolResultPart, request: ModelRequest, traits: ModelTraits) -> Payload:
    content: list[Payload] = []
    text = content_text(part.content)
    if text.strip():
        content.append({"type": "text", "text": text})
    for ref in part.shown_attachments:
        content += _user_blocks(AttachmentPart(ref=ref), request, traits)
    block: Payload = {"type": "tool_result", "tool_use_id": part.call_id, "content": content}
    return block | ({"is_error": True} if part.is_error else {})


def _user_blocks(part: Part, request: ModelRequest, traits: ModelTraits) -> Iterator[Payload]:
    match part:
        case TextPart(text=text) if text.strip():
            yield {"type": "text", "text": clean_text(text)}
        case AttachmentPart(ref=ref):
            seen = shown(ref, request.attachments, traits)
            if isinstance(seen, ShownText):
                yield {"type": "text", "text": seen.text}
            else:
                source = {"type": "base64", "media_type": seen.media_type, "data": seen.base64}
                yield {"type": "image" if seen.is_image else "document", "source": source}
        case _:
            pass
