"""Tools: Python functions that a model may call.

`tool` makes a `Tool` of a function, a `ToolSet` is what an agent has, and `ToolSet.prepare` and
`ToolSet.execute` take one call from the model's wish to the recorded result. Nothing here knows of turns,
of storage or of the journal: what a call needs of them comes in through `ToolInvocation`.
"""

from lash.errors import ToolError
from lash.tools.attachment import Attachment
from lash.tools.budget import OutputBudget
from lash.tools.cancellation import Cancellation
from lash.tools.context import ToolContext, ToolInvocation, tool_idempotency_key
from lash.tools.crash import ToolCrash, log_crash
from lash.tools.definition import Tool, tool
from lash.tools.failures import failed_call
from lash.tools.files import file_tools
from lash.tools.lanes import SerialLanes
from lash.tools.resources import Resource, Resources
from lash.tools.retry import Effect, Retry
from lash.tools.threads import ToolThreads
from lash.tools.toolset import ToolSet
from lash.values import WHOLE_RESULT_LABEL

__all__ = [
    "WHOLE_RESULT_LABEL",
    "Attachment",
    "Cancellation",
    "Effect",
    "OutputBudget",
    "Resource",
    "Resources",
    "Retry",
    "SerialLanes",
    "Tool",
    "ToolContext",
    "ToolCrash",
    "ToolError",
    "ToolInvocation",
    "ToolSet",
    "ToolThreads",
    "failed_call",
    "file_tools",
    "log_crash",
    "tool",
    "tool_idempotency_key",
]
