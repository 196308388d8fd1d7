"""`ContinueAs`: a tool by which the model goes on with a clean context of its own making."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash.errors import ToolError
from lash.plugins.plugin import Plugin
from lash.tools import ToolContext, WithControl, tool
from lash.values import SwitchAgentFrame, stable_hash


class ContinueAs(Plugin):
    """Gives the model the tool `continue_as`. The turn goes on in a new frame; the old one stays readable."""

    id = "continue_as"

    def tools(self) -> Sequence[Any]:
        """Return the tool."""
        return (continue_as,)


@tool(effect="read_only")
async def continue_as(ctx: ToolContext, task: str, seed: dict[str, Any] | None = None) -> WithControl:
    """Go on with a clean context: everything said so far is put away, and `task` is all you will know.

    Args:
        task: What to do next, with every fact, name and result that you will need for it.
        seed: Values that programs find bound to these names there, where you work in programs.
    """
    if not task.strip():
        raise ToolError("task_missing", "say what to go on with: nothing else crosses over")
    wrong = [name for name in seed or {} if not name.isidentifier() or name == "history"]
    if wrong:
        raise ToolError("seed_invalid", f"these are no names for variables: {', '.join(wrong)}")
    frame_id = f"{ctx.session_id}:frame:{stable_hash((ctx.session_id, ctx.turn_id, ctx.call_id))[:16]}"
    return WithControl(
        "Going on in a new context.", SwitchAgentFrame(frame_id, task=task, variables=seed or {})
    )
