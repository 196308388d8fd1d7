"""Any endpoint that speaks OpenAI's chat completions."""

from lash.providers.openai_chat.model import OpenAIChat

__all__ = ["OpenAIChat"]
