"""The adapter to chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from lash.contracts import StreamSink
from lash.providers.answer import unsent_note
from lash.providers.capabilities import CapabilityTable, ModelTraits, shipped_table
from lash.providers.extras import require_extra, require_key
from lash.providers.openai_chat.constrained import (
    ConstrainedAssembler,
    decision_format,
    repeats_itself,
    told_in_text,
    with_tools_described,
)
from lash.providers.openai_chat.options import ChatDialect
from lash.providers.openai_chat.request import (
    chat_payload,
    output_format,
    plain_payload,
    unsent_options,
)
from lash.providers.openai_chat.stream import ChatAssembler
from lash.providers.schema_projection import Projection
from lash.providers.vendor_model import Timeouts, VendorModel
from lash.values import ModelRequest, ModelResponse, ReasoningPart, TextDelta, TextPart

_NO_KEY = "none"  # what a server without keys is told; the SDK insists on one


class OpenAIChat(VendorModel):
    """A model behind any endpoint that speaks OpenAI's chat completions.

    Args:
        model: The name by which the server knows it.
        base_url: Where the server is, such as `http://127.0.0.1:8000/v1`. None is OpenAI, or what
            `OPENAI_BASE_URL` says.
        api_key: The key itself.
        api_key_env: The variable that holds the key. With neither, `OPENAI_API_KEY` goes to OpenAI, or
            to where `OPENAI_BASE_URL` says, and a `base_url` that is given here gets none.
        context_window_tokens: What the server can take; None asks the table.
        dialect: How the server speaks; None is the usual way. `tool_mode="schema"` is for servers that
            ignore `tools`.
        headers: Sent with every request.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api_key_env: str | None = None,
        context_window_tokens: int | None = None,
        output_token_capacity: int | None = None,
        tool_mode: Literal["native", "schema"] | None = None,
        dialect: ChatDialect | None = None,
        headers: Mapping[str, str] | None = None,
        traits: ModelTraits | None = None,
        table: CapabilityTable | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
        provider_id: str = "openai-chat",
    ) -> None:
        known = traits or _traits(
            provider_id, model, table or shipped_table(), context_window_tokens, output_token_capacity
        )
        super().__init__(provider_id, model, known, timeouts)
        self._base_url = base_url
        self._api_key = api_key
        self._api_key_env = api_key_env
        self._headers = dict(headers or {})
        chosen = dialect or ChatDialect(
            max_tokens_field="max_completion_tokens" if base_url is None else "max_tokens"
        )
        self.dialect = chosen if tool_mode is None else chosen.replace(tool_mode=tool_mode)

    def _connect(self, environ: Mapping[str, str]) -> tuple[Any, Any]:
        sdk = require_extra("openai", "openai")
        client = sdk.AsyncOpenAI(
            api_key=self._key(environ),
            base_url=self._base_url or environ.get("OPENAI_BASE_URL") or None,
            default_headers=self._headers,
            max_retries=0,
            timeout=self._sdk_timeout(sdk),
        )
        return sdk, client

    def _key(self, environ: Mapping[str, str]) -> str:
        if self._api_key is not None:
            return self._api_key
        name = f"{self.provider_id}:{self.spec.id}"
        if self._api_key_env is not None:
            return require_key(environ, self._api_key_env, name)
        if self._base_url is not None:
            return _NO_KEY  # a key for OpenAI is nobody else's business
        if environ.get("OPENAI_BASE_URL"):
            return environ.get("OPENAI_API_KEY") or _NO_KEY
        return require_key(environ, "OPENAI_API_KEY", name)

    async def _attempt(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        if self.dialect.tool_mode == "schema":
            if request.tools and request.tool_choice != "none":
                return await self._decide(request, sink)
            return await self._answer(told_in_text(request), sink)
        payload, projection = chat_payload(request, self.traits, self.dialect)
        return await self._ask(payload, self._assembler(request, projection), sink)

    async def _decide(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        """Let the model call a tool or answer, held to a schema; then, where prose is free, let it answer."""
        told = told_in_text(request)
        described = with_tools_described(told, self.dialect)
        payload = plain_payload(described, self.traits, self.dialect)
        payload["response_format"] = decision_format(request, self.dialect)
        assembler = ConstrainedAssembler(self._assembler(request, None), request, self.dialect)
        heard: list[TextDelta] = []

        def listen(event: Any) -> None:  # any event of the stream
            if isinstance(event, TextDelta):
                heard.append(event)
            sink(event)

        decision = await self._ask(payload, assembler, listen)
        repeats = self.dialect.answer_repeated_calls and repeats_itself(request, decision)
        if assembler.wants_to_answer or (repeats and request.tool_choice != "required"):
            answer = await self._answer(told, sink)
            thoughts = tuple(part for part in decision.parts if isinstance(part, ReasoningPart))
            return answer.replace(parts=thoughts + answer.parts, usage=decision.usage + answer.usage)
        if not heard:
            for part in decision.parts:
                if isinstance(part, TextPart):
                    sink(TextDelta(text=part.text))
        return decision

    async def _answer(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        """Let the model answer without tools."""
        payload = plain_payload(request, self.traits, self.dialect)
        projection = None
        if request.output is not None:
            payload["response_format"], projection = output_format(request.output)
        return await self._ask(payload, self._assembler(request, projection), sink)

    async def _ask(
        self, payload: dict[str, Any], assembler: ChatAssembler | ConstrainedAssembler, sink: StreamSink
    ) -> ModelResponse:
        return await self._converse(self._client.chat.completions.create(**payload), assembler, sink)

    def _assembler(self, request: ModelRequest, projection: Projection | None) -> ChatAssembler:
        return ChatAssembler(
            call_key=request.call_key,
            projection=projection,
            tolerate_eof=self.dialect.tolerate_eof,
            notes=unsent_note(unsent_options(request, self.traits)),
        )


def _traits(
    provider_id: str,
    model: str,
    table: CapabilityTable,
    context_window_tokens: int | None,
    output_token_capacity: int | None,
) -> ModelTraits:
    if context_window_tokens is None:
        known = table.traits(provider_id, model)
    else:
        known = table.known(provider_id, model) or ModelTraits(context_window_tokens=context_window_tokens)
        known = known.replace(context_window_tokens=context_window_tokens)
    if output_token_capacity is not None:
        known = known.replace(output_token_capacity=output_token_capacity)
    return known
