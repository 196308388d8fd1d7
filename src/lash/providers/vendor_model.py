"""What all adapters to vendors share: being prepared, time limits, and the loop over one stream.

An adapter is a definition until `prepared` gives it a client, and only the prepared copy holds
connections: one definition can serve many runtimes. It never retries (see `RetryingModel`).
"""

from __future__ import annotations

import asyncio
import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Protocol, Self

from lash.contracts import ModelCallError, StreamSink
from lash.providers.capabilities import ModelTraits
from lash.providers.failures import failed
from lash.providers.sdk_errors import translated
from lash.values import ModelRequest, ModelResponse, ModelStreamEvent, Record


class Timeouts(Record, frozen=True, kw_only=True):
    """How long an attempt may take as a whole, and how long nothing may come. None is no limit."""

    request_ms: int | None = 300_000
    chunk_ms: int | None = 120_000


class Assembler(Protocol):
    """Puts one streamed answer together."""

    @property
    def is_complete(self) -> bool:
        """Whether the vendor has said that the answer is whole."""
        ...

    def take(self, event: Any) -> Iterable[ModelStreamEvent]:  # the SDK's own event
        """Add an event; return what the listener should hear."""
        ...

    def response(self) -> ModelResponse:
        """Return the answer.

        Raises:
            ModelCallError: `model_stream_cut` when the stream ended without the vendor's last word.
        """
        ...


class VendorModel(ABC):
    """A model behind a vendor's SDK. Subclasses know one wire format.

    Attributes:
        traits: What is known of the model.
        timeouts: The limits of one attempt.
    """

    provider_id: str
    _sdk: Any  # the vendor's module
    _client: Any  # its async client; None until prepared

    def __init__(self, provider_id: str, model: str, traits: ModelTraits, timeouts: Timeouts) -> None:
        self.provider_id = provider_id
        self.traits = traits
        self.timeouts = timeouts
        self.spec = traits.spec(model)
        self.capabilities = traits.capabilities()
        self._sdk = None
        self._client = None

    def prepared(self, environ: Mapping[str, str]) -> Self:
        """Return a copy that is ready to be called.

        Raises:
            LashError: `extra_missing`, `model_key_missing`.
        """
        ready = copy.copy(self)
        ready._sdk, ready._client = self._connect(environ)
        return ready

    async def complete(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        """Make one attempt. See `lash.contracts.Model`."""
        if self._client is None:
            vars(self).update(vars(self.prepared(os.environ)))  # used directly, without a runtime
        refuse_the_impossible(request, self.traits)
        limit_ms = self.timeouts.request_ms
        try:
            async with asyncio.timeout(None if limit_ms is None else limit_ms / 1000):
                return await self._attempt(request, sink)
        except TimeoutError as problem:
            raise failed("model_timeout", f"no whole answer within {limit_ms} ms") from problem

    async def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            await self._client.close()

    @abstractmethod
    def _connect(self, environ: Mapping[str, str]) -> tuple[Any, Any]:
        """Return the vendor's module and a client."""

    @abstractmethod
    async def _attempt(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        """Ask once."""

    def _sdk_timeout(self, sdk: Any) -> Any:  # the SDK's own type
        """Return the time limit between bytes, which the HTTP library watches."""
        chunk_ms = self.timeouts.chunk_ms
        return sdk.Timeout(None if chunk_ms is None else chunk_ms / 1000)

    async def _converse(
        self, opening: Awaitable[Any], assembler: Assembler, sink: StreamSink
    ) -> ModelResponse:
        """Read one stream to its end and return the answer that it carried."""
        try:
            stream = await opening
        except Exception as problem:
            raise self._failure(problem, streaming=False) from problem
        try:
            while True:
                try:
                    news = assembler.take(await anext(stream))
                except StopAsyncIteration:
                    break
                except Exception as problem:
                    failure = self._failure(problem, streaming=True)
                    if assembler.is_complete and failure.code == "model_stream_cut":
                        break  # all that is lost is what came behind the answer
                    if failure is problem:
                        raise
                    raise failure from problem
                for event in news:
                    sink(event)
        finally:
            await stream.close()
        return assembler.response()

    def _failure(self, problem: Exception, *, streaming: bool) -> ModelCallError:
        found = translated(self._sdk, problem, streaming=streaming)
        if found is None:
            raise problem
        return found


def refuse_the_impossible(request: ModelRequest, traits: ModelTraits) -> None:
    """Refuse, before it costs anything, what the vendor would refuse.

    Raises:
        ModelCallError: `model_bad_request` for more output than the model can give; `model_unsupported`
            for an effort that it does not know.
    """
    wanted, capacity = request.generation.max_output_tokens, traits.output_token_capacity
    if wanted is not None and wanted < 1:
        raise failed("model_bad_request", f"max_output_tokens={wanted} leaves no room for an answer")
    if wanted is not None and capacity is not None and wanted > capacity:
        raise failed(
            "model_bad_request",
            f"max_output_tokens={wanted} is more than {request.model.id} can give ({capacity})",
        )
    effort_for(request, traits)


def effort_for(request: ModelRequest, traits: ModelTraits) -> str | None:
    """Return the effort to ask for in the model's own word; None to leave it to the model.

    Raises:
        ModelCallError: `model_unsupported` for a word that the model does not know.
    """
    wanted = request.generation.reasoning_effort or request.model.variant
    if wanted is None:
        return None
    effort = traits.effort_aliases.get(wanted, wanted)
    if traits.efforts and effort not in traits.efforts:
        raise failed(
            "model_unsupported",
            f"{request.model.id} does not know the effort {wanted!r}, only {', '.join(traits.efforts)}",
        )
    return effort
