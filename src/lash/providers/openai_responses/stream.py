"""The event stream of the Responses API, put together.

Text is told as it comes. What counts is the finished items, by their place in the answer, and the last
event; an answer without that event is a cut stream, whatever came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lash.contracts import ModelCallError
from lash.providers.answer import count, finished_answer, stream_cut
from lash.providers.failures import failed, vendor_failure
from lash.providers.schema_projection import Projection
from lash.providers.tool_arguments import clean_text, tool_call
from lash.values import (
    ModelResponse,
    ModelStreamEvent,
    Part,
    ReasoningDelta,
    ReasoningPart,
    TerminalReason,
    TextDelta,
    TextPart,
    TokenUsage,
)

_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})
_REASONING = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_LAST = frozenset({"response.completed", "response.incomplete"})


class ResponsesAssembler:
    """Puts one answer together. See `lash.providers.vendor_model.Assembler`."""

    def __init__(
        self, *, call_key: str, projection: Projection | None = None, notes: Iterable[str] = ()
    ) -> None:
        self.is_complete = False
        self._call_key = call_key
        self._projection = projection
        self._notes = list(notes)
        self._items: dict[int, Mapping[str, Any]] = {}
        self._last: Mapping[str, Any] = {}

    def take(self, event: Any) -> Iterable[ModelStreamEvent]:
        kind = event.type
        if kind in _TEXT:
            return [TextDelta(text=clean_text(event.delta), block=f"{event.output_index}")]
        if kind in _REASONING:
            return [ReasoningDelta(text=clean_text(event.delta), block=f"{event.output_index}")]
        if kind == "response.output_item.done":
            self._items[event.output_index] = _plain(event.item)
        elif kind in _LAST:
            self._last = _plain(event.response)
            self.is_complete = True
        elif kind == "response.failed":
            raise _reported(_plain(event.response).get("error") or {})
        elif kind == "error":
            raise _reported(_plain(event))
        return []

    def response(self) -> ModelResponse:
        if not self.is_complete:
            raise stream_cut()
        # Some servers leave the items out of the last event; those that came one by one are the same.
        items = self._last.get("output") or [self._items[index] for index in sorted(self._items)]
        refused = any(
            content.get("type") == "refusal" for item in items for content in item.get("content") or ()
        )
        return finished_answer(
            parts=[part for item in items for part in _parts(item)],
            usage=_usage(self._last.get("usage") or {}),
            terminal_reason="content_filter" if refused else self._terminal_reason(),
            call_key=self._call_key,
            model=self._last.get("model"),
            response_id=self._last.get("id"),
            projection=self._projection,
            notes=[*self._notes, *(["the model refused"] if refused else [])],
        )

    def _terminal_reason(self) -> TerminalReason:
        if self._last.get("status") != "incomplete":
            return "stop"
        match (self._last.get("incomplete_details") or {}).get("reason"):
            case "max_output_tokens" | None:  # compatible servers leave the usual reason out
                return "output_limit"
            case "content_filter":
                return "content_filter"
            case _:
                return "unknown"


def _parts(item: Mapping[str, Any]) -> Iterable[Part]:
    """Return the parts of one output item. Items of tools that the vendor runs itself are not asked for."""
    item_id = item.get("id")
    match item.get("type"):
        case "message":
            for content in item.get("content") or ():
                text = clean_text(content.get("text") or content.get("refusal") or "")
                if text:
                    yield TextPart(text=text, item_id=item_id)
        case "reasoning":
            slots = item.get("summary") or item.get("content") or ()
            yield ReasoningPart(
                text=clean_text("\n\n".join(slot.get("text") or "" for slot in slots)),
                item_id=item_id,
                encrypted=item.get("encrypted_content"),
            )
        case "function_call":
            yield tool_call(
                call_id=item.get("call_id") or "",
                name=item["name"],
                arguments=item.get("arguments") or "",
                item_id=item_id,
            )


def _usage(usage: Mapping[str, Any]) -> TokenUsage:
    """Return the usage; reasoning is counted beside the output, of which the vendor makes it a part."""
    read, written = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    reasoning = count(written.get("reasoning_tokens"))
    return TokenUsage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=max(0, count(usage.get("output_tokens")) - reasoning),
        cached_input_tokens=count(read.get("cached_tokens")),
        reasoning_tokens=reasoning,
        cache_write_tokens=count(read.get("cache_write_tokens")),
    )


def _reported(error: Mapping[str, Any]) -> ModelCallError:
    message = error.get("message") or "the vendor reports an error in the stream"
    return ModelCallError(
        vendor_failure(
            str(message),
            vendor_code=str(error.get("code") or ""),
            vendor_type=str(error.get("type") or "") if error.get("type") != "error" else "",
        )
    )


def _plain(value: Any) -> Mapping[str, Any]:
    """Return an object of the SDK as plain data, unchecked like the wire that it came from."""
    plain: Any = value.to_dict(mode="python", warnings=False) if hasattr(value, "to_dict") else value
    if not isinstance(plain, Mapping):
        raise failed("model_garbage", f"an object was promised and a {type(value).__name__} came")
    return plain
