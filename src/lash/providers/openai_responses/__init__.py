"""OpenAI's Responses API."""

from lash.providers.openai_responses.model import OpenAIResponses

__all__ = ["OpenAIResponses"]
