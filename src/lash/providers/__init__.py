"""Models: adapters to vendors, one retry policy, and the way from `"provider:name"` to a model.

A vendor's SDK is imported when its model is opened, never before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lash.providers.anthropic_messages import AnthropicMessages
    from lash.providers.capabilities import CapabilityTable, ModelTraits, TableRow
    from lash.providers.failures import MODEL_FAILURES
    from lash.providers.local import LocalModel, fetch_smollm2
    from lash.providers.openai_chat import OpenAIChat
    from lash.providers.openai_chat.options import ChatDialect
    from lash.providers.openai_responses import OpenAIResponses
    from lash.providers.resolution import ModelFactory, ModelHost, resolve_model
    from lash.providers.retrying import RetryingModel, RetryPolicy, draw_from
    from lash.providers.vendor_model import Timeouts

_HOMES = {
    "AnthropicMessages": "lash.providers.anthropic_messages",
    "CapabilityTable": "lash.providers.capabilities",
    "ChatDialect": "lash.providers.openai_chat.options",
    "LocalModel": "lash.providers.local",
    "MODEL_FAILURES": "lash.providers.failures",
    "ModelFactory": "lash.providers.resolution",
    "ModelHost": "lash.providers.resolution",
    "ModelTraits": "lash.providers.capabilities",
    "OpenAIChat": "lash.providers.openai_chat",
    "OpenAIResponses": "lash.providers.openai_responses",
    "RetryPolicy": "lash.providers.retrying",
    "RetryingModel": "lash.providers.retrying",
    "TableRow": "lash.providers.capabilities",
    "Timeouts": "lash.providers.vendor_model",
    "draw_from": "lash.providers.retrying",
    "fetch_smollm2": "lash.providers.local",
    "resolve_model": "lash.providers.resolution",
}

__all__ = [
    "MODEL_FAILURES",
    "AnthropicMessages",
    "CapabilityTable",
    "ChatDialect",
    "LocalModel",
    "ModelFactory",
    "ModelHost",
    "ModelTraits",
    "OpenAIChat",
    "OpenAIResponses",
    "RetryPolicy",
    "RetryingModel",
    "TableRow",
    "Timeouts",
    "draw_from",
    "fetch_smollm2",
    "resolve_model",
]


def __getattr__(name: str) -> Any:  # a module attribute can be anything
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'lash.providers' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
