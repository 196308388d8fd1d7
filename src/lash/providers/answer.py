"""The end of an answer, alike for all vendors: which parts count, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence

from lash.contracts import ModelCallError
from lash.providers.failures import failed
from lash.providers.schema_projection import Projection, unwrapped
from lash.providers.tool_arguments import distinct_call_ids
from lash.values import ModelResponse, Part, TerminalReason, TextPart, TokenUsage, ToolCallPart

# With these endings the last call may have lost its end, and no call is going to be run.
_CUT_SHORT: frozenset[TerminalReason] = frozenset({"output_limit", "context_overflow", "content_filter"})


def finished_answer(
    *,
    parts: Sequence[Part],
    usage: TokenUsage,
    terminal_reason: TerminalReason,
    call_key: str,
    model: str | None = None,
    response_id: str | None = None,
    projection: Projection | None = None,
    notes: Sequence[str] = (),
) -> ModelResponse:
    """Return the response: calls with distinct ids, no half call, and what was left out said.

    Missing call ids are derived from `call_key`; `projection` is how the schema of the answer was said, if
    there was one; `notes` is what else there is to tell.
    """
    told = list(notes)
    if terminal_reason in _CUT_SHORT:
        dropped = [part.name for part in parts if isinstance(part, ToolCallPart)]
        parts = [part for part in parts if not isinstance(part, ToolCallPart)]
        if dropped:
            told.append(f"dropped calls that may be incomplete: {', '.join(dropped)}")
    calls = iter(distinct_call_ids([p for p in parts if isinstance(p, ToolCallPart)], call_key))
    final = [next(calls) if isinstance(part, ToolCallPart) else part for part in parts]
    if projection is not None and projection.wrapped:
        final = [p.replace(text=unwrapped(p.text)) if isinstance(p, TextPart) else p for p in final]
    if terminal_reason == "stop" and any(isinstance(part, ToolCallPart) for part in final):
        terminal_reason = "tool_use"
    return ModelResponse(
        parts=tuple(final),
        usage=usage,
        terminal_reason=terminal_reason,
        model=model or None,
        response_id=response_id or None,
        diagnostic="; ".join(told) or None,
    )


def stream_cut() -> ModelCallError:
    """Return the error for a stream that ended without the vendor's last word."""
    return failed("model_stream_cut", "the stream ended before the answer did")


def unsent_note(names: Sequence[str]) -> list[str]:
    """Return what to tell about options that could not be sent."""
    return [f"not sent, because the model does not take it: {', '.join(names)}"] if names else []


def count(value: object) -> int:
    """Return a token count from a wire: nothing and nonsense are none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
