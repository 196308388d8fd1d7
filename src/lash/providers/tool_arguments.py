"""Tool calls as they come off a wire: ids that may be missing, arguments that may be no JSON.

Nothing here may raise on what a model wrote: text that is no JSON object becomes `raw_args`, and the call
then fails as `invalid_tool_args` and goes back to the model.
"""

from __future__ import annotations

import hashlib

import msgspec

from lash.errors import LashError
from lash.values import Json, ToolCallPart, canonical_json


def clean_text(text: str) -> str:
    """Return text without lone surrogates: no vendor takes them, and no journal can keep them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def derived_call_id(call_key: str, index: int) -> str:
    """Return the id of a call whose server gave none: the same again when the effect is run again."""
    digest = hashlib.sha256(f"{call_key}\x00{index}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"call_{digest[:24]}"


def tool_call(*, call_id: str, name: str, arguments: str, item_id: str | None = None) -> ToolCallPart:
    """Return the part for a call whose arguments are complete, whatever they look like."""
    args = parsed_arguments(arguments)
    if args is None:
        return ToolCallPart(call_id=call_id, name=name, raw_args=clean_text(arguments), item_id=item_id)
    return ToolCallPart(call_id=call_id, name=name, args=args, item_id=item_id)


def parsed_arguments(text: str) -> dict[str, Json] | None:
    """Return the object that `text` spells; None when it spells anything else, or what JSON cannot keep.

    No text at all is an empty object: many servers send that for a call without parameters.
    """
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text.encode("utf-8", "replace"))
        if not isinstance(value, dict):
            return None
        canonical_json(value)  # numbers that the journal would refuse later
    except (msgspec.DecodeError, LashError, RecursionError):
        return None
    return value


def replayable_arguments(part: ToolCallPart) -> dict[str, Json]:
    """Return the arguments to send back for a call of the history: an object, whatever the model wrote.

    Vendors and compatible servers parse what they are sent, and refuse the whole request over one
    malformed text.
    """
    return part.args if part.raw_args is None else {"malformed_arguments": part.raw_args}


def distinct_call_ids(calls: list[ToolCallPart], call_key: str) -> list[ToolCallPart]:
    """Return the calls with an id each: missing and repeated ones are derived from the effect's key."""
    seen: set[str] = set()
    result = []
    for index, part in enumerate(calls):
        if not part.call_id or part.call_id in seen:
            part = part.replace(call_id=derived_call_id(call_key, index))
        seen.add(part.call_id)
        result.append(part)
    return result
