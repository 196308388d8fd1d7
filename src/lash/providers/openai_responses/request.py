"""A model request as the Responses API reads it.

Nothing is stored at the vendor: the whole conversation goes along each time, with reasoning in its
encrypted form and every item under the id that it came with, without which the vendor refuses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from lash.providers.attachments import ShownText, shown
from lash.providers.capabilities import ModelTraits
from lash.providers.schema_projection import Projection, openai_output, tool_parameters
from lash.providers.tool_arguments import clean_text, replayable_arguments
from lash.providers.transcript import Results, Said, content_text, transcript
from lash.providers.vendor_model import effort_for
from lash.values import (
    AttachmentPart,
    ModelRequest,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

Payload = dict[str, Any]  # the vendor's JSON


def responses_payload(request: ModelRequest, traits: ModelTraits) -> tuple[Payload, Projection | None]:
    """Return the body of the call, and how the answer's schema was said if there is one.

    Raises:
        ModelCallError: `model_unsupported`, `model_attachment_missing`.
    """
    payload: Payload = {
        "model": request.model.id,
        "input": list(_input_items(request, traits)),
        "stream": True,
        "store": False,
    }
    if request.instructions:
        payload["instructions"] = clean_text(request.instructions)
    if request.session_id:
        payload["prompt_cache_key"] = _cache_key(request.session_id)
    _add_tools(payload, request)
    _add_generation(payload, request, traits)
    projection = None
    if request.output is not None:
        projection = openai_output(request.output.schema)
        payload["text"] = {
            "format": {
                "type": "json_schema",
                "name": request.output.name,
                "schema": projection.schema,
                "strict": projection.strict,
            }
        }
    return payload, projection


def _add_tools(payload: Payload, request: ModelRequest) -> None:
    if not request.tools:
        return
    payload["tools"] = [
        {
            "type": "function",
            "name": tool.name,
            "description": clean_text(tool.description),
            "parameters": tool_parameters(tool.input_schema).schema,
            "strict": False,
        }
        for tool in request.tools
    ]
    payload["tool_choice"] = request.tool_choice
    payload["parallel_tool_calls"] = True


def _add_generation(payload: Payload, request: ModelRequest, traits: ModelTraits) -> None:
    generation = request.generation
    if generation.max_output_tokens is not None:
        payload["max_output_tokens"] = generation.max_output_tokens
    if traits.sampling:
        if generation.temperature is not None:
            payload["temperature"] = generation.temperature
        if generation.top_p is not None:
            payload["top_p"] = generation.top_p
    if traits.reasoning != "none":
        payload["include"] = ["reasoning.encrypted_content"]
        effort = effort_for(request, traits)
        payload["reasoning"] = {"summary": "auto"} | ({"effort": effort} if effort else {})


def unsent_options(request: ModelRequest, traits: ModelTraits) -> list[str]:
    """Return the generation options that this API, or this model, has no place for."""
    generation = request.generation
    unsent = [name for name, given in (("seed", generation.seed), ("stop", generation.stop)) if given]
    if not traits.sampling:
        unsent += [name for name in ("temperature", "top_p") if getattr(generation, name) is not None]
    if traits.reasoning == "none" and effort_for(request, traits):
        unsent.append("reasoning_effort")
    return unsent


def _input_items(request: ModelRequest, traits: ModelTraits) -> Iterator[Payload]:
    for entry in transcript(request.messages):
        match entry:
            case Results(parts=parts):
                yield from (_result_item(part, request, traits) for part in parts)
            case Said(role="assistant"):
                yield from _assistant_items(entry)
            case Said(role=role, parts=parts):
                content = [item for part in parts for item in _content(part, request, traits)]
                if content:
                    yield {"type": "message", "role": role, "content": content}


def _assistant_items(said: Said) -> Iterator[Payload]:
    """Return the items of an answer, in the order in which the model gave them."""
    for index, part in enumerate(said.parts):
        match part:
            case ReasoningPart(item_id=str(item_id), encrypted=str(encrypted)) if item_id.startswith("rs"):
                summary = [{"type": "summary_text", "text": clean_text(part.text)}] if part.text else []
                yield {
                    "type": "reasoning",
                    "id": item_id,
                    "summary": summary,
                    "encrypted_content": encrypted,
                }
            case TextPart(text=text) if text:
                yield {
                    "type": "message",
                    "role": "assistant",
                    "id": _message_item_id(part.item_id, said.message_id, index),
                    "status": "completed",
                    "content": [{"type": "output_text", "text": clean_text(text), "annotations": []}],
                }
            case ToolCallPart():
                arguments = msgspec.json.encode(replayable_arguments(part)).decode()
                item = {"type": "function_call", "call_id": part.call_id, "name": part.name}
                known_id = part.item_id if part.item_id and part.item_id.startswith("fc") else None
                yield item | {"arguments": arguments} | ({"id": known_id} if known_id else {})
            case _:
                pass  # another vendor's reasoning, which this one cannot read


def _message_item_id(item_id: str | None, message_id: str, index: int) -> str:
    """Return the id of an answer item: the vendor's own, or one that stays the same from call to call."""
    if item_id is not None and item_id.startswith("msg"):
        return item_id
    return "msg_" + hashlib.sha256(f"{message_id}\x00{index}".encode()).hexdigest()[:32]


def _result_item(part: ToolResultPart, request: ModelRequest, traits: ModelTraits) -> Payload:
    text = content_text(part.content)
    output: str | list[Payload] = text
    if part.shown_attachments:
        output = [{"type": "input_text", "text": text}]
        for ref in part.shown_attachments:
            output += _content(AttachmentPart(ref=ref), request, traits)
    return {"type": "function_call_output", "call_id": part.call_id, "output": output}


def _content(part: object, request: ModelRequest, traits: ModelTraits) -> Iterator[Payload]:
    match part:
        case TextPart(text=text):
            if text:
                yield {"type": "input_text", "text": clean_text(text)}
        case AttachmentPart(ref=ref):
            seen = shown(ref, request.attachments, traits)
            if isinstance(seen, ShownText):
                yield {"type": "input_text", "text": seen.text}
            elif seen.is_image:
                yield {"type": "input_image", "image_url": seen.data_url, "detail": "auto"}
            else:
                yield {"type": "input_file", "filename": seen.name, "file_data": seen.data_url}


def _cache_key(session_id: str) -> str:
    """Return the session as a key of at most 64 characters, which is the vendor's limit."""
    return session_id if len(session_id) <= 64 else hashlib.sha256(session_id.encode()).hexdigest()
