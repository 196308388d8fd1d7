"""Why a model call failed, said the same way for every vendor.

All codes are here. What a vendor says becomes one of them by status, by its own error type, and last by
words in its text; text is never kept as the reason. Only failures marked retryable are tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from lash.contracts import ModelCallError
from lash.providers.tool_arguments import clean_text
from lash.values import ModelFailure, ModelFailureKind, TerminalReason


class FailureClass(NamedTuple):
    """What a code stands for."""

    kind: ModelFailureKind
    retryable: bool
    meaning: str
    terminal_reason: TerminalReason | None = None


MODEL_FAILURES: Mapping[str, FailureClass] = MappingProxyType(
    {
        "model_rate_limited": FailureClass("http", True, "too many requests or tokens for now"),
        "model_overloaded": FailureClass("http", True, "the vendor has no capacity for now"),
        "model_server_error": FailureClass("http", True, "the vendor failed"),
        "model_timeout": FailureClass("timeout", True, "no answer, or no more of it, in time"),
        "model_transport": FailureClass("transport", True, "the vendor could not be reached"),
        "model_stream_cut": FailureClass("stream", True, "the stream ended before the answer did"),
        "model_garbage": FailureClass("stream", True, "the stream holds what is no answer"),
        "model_auth": FailureClass("auth", False, "the key is refused or may not do this"),
        "model_quota": FailureClass("quota", False, "the account has nothing left to spend"),
        "model_not_found": FailureClass("unsupported", False, "the vendor has no such model or address"),
        "model_unsupported": FailureClass("unsupported", False, "this model cannot do what is asked"),
        "model_bad_request": FailureClass("validation", False, "the vendor refuses the request"),
        "model_attachment_missing": FailureClass("validation", False, "the bytes of an attachment are gone"),
        "model_context_overflow": FailureClass(
            "validation", False, "the conversation does not fit the model's window", "context_overflow"
        ),
        "model_content_filter": FailureClass(
            "validation", False, "the vendor's filter refuses the content", "content_filter"
        ),
        "model_local_failed": FailureClass("transport", False, "the local model server did not start"),
        "model_error_unknown": FailureClass("unknown", False, "the vendor reports what no rule here knows"),
    }
)

_MESSAGE_MAX_CHARS = 2000
_QUOTA_WORDS = (
    "insufficient_quota",
    "exceeded your current quota",
    "billing_hard_limit",
    "credit balance is too low",
    "insufficient credits",
    "billing_not_active",
)
_OVERFLOW_WORDS = (
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "prompt is too long",
    "input is too long",
    "exceed_context_size",
    "exceeds the available context size",
    "model_context_window_exceeded",
)
_RATE_WORDS = ("rate limit", "rate_limit", "tokens per min", "requests per min")
_FILTER_WORDS = (
    "content_filter",
    "content_policy_violation",
    "content management policy",
    "bio_policy",
    "invalid_prompt",
    "misalignment_policy_violation",
)
_STATUS_CODES = {
    400: "model_bad_request",
    401: "model_auth",
    402: "model_quota",
    403: "model_auth",
    404: "model_not_found",
    408: "model_timeout",
    409: "model_server_error",
    413: "model_bad_request",
    422: "model_bad_request",
    425: "model_server_error",
    429: "model_rate_limited",
    500: "model_server_error",
    502: "model_server_error",
    503: "model_overloaded",
    504: "model_timeout",
    529: "model_overloaded",
}
_TYPE_CODES = {
    "overloaded_error": "model_overloaded",
    "server_is_overloaded": "model_overloaded",
    "slow_down": "model_overloaded",
    "rate_limit_error": "model_rate_limited",
    "rate_limit_exceeded": "model_rate_limited",
    "api_error": "model_server_error",
    "server_error": "model_server_error",
    "internal_server_error": "model_server_error",
    "timeout_error": "model_timeout",
    "vector_store_timeout": "model_timeout",
    "authentication_error": "model_auth",
    "permission_error": "model_auth",
    "invalid_api_key": "model_auth",
    "billing_error": "model_quota",
    "not_found_error": "model_not_found",
    "model_not_found": "model_not_found",
    "invalid_request_error": "model_bad_request",
    "request_too_large": "model_bad_request",
}


def failure(
    code: str, message: str, *, status: int | None = None, retry_after_ms: int | None = None
) -> ModelFailure:
    """Return the failure of a known code, with the class that the table gives it."""
    known = MODEL_FAILURES[code]
    return ModelFailure(
        kind=known.kind,
        code=code,
        message=clean_text(message)[:_MESSAGE_MAX_CHARS],
        status=status,
        retryable=known.retryable,
        retry_after_ms=retry_after_ms,
        terminal_reason=known.terminal_reason,
    )


def failed(
    code: str, message: str, *, status: int | None = None, retry_after_ms: int | None = None
) -> ModelCallError:
    """Return `failure(…)` as an error to raise."""
    return ModelCallError(failure(code, message, status=status, retry_after_ms=retry_after_ms))


def vendor_failure(
    message: str,
    *,
    status: int | None = None,
    vendor_type: str = "",
    vendor_code: str = "",
    retry_after_ms: int | None = None,
) -> ModelFailure:
    """Return what a vendor's error means.

    Args:
        message: The vendor's own text.
        status: The HTTP status; None for an error inside a stream that had begun well.
        vendor_type: The vendor's error type.
        vendor_code: The vendor's error code; some gateways put an HTTP status here.
        retry_after_ms: When the vendor wants to be asked again.
    """
    if status is None and vendor_code.isdigit():
        status = int(vendor_code)
    code = _code_of(f"{message}\n{vendor_type}\n{vendor_code}".lower(), status, vendor_type, vendor_code)
    return failure(code, message, status=status, retry_after_ms=retry_after_ms)


def _code_of(words: str, status: int | None, vendor_type: str, vendor_code: str) -> str:
    """Return the code. Words come first: vendors hide quota and overflow behind 400 and 429 alike."""
    if any(word in words for word in _QUOTA_WORDS):
        return "model_quota"
    asks_for_less = status in (None, 400, 413, 422, 500)  # some servers say 500 when a prompt is too long
    if asks_for_less and _says(words, _OVERFLOW_WORDS) and not _says(words, _RATE_WORDS):
        return "model_context_overflow"
    if asks_for_less and _says(words, _FILTER_WORDS):
        return "model_content_filter"
    if vendor_code == "model_not_found":
        return "model_not_found"
    if status in _STATUS_CODES:
        return _STATUS_CODES[status]
    for name in (vendor_code, vendor_type):
        if name in _TYPE_CODES:
            return _TYPE_CODES[name]
    if status is not None and status >= 500:
        return "model_server_error"
    if status is not None and status >= 400:
        return "model_bad_request"
    return "model_error_unknown"


def _says(words: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in words for phrase in phrases)


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """Return when a response asks to be tried again, in milliseconds from the moment it was sent.

    A date is read against the response's own `Date`, so that no clock of ours takes part.
    """
    from email.utils import parsedate_to_datetime  # slow to load, and seldom needed

    for name, unit in (("retry-after-ms", 1), ("retry-after", 1000)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            return max(0, round(float(text) * unit))
        except (ValueError, OverflowError):
            pass  # a date, or nonsense
        try:
            until, sent = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("date", ""))
            return max(0, round((until - sent).total_seconds() * 1000))
        except (ValueError, TypeError):
            continue
    return None
