"""lash: a durable runtime for LLM agents.

Sessions whose turns commit atomically, effects that are replayed instead of repeated, and work that
survives `kill -9`, on one SQLite file. `lash.Agent` defines, `lash.open` gives life.

Everything here is loaded when it is first used, so that `import lash` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lash.agents import (
        Agent,
        Binding,
        ChildProcess,
        CodeOptions,
        Limits,
        ProcessContext,
        ProcessDefinition,
        process,
    )
    from lash.errors import LashError, ToolError
    from lash.facade import Accepted, ProcessHandle, Runtime, Session, Turn, TurnResult, open
    from lash.facade.triggers import EVENT
    from lash.plugins import Compaction, ContinueAs, Plugin, RollingHistory
    from lash.runtime.events import EventSource, cron, interval
    from lash.tools import Attachment, Resource, Retry, Tool, ToolContext, file_tools, tool
    from lash.tracing import Trace
    from lash.values import AttachmentRef, GenerationOptions, TokenUsage, TurnEvent, TurnInput

__version__ = "0.1.0"

__all__ = [
    "EVENT",
    "Accepted",
    "Agent",
    "Attachment",
    "AttachmentRef",
    "Binding",
    "ChildProcess",
    "CodeOptions",
    "Compaction",
    "ContinueAs",
    "EventSource",
    "GenerationOptions",
    "LashError",
    "Limits",
    "Plugin",
    "ProcessContext",
    "ProcessDefinition",
    "ProcessHandle",
    "Resource",
    "Retry",
    "RollingHistory",
    "Runtime",
    "Session",
    "TokenUsage",
    "Tool",
    "ToolContext",
    "ToolError",
    "Trace",
    "Turn",
    "TurnEvent",
    "TurnInput",
    "TurnResult",
    "__version__",
    "cron",
    "file_tools",
    "interval",
    "open",
    "process",
    "tool",
]

_HOMES = {
    "lash.agents": (
        "Agent",
        "Binding",
        "ChildProcess",
        "CodeOptions",
        "Limits",
        "ProcessContext",
        "ProcessDefinition",
        "process",
    ),
    "lash.errors": ("LashError", "ToolError"),
    "lash.facade": ("Accepted", "ProcessHandle", "Runtime", "Session", "Turn", "TurnResult", "open"),
    "lash.facade.triggers": ("EVENT",),
    "lash.plugins": ("Compaction", "ContinueAs", "Plugin", "RollingHistory"),
    "lash.runtime.events": ("EventSource", "cron", "interval"),
    "lash.tools": ("Attachment", "Resource", "Retry", "Tool", "ToolContext", "file_tools", "tool"),
    "lash.tracing": ("Trace",),
    "lash.values": ("AttachmentRef", "GenerationOptions", "TokenUsage", "TurnEvent", "TurnInput"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'lash' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
