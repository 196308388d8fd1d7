"""Definitions: what an agent is, and what a durable process is. Plain data and functions, no I/O."""

from lash.agents.agent import Agent
from lash.agents.as_tool import AgentTool, agents_below
from lash.agents.code_options import Binding, CodeOptions, turn_options
from lash.agents.limits import Limits
from lash.agents.process import (
    PROCESS_PROGRESS,
    PROCESS_WAKE,
    PROCESS_YIELD,
    WORK_EVENT_TYPES,
    ProcessDefinition,
    converted,
    process,
)
from lash.agents.process_context import ChildProcess, ProcessContext
from lash.values import PROCESS_SIGNAL

__all__ = [
    "PROCESS_PROGRESS",
    "PROCESS_SIGNAL",
    "PROCESS_WAKE",
    "PROCESS_YIELD",
    "WORK_EVENT_TYPES",
    "Agent",
    "AgentTool",
    "Binding",
    "ChildProcess",
    "CodeOptions",
    "Limits",
    "ProcessContext",
    "ProcessDefinition",
    "agents_below",
    "converted",
    "process",
    "turn_options",
]
