"""The event stream of Anthropic's messages API, put together.

Blocks come one after another, each with a start, deltas and a stop; a call whose block never stopped is
half a call. Usage comes in two places, the later of which grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lash.providers.answer import count, finished_answer, stream_cut
from lash.providers.failures import failed
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

_REASONS: Mapping[str, TerminalReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_use",
    "max_tokens": "output_limit",
    "model_context_window_exceeded": "context_overflow",
    "refusal": "content_filter",
}
_COUNTERS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


@dataclass(slots=True)
class _Block:
    kind: str
    text: str = ""
    signature: str = ""
    data: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    is_closed: bool = False


@dataclass(slots=True)
class _Usage:
    """Figures merged field by field: nothing and zero never overwrite a figure."""

    figures: dict[str, int] = field(default_factory=dict)

    def merge(self, usage: Any) -> None:
        for name in _COUNTERS:
            if figure := count(getattr(usage, name, None)):
                self.figures[name] = figure
        details = getattr(usage, "output_tokens_details", None)
        if figure := count(getattr(details, "thinking_tokens", None)):
            self.figures["thinking_tokens"] = figure

    def total(self) -> TokenUsage:
        """Return the usage. The vendor leaves cached input out of input, and counts thoughts as output."""
        get = self.figures.get
        read, written = get("cache_read_input_tokens", 0), get("cache_creation_input_tokens", 0)
        thought = get("thinking_tokens", 0)
        return TokenUsage(
            input_tokens=get("input_tokens", 0) + read + written,
            output_tokens=max(0, get("output_tokens", 0) - thought),
            cached_input_tokens=read,
            reasoning_tokens=thought,
            cache_write_tokens=written,
        )


class MessagesAssembler:
    """Puts one answer together. See `lash.providers.vendor_model.Assembler`."""

    def __init__(
        self, *, call_key: str, projection: Projection | None = None, notes: Iterable[str] = ()
    ) -> None:
        self.is_complete = False
        self._call_key = call_key
        self._projection = projection
        self._notes = list(notes)
        self._blocks: dict[int, _Block] = {}
        self._usage = _Usage()
        self._stop_reason: str | None = None
        self._model: str | None = None
        self._response_id: str | None = None

    def take(self, event: Any) -> Iterable[ModelStreamEvent]:
        match event.type:
            case "message_start":
                self._model, self._response_id = event.message.model, event.message.id
                self._usage.merge(event.message.usage)
            case "content_block_start":
                return self._opened(event.index, event.content_block)
            case "content_block_delta":
                return self._grown(event.index, event.delta)
            case "content_block_stop":
                self._blocks[event.index].is_closed = True
            case "message_delta":
                self._stop_reason = event.delta.stop_reason or self._stop_reason
                self.is_complete = self._stop_reason is not None
                self._usage.merge(event.usage)
            case "message_stop":
                self.is_complete = True
            case _:
                pass  # kinds of news that are not asked for
        return []

    def _opened(self, index: int, content: Any) -> list[ModelStreamEvent]:
        block = self._blocks[index] = _Block(
            kind=content.type,
            text=getattr(content, "text", None) or getattr(content, "thinking", None) or "",
            signature=getattr(content, "signature", None) or "",
            data=getattr(content, "data", None) or "",
            call_id=getattr(content, "id", None) or "",
            name=getattr(content, "name", None) or "",
        )
        return self._told(index, block, block.text)

    def _grown(self, index: int, delta: Any) -> list[ModelStreamEvent]:
        block = self._blocks[index]
        match delta.type:
            case "text_delta":
                block.text += delta.text
                return self._told(index, block, delta.text)
            case "thinking_delta":
                block.text += delta.thinking
                return self._told(index, block, delta.thinking)
            case "signature_delta":
                block.signature += delta.signature
            case "input_json_delta":
                block.arguments += delta.partial_json
            case _:
                pass
        return []

    def _told(self, index: int, block: _Block, text: str) -> list[ModelStreamEvent]:
        if not text:
            return []
        if block.kind == "thinking":
            return [ReasoningDelta(text=clean_text(text), block=str(index))]
        return [TextDelta(text=clean_text(text), block=str(index))]

    def response(self) -> ModelResponse:
        if not self.is_complete:
            raise stream_cut()
        reason = _REASONS.get(self._stop_reason or "", "unknown")
        if reason == "tool_use" and any(
            block.kind == "tool_use" and not block.is_closed for block in self._blocks.values()
        ):
            raise stream_cut()
        notes = [*self._notes, *(["the model refused"] if self._stop_reason == "refusal" else [])]
        if reason == "unknown":
            notes.append(f"the vendor stopped for {self._stop_reason!r}")
        return finished_answer(
            parts=[part for index in sorted(self._blocks) for part in _parts(self._blocks[index])],
            usage=self._usage.total(),
            terminal_reason=reason,
            call_key=self._call_key,
            model=self._model,
            response_id=self._response_id,
            projection=self._projection,
            notes=notes,
        )


def _parts(block: _Block) -> Iterable[Part]:
    match block.kind:
        case "text":
            if block.text:
                yield TextPart(text=clean_text(block.text))
        case "thinking":
            yield ReasoningPart(text=clean_text(block.text), signature=block.signature or None)
        case "redacted_thinking":
            yield ReasoningPart(encrypted=block.data)
        case "tool_use":
            if not block.name:
                raise failed("model_garbage", "a tool call without a name came")
            yield tool_call(call_id=block.call_id, name=block.name, arguments=block.arguments)
        case _:
            pass  # tools that the vendor runs itself are not asked for
