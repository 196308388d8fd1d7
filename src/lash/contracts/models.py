"""The model port: one call to a large language model, streamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lash.errors import LashError
from lash.values import ModelFailure, ModelRequest, ModelResponse, ModelSpec, ModelStreamEvent, Record

StreamSink = Callable[[ModelStreamEvent], None]


class ModelCapabilities(Record, frozen=True, kw_only=True):
    """What a model can be asked for. What it cannot, the runtime does another way."""

    tools: bool = True
    output_schema: bool = False
    attachments: bool = False


class ModelCallError(LashError):
    """A model call failed; `failure` says how. The turn driver records it as the call's outcome."""

    def __init__(self, failure: ModelFailure) -> None:
        super().__init__(failure.code, failure.message, retryable=failure.retryable)
        self.failure = failure

    def __reduce__(self) -> tuple[type[ModelCallError], tuple[ModelFailure]]:
        return (ModelCallError, (self.failure,))


class Model(Protocol):
    """A model that can be called."""

    provider_id: str
    spec: ModelSpec
    capabilities: ModelCapabilities

    async def complete(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        """Return the whole answer, telling `sink` of it as it comes.

        Retries are the model's own affair (`lash.providers` wraps adapters with one policy); before an
        attempt starts over, `sink` gets an `AttemptReset`. Cancelling the task ends the call.

        Raises:
            ModelCallError: when there is no answer.
        """
        ...

    async def close(self) -> None:
        """Give back connections and child processes."""
        ...
