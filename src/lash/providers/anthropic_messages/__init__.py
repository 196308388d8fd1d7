"""Anthropic's messages API."""

from lash.providers.anthropic_messages.model import AnthropicMessages

__all__ = ["AnthropicMessages"]
