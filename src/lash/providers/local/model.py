"""The adapter to a local model: chat completions to a server that it starts and stops by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from lash.contracts import StreamSink
from lash.providers.capabilities import CapabilityTable, shipped_table
from lash.providers.extras import require_extra
from lash.providers.local.files import model_file
from lash.providers.local.server import LocalServer, ServerSettings
from lash.providers.openai_chat import OpenAIChat
from lash.providers.openai_chat.options import ChatDialect
from lash.values import ModelRequest, ModelResponse

# The engine does not enforce `tools`; a small model needs limits to come to an end, and prose left free.
_DIALECT = ChatDialect(
    tool_mode="schema",
    free_prose=True,
    answer_repeated_calls=True,
    text_max_chars=200,
    list_max_items=8,
)


class LocalModel(OpenAIChat):
    """A model file, served by a child process of this one.

    What the request leaves open is decided for repeatable answers that end: temperature 0, seed 1, and as
    many tokens as the table says.

    Args:
        name: `smollm2`, or the path of a GGUF file.
        context_window_tokens: How much the server keeps in memory; None asks the table.
        threads: One is the fastest on a busy machine.
        key: Keeps other users of this machine out of the server.
        environ: Says where model files are kept; None is the environment of this process.
    """

    def __init__(
        self,
        name: str,
        *,
        context_window_tokens: int | None = None,
        threads: int = 1,
        key: str = "local",
        table: CapabilityTable | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        known = table or shipped_table()
        traits = known.known("local", name) or known.unknown["local"]
        if context_window_tokens is not None:
            traits = traits.replace(context_window_tokens=context_window_tokens)
        super().__init__(
            name,
            api_key=key,
            traits=traits,
            dialect=_DIALECT,
            # A connection that is used again right after a stream fails now and then.
            headers={"Connection": "close"},
            provider_id="local",
        )
        self._environ = os.environ if environ is None else environ
        self._key_of_server = key
        self._threads = threads
        self._server: LocalServer | None = None
        self._client_address = ""

    def prepared(self, environ: Mapping[str, str]) -> Self:
        """Return a copy with a server that starts on the first call.

        Raises:
            LashError: `extra_missing`, `model_file_missing`.
        """
        require_extra("xllamacpp", "local")
        ready = super().prepared(environ)
        ready._server = LocalServer(
            ServerSettings(
                path=model_file(self.spec.id, self._environ),
                alias=self.spec.id,
                key=self._key_of_server,
                context_window_tokens=self.spec.context_window_tokens,
                threads=self._threads,
            )
        )
        return ready

    def _connect(self, environ: Mapping[str, str]) -> tuple[Any, Any]:
        sdk = require_extra("openai", "local")
        client = sdk.AsyncOpenAI(
            api_key=self._key_of_server,
            base_url="http://127.0.0.1:0/v1",  # known when the server has started
            default_headers=self._headers,
            max_retries=0,
            timeout=self._sdk_timeout(sdk),
            http_client=sdk.DefaultAsyncHttpxClient(trust_env=False),  # no proxy on the way to ourselves
        )
        return sdk, client

    async def _attempt(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        assert self._server is not None  # `prepared` has made it
        address = await self._server.address()
        if address != self._client_address:
            self._client = self._client.with_options(base_url=f"{address}/v1")
            self._client_address = address
        return await super()._attempt(_decided(request, self.traits.output_token_capacity), sink)

    @property
    def server_pid(self) -> int | None:
        """The process id of the server while it runs."""
        return None if self._server is None else self._server.pid

    async def close(self) -> None:
        """Stop the server and close the connections to it."""
        await super().close()
        if self._server is not None:
            await self._server.stop()


def _decided(request: ModelRequest, output_token_capacity: int | None) -> ModelRequest:
    given = request.generation
    return replace(
        request,
        generation=given.replace(
            temperature=0.0 if given.temperature is None else given.temperature,
            seed=1 if given.seed is None else given.seed,
            max_output_tokens=given.max_output_tokens or output_token_capacity,
        ),
    )
