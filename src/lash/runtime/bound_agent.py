"""An agent with life in it: its model resolved, its tools bound to their resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lash.agents import Agent, AgentTool
from lash.contracts import Model
from lash.errors import LashError
from lash.plugins import PromptContribution, PromptSlot
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
    SUBAGENT_DEPTH_MAX,
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

    def __init__(
        self,
        agent: Agent,
        *,
        model: Model,
        tools: ToolSet,
        code: CodeMode | None = None,
        contributions: Sequence[PromptContribution] = (),
    ) -> None:
        self.agent = agent
        self.code = code
        self.model = model
        self.tools = tools
        section = "" if code is None else code.section
        self.surface = SurfaceSync(
            instructions=composed_instructions(agent.instructions or "", section, contributions),
            tools=tuple(ToolRef(name=spec.name, digest=tools.digest(spec.name)) for spec in tools.specs()),
        )
        self._at_ceiling: BoundAgent | None = None
        self._output = None if agent.output is None else OutputShape.of(agent.output)

    @property
    def name(self) -> str:
        return self.agent.name

    def extended(self, tools: Sequence[Any], contributions: Sequence[PromptContribution]) -> BoundAgent:
        """Return this agent with what its plugins bring to one turn.

        Raises:
            LashError: `tool_definition_invalid` for a name that is taken; `resource_missing`.
        """
        more = self.tools.extended(tools) if tools else self.tools
        code = self.code if self.code is None or not tools else self.code.with_tools(more)
        return BoundAgent(self.agent, model=self.model, tools=more, code=code, contributions=contributions)

    def at_depth(self, depth: int) -> BoundAgent:
        """Return this agent as it is in a session that is `depth` agents deep: at its ceiling it asks no others."""
        asking = [one.name for one in self.tools if isinstance(one, AgentTool)]
        if not asking or depth < min(self.agent.limits.subagent_depth, SUBAGENT_DEPTH_MAX):
            return self
        if self._at_ceiling is None:
            tools = self.tools.without(asking)
            code = None if self.code is None else self.code.with_tools(tools)
            self._at_ceiling = BoundAgent(self.agent, model=self.model, tools=tools, code=code)
        return self._at_ceiling

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
            LashError: `tool_unavailable` when a turn that is driven again offers a tool that is gone. Tools of
                plugins come and go; one that has gone meanwhile is left out instead.
        """
        there = refs
        if self.agent.plugins:
            submit = None if rule is None else rule.submit_tool
            there = tuple(ref for ref in refs if ref.name in self.tools or ref.name == submit)
        return tuple(self._spec(ref, rule) for ref in there)

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


_SLOTS: tuple[PromptSlot, ...] = ("intro", "execution", "guidance", "project", "environment")


def composed_instructions(intro: str, execution: str, contributions: Sequence[PromptContribution]) -> str:
    """Return the system text: slot by slot, by falling priority within a slot, each piece once (runtime 7.5)."""
    own = [PromptContribution(text=intro, slot="intro"), PromptContribution(text=execution, slot="execution")]
    pieces = [piece for piece in dict.fromkeys((*own, *contributions)) if piece.text.strip()]
    pieces.sort(key=lambda piece: (_SLOTS.index(piece.slot), -piece.priority))  # stable: order of plugins
    return "\n\n".join(piece.text for piece in pieces)


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
