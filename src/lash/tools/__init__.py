"""Tools: Python functions that a model may call.

`tool` makes a `Tool` of a function, a `ToolSet` is what an agent has, and `ToolSet.prepare` and
`ToolSet.execute` take one call from the model's wish to the recorded result. Nothing here knows of turns,
of storage or of the journal: what a call needs of them comes in through `ToolInvocation`.
"""

from lash.errors import ToolError
from lash.tools.arguments import Arguments, problems_text
from lash.tools.attachment import Attachment
from lash.tools.budget import OutputBudget
from lash.tools.cancellation import Cancellation
from lash.tools.context import ToolContext, ToolInvocation, tool_idempotency_key
from lash.tools.control import WithControl
from lash.tools.crash import ToolCrash, log_crash
from lash.tools.definition import Approval, Tool, tool
from lash.tools.failures import failed_call
from lash.tools.files import file_tools
from lash.tools.json_types import from_json, to_json
from lash.tools.lanes import SerialLanes
from lash.tools.processes import ToolProcesses, ToolProcessHandle
from lash.tools.resources import Resource, Resources, type_name
from lash.tools.retry import ONCE, Effect, Retry, may_retry
from lash.tools.schema_tools import SchemaFunction, tool_of_schema
from lash.tools.signature import Signature, read_signature
from lash.tools.threads import ToolThreads
from lash.tools.toolset import ToolSet
from lash.values import WHOLE_RESULT_LABEL

__all__ = [
    "ONCE",
    "WHOLE_RESULT_LABEL",
    "Approval",
    "Arguments",
    "Attachment",
    "Cancellation",
    "Effect",
    "OutputBudget",
    "Resource",
    "Resources",
    "Retry",
    "SchemaFunction",
    "SerialLanes",
    "Signature",
    "Tool",
    "ToolContext",
    "ToolCrash",
    "ToolError",
    "ToolInvocation",
    "ToolProcessHandle",
    "ToolProcesses",
    "ToolSet",
    "ToolThreads",
    "WithControl",
    "failed_call",
    "file_tools",
    "from_json",
    "log_crash",
    "may_retry",
    "problems_text",
    "read_signature",
    "to_json",
    "tool",
    "tool_idempotency_key",
    "tool_of_schema",
    "type_name",
]
