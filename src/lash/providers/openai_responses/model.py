"""The adapter to OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lash.contracts import StreamSink
from lash.providers.answer import unsent_note
from lash.providers.capabilities import CapabilityTable, ModelTraits, shipped_table
from lash.providers.extras import require_extra, require_key
from lash.providers.openai_responses.request import responses_payload, unsent_options
from lash.providers.openai_responses.stream import ResponsesAssembler
from lash.providers.vendor_model import Timeouts, VendorModel
from lash.values import ModelRequest, ModelResponse


class OpenAIResponses(VendorModel):
    """A model of OpenAI, or of a server that speaks the Responses API.

    Args:
        model: Such as `gpt-5.4-mini`.
        base_url: Of another server; None is OpenAI, or what `OPENAI_BASE_URL` says.
        api_key: The key itself; None takes it from the environment when the model is opened.
        api_key_env: The variable that holds the key.
        traits: What the model can do; None asks the table.
        table: Where to look that up; None is the shipped one.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        traits: ModelTraits | None = None,
        table: CapabilityTable | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
        provider_id: str = "openai",
    ) -> None:
        known = traits or (table or shipped_table()).traits("openai", model)
        super().__init__(provider_id, model, known, timeouts)
        self._base_url = base_url
        self._api_key = api_key
        self._api_key_env = api_key_env

    def _connect(self, environ: Mapping[str, str]) -> tuple[Any, Any]:
        sdk = require_extra("openai", "openai")
        key = self._api_key or require_key(environ, self._api_key_env, f"{self.provider_id}:{self.spec.id}")
        client = sdk.AsyncOpenAI(
            api_key=key,
            base_url=self._base_url or environ.get("OPENAI_BASE_URL") or None,
            max_retries=0,
            timeout=self._sdk_timeout(sdk),
        )
        return sdk, client

    async def _attempt(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        payload, projection = responses_payload(request, self.traits)
        assembler = ResponsesAssembler(
            call_key=request.call_key,
            projection=projection,
            notes=unsent_note(unsent_options(request, self.traits)),
        )
        return await self._converse(self._client.responses.create(**payload), assembler, sink)
