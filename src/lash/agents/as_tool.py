"""An agent as a tool of another one: `agent.as_tool()`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lash.tools import Tool, ToolContext, tool

if TYPE_CHECKING:
    from lash.agents.agent import Agent


@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AgentTool(Tool[..., Any]):
    """A tool that asks an agent. It is not offered where agents may not ask others any further."""

    agent: Agent
    background: bool


def agent_as_tool(
    agent: Agent, *, name: str | None, description: str | None, output: Any, background: bool
) -> AgentTool:
    """Return the tool; see `Agent.as_tool`."""

    async def ask(input: str, ctx: ToolContext) -> Any:
        return await ctx.processes.ask(agent, input, output=output)

    async def begin(input: str, ctx: ToolContext) -> dict[str, str]:
        handle = await ctx.processes.spawn(agent, input, output=output)
        return {"process_id": handle.id, "status": "started; you are told when it has finished"}

    what = f"Give a task to the agent {agent.name}"
    told = description or (
        f"{what}; it works in the background." if background else f"{what} and get its answer."
    )
    function = begin if background else ask
    function.__doc__ = f"{told}\n\nArgs:\n    input: The task, with all that the agent needs to know."
    # Run again after a restart, it finds the process that it has started: its id follows from the call.
    made = tool(function, name=name or agent.name, effect="idempotent")
    given = {one.name: getattr(made, one.name) for one in dataclasses.fields(made)}
    return AgentTool(**given, agent=agent, background=background)


def agents_below(agents: Sequence[Agent]) -> list[Agent]:
    """Return agents with all that they have as tools, each once: whoever runs one must run the others."""
    found: dict[int, Agent] = {}
    waiting = list(agents)
    while waiting:
        one = waiting.pop(0)
        if id(one) not in found:
            found[id(one)] = one
            waiting += [made.agent for made in one.tools if isinstance(made, AgentTool)]
    return list(found.values())
