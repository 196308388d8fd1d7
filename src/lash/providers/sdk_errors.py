"""From what a vendor's SDK raises to a `ModelFailure`.

The official OpenAI and Anthropic SDKs are generated alike: same class names, same attributes. Once a
stream has begun, transports also let errors of the HTTP library through, which is told by its class names
(the library itself has changed names before).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lash.contracts import ModelCallError
from lash.providers.failures import failed, retry_after_ms, vendor_failure


def translated(sdk: Any, problem: Exception, *, streaming: bool) -> ModelCallError | None:
    """Return the failure that an exception means.

    Args:
        sdk: The vendor's module.
        problem: What it raised.
        streaming: Whether the answer had begun to come.

    Returns:
        None when the exception is none of the vendor's: a bug, to be raised as it is.
    """
    if isinstance(problem, ModelCallError):
        return problem
    if isinstance(problem, sdk.APITimeoutError) or _is_transport(problem, "TimeoutException"):
        return failed("model_timeout", f"nothing came in time: {_told(problem)}")
    if isinstance(problem, sdk.APIResponseValidationError):
        return failed("model_garbage", f"the answer is not what the vendor promises: {_told(problem)}")
    if isinstance(problem, sdk.APIConnectionError) or _is_transport(problem, "RequestError"):
        if streaming:
            return failed("model_stream_cut", f"the connection broke in the answer: {_told(problem)}")
        return failed("model_transport", f"the vendor cannot be reached: {_told(problem)}")
    if isinstance(problem, sdk.APIError):
        return _told_by_vendor(problem)
    if streaming and isinstance(problem, ValueError | TypeError | KeyError | AttributeError | IndexError):
        # The SDK builds its objects from the wire without checking them; what does not fit shows here.
        return failed("model_garbage", f"the stream holds what is no answer: {_told(problem)}")
    return None


def _told_by_vendor(problem: Any) -> ModelCallError:
    """Return the failure that an error response, or an error event in a stream, reports."""
    status = getattr(problem, "status_code", None)
    response = getattr(problem, "response", None)
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    detail = error_detail(getattr(problem, "body", None))
    return ModelCallError(
        vendor_failure(
            detail.get("message") or str(problem),
            # An error event inside a stream comes with the stream's own 200.
            status=status if isinstance(status, int) and status >= 400 else None,
            vendor_type=detail.get("type", ""),
            vendor_code=detail.get("code", ""),
            retry_after_ms=retry_after_ms(headers),
        )
    )


def error_detail(body: object) -> dict[str, str]:
    """Return message, type and code of an error body, whichever way it is nested."""
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        body = body["error"]
    if isinstance(body, Mapping):
        return {name: str(body[name]) for name in ("message", "type", "code") if body.get(name) is not None}
    return {"message": body} if isinstance(body, str) else {}


def _is_transport(problem: Exception, name: str) -> bool:
    """Whether the HTTP library raised this, and as a kind of `name`."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] in ("httpx", "httpx2")
        for kind in type(problem).__mro__
    )


def _told(problem: Exception) -> str:
    cause = problem.__cause__
    text = str(problem) or type(problem).__name__
    return f"{text} ({cause})" if cause is not None and str(cause) else text
