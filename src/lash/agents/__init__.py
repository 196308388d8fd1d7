"""Definitions: what an agent is. Plain data and functions, no I/O, importable by a worker."""

from lash.agents.agent import Agent
from lash.agents.limits import Limits

__all__ = ["Agent", "Limits"]
