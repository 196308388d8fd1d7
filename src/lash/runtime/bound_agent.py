"""An agent with life in it: its model resolved, its tools bound to their resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lash.agents import Agent
from lash.contracts import Model
from lash.errors import LashError
from lash.runtime.output import OutputShape
from lash.tools import ToolSet
from lash.turn import (
    MessageDraft,
    OutputRule,
    TurnCause,
    TurnConfig,
    submit_tool_spec,
)
from lash.values import (
    AttachmentPart,
    Part,
    SurfaceSync,
    TextItem,
    TextPart,
    ToolRef,
    ToolSpec,
    TurnInput,
)

if TYPE_CHECKING:
    from lash.runtime.code_turns import CodeMode


class BoundAgent:
    """What a driver needs of an agent.

    Args:
        agent: The definition.
        model: The model that it names, resolved.
        tools: Its tools, with live resources for those that want some.
        code: What its programs run in, for an agent of the code protocol.
    """

    def __init__(self, agent: Agent, *, model: Model, tools: ToolSet, code: CodeMode | None = None) -> None:
        self.agent = agent
        self.code = code
        self.model = model
        self.tools = tools
        parts = (agent.instructions or "", "" if code is None else code.section)
        self.surface = SurfaceSync(
            instructions="\n\n".join(part for part in parts if part),
            tools=tuple(ToolRef(name=spec.name, digest=tools.digest(spec.name)) for spec in tools.specs()),
        )
        self._output = None if agent.output is None else OutputShape.of(agent.output)

    @property
    def name(self) -> str:
        return self.agent.name

    def turn_config(
        self, turn_id: str, input_: TurnInput | None, causes: tuple[TurnCause, ...]
    ) -> TurnConfig:
        """Return the terms of one turn."""
        limits = self.agent.limits
        return TurnConfig(
            turn_id=turn_id,
            input=() if input_ is None else (MessageDraft(role="user", parts=input_parts(input_)),),
            causes=causes,
            surface=self.surface,
            max_turns=limits.max_model_calls,
            on_max_turns=limits.on_max_turns,
            context_window_tokens=self.model.spec.context_window_tokens,
            output=self.output_rule(input_),
        )

    def output_rule(self, input_: TurnInput | None) -> OutputRule | None:
        """Return the shape that this turn's answer must have: the turn's own, else the agent's."""
        shape = self._output
        if input_ is not None and input_.output is not None:
            shape = OutputShape.of_schema(input_.output)
        if shape is None:
            return None
        return OutputRule(
            spec=shape.spec,
            validate_output=shape.problem_with,
            native=self.model.capabilities.output_schema,
            max_repairs=self.agent.limits.max_repairs,
        )

    def tool_specs(self, refs: tuple[ToolRef, ...], rule: OutputRule | None) -> tuple[ToolSpec, ...]:
        """Return the full descriptions of the tools that a model call offers.

        Raises:
            LashError: `tool_unavailable` when a turn that is driven again offers a tool that is gone.
        """
        return tuple(self._spec(ref, rule) for ref in refs)

    def _spec(self, ref: ToolRef, rule: OutputRule | None) -> ToolSpec:
        tool = self.tools.get(ref.name)
        if tool is not None:
            return tool.spec
        if rule is not None and ref.name == rule.submit_tool:
            return submit_tool_spec(rule)
        raise LashError(
            "tool_unavailable",
            f"agent {self.name!r} has no tool {ref.name!r} any more; give it back to finish this turn",
            agent=self.name,
            tool=ref.name,
        )


def input_parts(input_: TurnInput) -> tuple[Part, ...]:
    """Return a turn's input as the parts of a message."""
    return tuple(
        TextPart(text=item.text) if isinstance(item, TextItem) else AttachmentPart(ref=item.ref)
        for item in input_.items
    )


def merged_input(inputs: list[TurnInput]) -> TurnInput | None:
    """Return several inputs of one turn as one: their items in order, the first options that are given."""
    if not inputs:
        return None
    first = inputs[0]
    if len(inputs) == 1:
        return first

    def first_given(name: str) -> Any:
        return next((value for one in inputs if (value := getattr(one, name)) is not None), None)

    return first.replace(
        items=tuple(item for one in inputs for item in one.items),
        protocol_turn_options=first_given("protocol_turn_options"),
        context=first_given("context"),
        output=first_given("output"),
    )
