"""An agent: a name, a model, tools and instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lash.agents.code_options import CodeOptions
from lash.agents.limits import Limits
from lash.contracts import Model
from lash.errors import LashError
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
        plugins: Reserved for the plugins of an application; must be empty.
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
    if plugins:
        found.append("plugins are not supported by this version")
    return found
