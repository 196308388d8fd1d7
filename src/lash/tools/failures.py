"""Failed calls, as they go back to the model."""

from __future__ import annotations

from typing import Any

from lash.errors import ErrorRecord, LashError
from lash.tools.encoding import EncodedResult, clean_text
from lash.values import AttachmentRef, CompletedToolCall, Json

_TEXT_CHARS_MAX = 4000


def failed_call(
    call_id: str,
    tool_name: str,
    error: LashError,
    *,
    attempts: int = 1,
    duration_ms: int = 0,
    attachments: tuple[AttachmentRef, ...] = (),
) -> CompletedToolCall:
    """Return a call that failed; its content tells the model code and message.

    Args:
        call_id: The call.
        tool_name: As the model named it, whether or not there is such a tool.
        error: What went wrong.
        attempts: How often the tool was started; 0 when it never was.
        duration_ms: How long that took.
        attachments: What the tool has stored before it failed.
    """
    code, message = short_text(error.code), short_text(error.message)
    return CompletedToolCall(
        call_id=call_id,
        tool_name=tool_name,
        content=f"Error ({code}): {message}",
        error=ErrorRecord(
            code=code, message=message, retryable=error.retryable, facts=_json_facts(error.facts)
        ),
        attachments=attachments,
        attempts=attempts,
        duration_ms=duration_ms,
    )


def short_text(text: object) -> str:
    """Return a text for an error: storable, and with a long middle left out."""
    whole = clean_text(str(text))
    if len(whole) <= _TEXT_CHARS_MAX:
        return whole
    half = _TEXT_CHARS_MAX // 2
    return f"{whole[:half]} [… {len(whole) - 2 * half:,} characters …] {whole[-half:]}"


def _json_facts(facts: dict[str, Any]) -> dict[str, Json]:
    """Return facts as JSON: a tool may have put anything there, and a failure must not fail over it."""
    return {clean_text(name): _fact(value) for name, value in facts.items()}


def _fact(value: object) -> Json:
    try:
        encoded = EncodedResult(value)
    except LashError:
        return short_text(f"<{type(value).__name__}>")
    if encoded.attachments:
        return short_text(f"<{type(value).__name__}>")
    content = encoded.content([])
    return short_text(content) if isinstance(content, str) else content
