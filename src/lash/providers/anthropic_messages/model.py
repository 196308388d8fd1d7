"""The adapter to Anthropic's messages API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lash.contracts import StreamSink
from lash.providers.answer import unsent_note
from lash.providers.anthropic_messages.request import CacheRetention, messages_payload, unsent_options
from lash.providers.anthropic_messages.stream import MessagesAssembler
from lash.providers.capabilities import CapabilityTable, ModelTraits, shipped_table
from lash.providers.extras import require_extra, require_key
from lash.providers.vendor_model import Timeouts, VendorModel
from lash.values import ModelRequest, ModelResponse


class AnthropicMessages(VendorModel):
    """A model of Anthropic.

    Args:
        model: Such as `claude-haiku-4-5`.
        base_url: Of another server; None is Anthropic, or what `ANTHROPIC_BASE_URL` says.
        api_key: The key itself; None takes it from the environment when the model is opened.
        api_key_env: The variable that holds the key.
        cache: How long the vendor keeps the beginning of the conversation: `short` is minutes, `long` an
            hour.
        traits: What the model can do; None asks the table.
        table: Where to look that up; None is the shipped one.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api_key_env: str = "ANTHROPIC_API_KEY",
        cache: CacheRetention = "short",
        traits: ModelTraits | None = None,
        table: CapabilityTable | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
        provider_id: str = "anthropic",
    ) -> None:
        known = traits or (table or shipped_table()).traits("anthropic", model)
        super().__init__(provider_id, model, known, timeouts)
        self._base_url = base_url
        self._api_key = api_key
        self._api_key_env = api_key_env
        self._cache: CacheRetention = cache

    def _connect(self, environ: Mapping[str, str]) -> tuple[Any, Any]:
        sdk = require_extra("anthropic", "anthropic")
        key = self._api_key or require_key(environ, self._api_key_env, f"{self.provider_id}:{self.spec.id}")
        client = sdk.AsyncAnthropic(
            api_key=key,
            base_url=self._base_url or environ.get("ANTHROPIC_BASE_URL") or None,
            max_retries=0,
            timeout=self._sdk_timeout(sdk),
        )
        return sdk, client

    async def _attempt(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        payload, projection = messages_payload(request, self.traits, self._cache)
        assembler = MessagesAssembler(
            call_key=request.call_key,
            projection=projection,
            notes=unsent_note(unsent_options(request, payload)),
        )
        # Older SDKs that lash still works with have no parameter of this name.
        late = {name: payload.pop(name) for name in ("output_config",) if name in payload}
        call = self._client.messages.create(**payload, extra_body=late or None)
        return await self._converse(call, assembler, sink)
