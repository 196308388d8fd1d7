"""An agent: a name, a model, tools and instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lash.agents.as_tool import AgentTool, agent_as_tool
from lash.agents.code_options import CodeOptions
from lash.agents.limits import Limits
from lash.contracts import Model
from lash.errors import LashError
from lash.plugins import Plugin, plugin_problems
from lash.tools import Tool, ToolSet
from lash.values import GenerationOptions

_PROTOCOLS = ("tools", "code")


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Agent:
    """A definition that a runtime gives life to. It holds no connection and does no I/O.

    Args:
        name: Stored with every session and turn: a runtime takes up only the work of agents that it was
            given. Renaming an agent orphans its sessions.
        model: `"provider:name"` (`"openai:gpt-5.4-mini"`, `"anthropic:claude-sonnet-5"`,
            `"local:smollm2"`), or an object that is a `lash.contracts.Model`.
        tools: Functions decorated with `lash.tool`; plain functions are decorated with the defaults.
        instructions: The system text.
        protocol: How model and runtime talk: `"tools"` is native tool calling; under `"code"` the model
            writes programs that call the tools (docs/code-mode.md).
        plugins: Instances of classes derived from `lash.Plugin`, in the order in which they are asked.
        output: The type of the final answer (a msgspec Struct, a dataclass, any type that msgspec can
            convert to), or a JSON Schema as a dict. None for plain text.
        generation: Temperature, output cap, and so on.
        limits: How much a turn may spend.
        code: What programs may rely on, for `protocol="code"`.

    Raises:
        LashError: `agent_invalid`, listing everything that is wrong with the definition;
            `tool_definition_invalid` for a tool that cannot be one.
    """

    name: str
    model: str | Model
    tools: tuple[Tool[..., Any], ...]
    instructions: str | None
    protocol: Literal["tools", "code"]
    output: Any  # a type, or a JSON Schema
    generation: GenerationOptions
    limits: Limits
    code: CodeOptions | None
    plugins: tuple[Plugin, ...]

    def __init__(
        self,
        name: str,
        *,
        model: str | Model,
        tools: Sequence[Any] = (),
        instructions: str | None = None,
        protocol: Literal["tools", "code"] = "tools",
        plugins: Sequence[Any] = (),
        output: Any = None,
        generation: GenerationOptions | None = None,
        limits: Limits | None = None,
        code: CodeOptions | None = None,
    ) -> None:
        problems = _problems(name, model, protocol, plugins, code)
        if problems:
            raise LashError(
                "agent_invalid", f"agent {name!r}: " + "; ".join(problems), agent=str(name), problems=problems
            )
        set_field = object.__setattr__  # the usual way into a frozen dataclass
        set_field(self, "name", name)
        set_field(self, "model", model)
        set_field(self, "tools", tuple(ToolSet(tools)))
        set_field(self, "instructions", instructions)
        set_field(self, "protocol", protocol)
        set_field(self, "output", output)
        set_field(self, "generation", generation or GenerationOptions())
        set_field(self, "limits", limits or Limits())
        set_field(self, "code", code)
        set_field(self, "plugins", tuple(plugins))

    def as_tool(
        self,
        name: str | None = None,
        description: str | None = None,
        *,
        output: Any = None,
        background: bool = False,
    ) -> AgentTool:
        """Return a tool that gives this agent a task, in a session of its own below the caller's.

        The work is a process: it outlives a crash of whoever asked, and is found again by the same call. What it
        spends is counted for the asking session too, as `subagent`. Cancelling the turn that waits for the answer
        cancels it.

        Args:
            name: What the asking model calls it; the agent's name by default.
            description: What it is told of it.
            output: The type of the answer; None for the agent's own.
            background: Do not wait: the asking session is woken with the answer.
        """
        return agent_as_tool(self, name=name, description=description, output=output, background=background)

    def with_model(self, model: str | Model) -> Agent:
        """Return the same agent on another model."""
        return Agent(
            self.name,
            model=model,
            tools=self.tools,
            instructions=self.instructions,
            protocol=self.protocol,
            output=self.output,
            generation=self.generation,
            limits=self.limits,
            code=self.code,
            plugins=self.plugins,
        )


def _problems(name: Any, model: Any, protocol: Any, plugins: Any, code: Any) -> list[str]:
    """Return everything that is wrong, so that it can be mended in one go."""
    found = []
    if not isinstance(name, str) or not name.strip():
        found.append("the name must be a non-blank text")
    if not isinstance(model, str) and not callable(getattr(model, "complete", None)):
        found.append('the model must be "provider:name" or an object with an async complete()')
    if isinstance(model, str) and ":" not in model:
        found.append(f'the model {model!r} names no provider; write "provider:name"')
    if protocol not in _PROTOCOLS:
        found.append(f"the protocol {protocol!r} is none of {', '.join(_PROTOCOLS)}")
    if code is not None and protocol != "code":
        found.append('code=… is for protocol="code"')
    return [*found, *plugin_problems(plugins)]
