"""From `"provider:name"`, or a model object, to a model that can be called.

Everything that can be missing is found missing here: the SDK, the key, the file of a local model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lash.contracts import Model
from lash.errors import LashError
from lash.providers.capabilities import CapabilityTable, effective_table
from lash.providers.retrying import RetryingModel, RetryPolicy, draw_from
from lash.providers.vendor_model import Timeouts, VendorModel
from lash.values import Clock, IdSource

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "lash.models"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHost:
    """What the factory of a provider may use.

    Attributes:
        environ: Where keys and addresses come from.
        table: What is known of models by name.
        timeouts: The limits of one attempt.
    """

    clock: Clock
    ids: IdSource
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    table: CapabilityTable
    timeouts: Timeouts = field(default_factory=Timeouts)


ModelFactory = Callable[[str, ModelHost], Model]
"""Makes the model of a name: what an entry point of the group `lash.models` loads to."""


def resolve_model(
    model: str | Model,
    *,
    clock: Clock,
    ids: IdSource,
    environ: Mapping[str, str] | None = None,
    table: CapabilityTable | None = None,
    retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
    timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
    factories: Mapping[str, ModelFactory] | None = None,
) -> Model:
    """Return a model that is ready to be called. Close it when done; the object given stays as it is.

    Args:
        model: `"openai:NAME"`, `"openai-chat:NAME"`, `"anthropic:NAME"`, `"local:smollm2"`,
            `"local:/path/to.gguf"`, the name of a provider that another package brings, or a model object.
            lash's own adapters are prepared and get the retry policy; any other object is used as it is.
        clock: Sleeps between attempts.
        ids: The source of the jitter.
        environ: Where keys come from; None is the environment of this process.
        table: What is known of models; None is the shipped table under what `LASH_MODEL_TABLE` names.
        retry: For lash's own adapters.
        timeouts: For models that are named by a text.
        factories: Further providers, which win over all others.

    Raises:
        LashError: `model_spec_invalid`, `model_unknown_provider`, `extra_missing`, `model_key_missing`,
            `model_file_missing`, `model_table_invalid`.
    """
    surroundings = os.environ if environ is None else environ
    found = model
    if isinstance(model, str):
        host = ModelHost(
            clock=clock,
            ids=ids,
            environ=surroundings,
            table=table or effective_table(surroundings),
            timeouts=timeouts,
        )
        found = _made(model, host, factories or {})
    if isinstance(found, str):
        raise LashError("model_spec_invalid", f"the provider of {model!r} made a text, not a model")
    if not isinstance(found, VendorModel):
        return found
    return RetryingModel(found.prepared(surroundings), clock=clock, draw=draw_from(ids), policy=retry)


def _made(spec: str, host: ModelHost, factories: Mapping[str, ModelFactory]) -> Model:
    provider, colon, name = spec.partition(":")
    if not colon or not name.strip() or not provider.strip():
        raise LashError(
            "model_spec_invalid",
            f'{spec!r} names no model; write "provider:name", such as "openai:gpt-5.4-mini"',
            spec=spec,
        )
    factory = factories.get(provider) or _SHIPPED.get(provider) or _from_entry_points(provider)
    if factory is None:
        raise LashError(
            "model_unknown_provider",
            f"no provider {provider!r} for {spec!r}; there are {', '.join(_known(factories))}."
            f" A package adds one under the entry point group {ENTRY_POINTS}.",
            provider=provider,
            spec=spec,
        )
    return factory(name, host)


def _from_entry_points(provider: str) -> ModelFactory | None:
    for entry in _entry_points():
        if entry.name == provider:
            factory: ModelFactory = entry.load()
            return factory
    return None


def _known(factories: Mapping[str, ModelFactory]) -> list[str]:
    return sorted({*factories, *_SHIPPED, *(entry.name for entry in _entry_points())})


def _entry_points() -> Iterable[EntryPoint]:
    from importlib import metadata  # slow to load, and seldom needed

    return metadata.entry_points(group=ENTRY_POINTS)


def _openai(name: str, host: ModelHost) -> Model:
    from lash.providers.openai_responses import OpenAIResponses

    return OpenAIResponses(name, table=host.table, timeouts=host.timeouts)


def _openai_chat(name: str, host: ModelHost) -> Model:
    from lash.providers.openai_chat import OpenAIChat

    return OpenAIChat(name, table=host.table, timeouts=host.timeouts)


def _anthropic(name: str, host: ModelHost) -> Model:
    from lash.providers.anthropic_messages import AnthropicMessages

    return AnthropicMessages(name, table=host.table, timeouts=host.timeouts)


def _local(name: str, host: ModelHost) -> Model:
    from lash.providers.local import LocalModel

    return LocalModel(name, key=host.ids.new("local"), table=host.table, environ=host.environ)


_SHIPPED: Mapping[str, ModelFactory] = {
    "anthropic": _anthropic,
    "local": _local,
    "openai": _openai,
    "openai-chat": _openai_chat,
}
