"""Chunks of chat completions, put together, in the many ways in which servers send them.

Fragments of a call are told apart by index, or by a new id where a server repeats the index; its arguments
are read once, at the end. Usage may come in a chunk without choices, behind the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from lash.providers.answer import count, finished_answer, stream_cut
from lash.providers.failures import failed
from lash.providers.openai_chat.request import REASONING_DETAILS
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
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "tool_calls": "stop",  # the calls themselves make it `tool_use`
    "function_call": "stop",
    "length": "output_limit",
    "max_tokens": "output_limit",
    "content_filter": "content_filter",
}
_REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")


@dataclass(slots=True)
class _Call:
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class ChatAssembler:
    """Puts one answer together. See `lash.providers.vendor_model.Assembler`."""

    def __init__(
        self,
        *,
        call_key: str,
        projection: Projection | None = None,
        tolerate_eof: bool = False,
        notes: Iterable[str] = (),
    ) -> None:
        self.is_complete = False
        self.usage = TokenUsage()
        self.text = ""
        self._call_key = call_key
        self._projection = projection
        self._tolerate_eof = tolerate_eof
        self._notes = list(notes)
        self._reasoning = ""
        self._details: dict[int, dict[str, Any]] = {}
        self._calls: list[_Call] = []
        self._open_calls: dict[int, _Call] = {}
        self._finish_reason = ""
        self._model: str | None = None
        self._response_id: str | None = None

    def take(self, event: Any) -> Iterable[ModelStreamEvent]:
        self._model = getattr(event, "model", None) or self._model
        self._response_id = getattr(event, "id", None) or self._response_id
        if getattr(event, "usage", None) is not None:
            self.usage = _merged(self.usage, _usage(event.usage))
        choices = getattr(event, "choices", None)
        if choices is None:
            raise failed("model_garbage", "a chunk without choices came")
        if not choices:
            return []
        choice = choices[0]
        news = [] if choice.delta is None else list(self._take_delta(choice.delta))
        reason = getattr(choice, "finish_reason", None)
        if reason == "error":
            raise failed("model_server_error", "the server says that it failed in the answer")
        if reason:
            self._finish_reason = reason
            self.is_complete = True
        return news

    def _take_delta(self, delta: Any) -> Iterable[ModelStreamEvent]:
        for name in _REASONING_FIELDS:
            thought = getattr(delta, name, None)
            if isinstance(thought, str) and thought:
                self._reasoning += thought
                yield ReasoningDelta(text=clean_text(thought), block="reasoning")
                break
        for detail in getattr(delta, "reasoning_details", None) or ():
            self._take_detail(detail)
        text = getattr(delta, "content", None) or getattr(delta, "refusal", None)
        if text:
            self.text += text
            yield TextDelta(text=clean_text(text))
        for fragment in getattr(delta, "tool_calls", None) or ():
            self._take_fragment(fragment)

    def _take_fragment(self, fragment: Any) -> None:
        index = getattr(fragment, "index", None)
        call_id = getattr(fragment, "id", None) or ""
        function = getattr(fragment, "function", None)
        name = getattr(function, "name", None) or ""
        key = index if isinstance(index, int) else max(self._open_calls, default=0)
        call = self._open_calls.get(key)
        is_other = call is not None and name and call_id and call.call_id and call_id != call.call_id
        if call is None or is_other or (not isinstance(index, int) and name and call.name):
            call = _Call()
            self._calls.append(call)
            self._open_calls[key] = call
        call.call_id = call.call_id or call_id
        call.name = call.name or name
        arguments = getattr(function, "arguments", None)
        if isinstance(arguments, str):
            call.arguments += arguments
        elif arguments is not None:
            call.arguments = msgspec.json.encode(arguments).decode()  # a server that sends the object itself

    def _take_detail(self, fragment: Mapping[str, Any]) -> None:
        """Merge a piece of reasoning that a gateway wants back: texts grow, everything else is set."""
        index = fragment.get("index", len(self._details))
        detail = self._details.setdefault(index, {})
        for name, value in fragment.items():
            if name in ("text", "summary", "data") and isinstance(value, str):
                detail[name] = detail.get(name, "") + value
            elif value is not None:
                detail[name] = value

    def response(self) -> ModelResponse:
        if not self.is_complete and not (self._tolerate_eof and (self.text or self._calls)):
            raise stream_cut()
        return finished_answer(
            parts=list(self._parts()),
            usage=self.usage,
            terminal_reason=_REASONS.get(self._finish_reason or "stop", "unknown"),
            call_key=self._call_key,
            model=self._model,
            response_id=self._response_id,
            projection=self._projection,
            notes=self._notes,
        )

    def _parts(self) -> Iterable[Part]:
        if self._details:
            yield ReasoningPart(
                text=clean_text(self._reasoning),
                item_id=REASONING_DETAILS,
                encrypted=msgspec.json.encode(list(self._details.values())).decode(),
            )
        elif self._reasoning:
            yield ReasoningPart(text=clean_text(self._reasoning))
        if self.text:
            yield TextPart(text=clean_text(self.text))
        for call in self._calls:
            if not call.name:
                raise failed("model_garbage", "a tool call without a name came")
            yield tool_call(call_id=call.call_id, name=call.name, arguments=call.arguments)


def _usage(usage: Any) -> TokenUsage:
    """Return the usage; reasoning is counted beside the output, of which the vendor makes it a part."""
    read = getattr(usage, "prompt_tokens_details", None)
    written = getattr(usage, "completion_tokens_details", None)
    reasoning = count(getattr(written, "reasoning_tokens", None))
    return TokenUsage(
        input_tokens=count(getattr(usage, "prompt_tokens", None)),
        output_tokens=max(0, count(getattr(usage, "completion_tokens", None)) - reasoning),
        cached_input_tokens=count(getattr(read, "cached_tokens", None)),
        reasoning_tokens=reasoning,
        cache_write_tokens=count(getattr(read, "cache_write_tokens", None)),
    )


def _merged(old: TokenUsage, new: TokenUsage) -> TokenUsage:
    """Return the newer figures; a zero never overwrites a figure."""
    return TokenUsage(
        input_tokens=new.input_tokens or old.input_tokens,
        output_tokens=new.output_tokens or old.output_tokens,
        cached_input_tokens=new.cached_input_tokens or old.cached_input_tokens,
        reasoning_tokens=new.reasoning_tokens or old.reasoning_tokens,
        cache_write_tokens=new.cache_write_tokens or old.cache_write_tokens,
    )
