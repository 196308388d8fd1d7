"""Plays a turn against a script, as a driver would, and notes every effect that the machine asks for.

With `restart=True` the machine is thrown away and restored from its snapshot after every single step, and
each restored machine must hand its outstanding effect out again, unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lash.errors import ErrorRecord
from lash.turn import (
    AskModel,
    CheckpointPassed,
    CodeRan,
    Done,
    Emit,
    MachineEffect,
    MachineReply,
    MessageDraft,
    ModelAnswered,
    OutputRule,
    Progress,
    ReachCheckpoint,
    RunCode,
    RunTools,
    StopTurn,
    SurfaceSynced,
    SyncSurface,
    ToolsProtocol,
    ToolsSettled,
    TurnConclusion,
    TurnConfig,
    TurnMachine,
    TurnProtocol,
)
from lash.values import (
    CheckpointDelivery,
    CompletedToolCall,
    ExecFailure,
    ExecResponse,
    Message,
    ModelFailure,
    ModelResponse,
    OutputSpec,
    Part,
    SurfaceSync,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolRef,
    ToolResultPart,
    TurnIssue,
)

WAITING = (SyncSurface, AskModel, RunTools, RunCode, ReachCheckpoint)
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
}


def config(**changes: Any) -> TurnConfig:
    terms: dict[str, Any] = {"turn_id": "t", "input": (MessageDraft.text("user", "question"),)}
    return TurnConfig(**(terms | changes))


def surface(*names: str, instructions: str = "") -> SurfaceSync:
    return SurfaceSync(instructions=instructions, tools=tuple(ToolRef(name, f"#{name}") for name in names))


def answer_problem(value: Any) -> str | None:
    if isinstance(value, dict) and type(value.get("answer")) is int:
        return None
    return "answer must be an integer"


def output_rule(**changes: Any) -> OutputRule:
    terms: dict[str, Any] = {
        "spec": OutputSpec(name="result", schema=ANSWER_SCHEMA),
        "validate_output": answer_problem,
    }
    return OutputRule(**(terms | changes))


def call(call_id: str, name: str = "read", **args: Any) -> ToolCallPart:
    return ToolCallPart(call_id=call_id, name=name, args=args)


def broken_call(call_id: str, name: str = "read", raw: str = '{"path": "REA') -> ToolCallPart:
    return ToolCallPart(call_id=call_id, name=name, raw_args=raw)


def says(*parts: Part | str, usage: TokenUsage | None = None, **fields: Any) -> ModelResponse:
    """An answer of the model; strings are text parts."""
    return ModelResponse(
        parts=tuple(TextPart(text=part) if isinstance(part, str) else part for part in parts),
        usage=usage or TokenUsage(input_tokens=10, output_tokens=1),
        **fields,
    )


def settled(part: ToolCallPart, content: Any = None, **fields: Any) -> CompletedToolCall:
    if content is None:
        content = f"result of {part.call_id}"
    return CompletedToolCall(call_id=part.call_id, tool_name=part.name, content=content, **fields)


def failed(part: ToolCallPart, code: str = "boom", **fields: Any) -> CompletedToolCall:
    return settled(part, f"Error [{code}]", error=ErrorRecord(code=code), **fields)


Step = ModelResponse | ModelFailure | StopTurn | Callable[[AskModel], ModelResponse]


@dataclass
class Script:
    """What the world answers. Model steps and deliveries are used up in order."""

    model: Sequence[Step] = ()
    deliveries: Sequence[CheckpointDelivery] = ()
    surfaces: dict[int, SurfaceSync] = field(default_factory=dict)  # by iteration
    tool: Callable[[ToolCallPart], CompletedToolCall] = settled
    code: Callable[[str], ExecResponse | ExecFailure] = lambda _: ExecResponse()
    settle_order: Callable[[list[CompletedToolCall]], list[CompletedToolCall]] = lambda results: results

    def __post_init__(self) -> None:
        self._model = list(self.model)
        self._deliveries = list(self.deliveries)

    def reply(self, effect: MachineEffect) -> MachineReply:
        match effect:
            case SyncSurface(effect_id=effect_id, iteration=iteration):
                return SurfaceSynced(effect_id, self.surfaces.get(iteration))
            case AskModel(effect_id=effect_id):
                step = self._model.pop(0)
                if isinstance(step, StopTurn):
                    return step
                return ModelAnswered(
                    effect_id, step if isinstance(step, ModelResponse | ModelFailure) else step(effect)
                )
            case RunTools(effect_id=effect_id, calls=calls):
                results = self.settle_order([self.tool(part) for part in calls])
                return ToolsSettled(effect_id, tuple(results))
            case RunCode(effect_id=effect_id, code=code):
                return CodeRan(effect_id, self.code(code))
            case ReachCheckpoint(effect_id=effect_id):
                delivery = self._deliveries.pop(0) if self._deliveries else CheckpointDelivery()
                return CheckpointPassed(effect_id, delivery)
        raise AssertionError(f"{effect} wants no reply")


@dataclass
class Played:
    effects: list[MachineEffect]
    conclusion: TurnConclusion
    unused_answers: int

    @property
    def asked(self) -> list[MachineEffect]:
        return [effect for effect in self.effects if isinstance(effect, WAITING)]

    @property
    def sequence(self) -> list[str]:
        """The reply-wanting effects, as runtime 1.5 writes them."""
        return [_label(effect) for effect in self.effects if isinstance(effect, (*WAITING, Done))]

    @property
    def questions(self) -> list[AskModel]:
        return [effect for effect in self.effects if isinstance(effect, AskModel)]

    @property
    def batches(self) -> list[RunTools]:
        return [effect for effect in self.effects if isinstance(effect, RunTools)]

    @property
    def progress(self) -> list[Progress]:
        return [effect for effect in self.effects if isinstance(effect, Progress)]

    @property
    def emitted(self) -> list[Any]:
        return [effect.activity for effect in self.effects if isinstance(effect, Emit)]


def play(
    terms: TurnConfig,
    *model: Step,
    protocol: TurnProtocol | None = None,
    restart: bool = False,
    **script: Any,
) -> Played:
    """Play a turn to its end."""
    protocol = protocol or ToolsProtocol()
    world = Script(model=model, **script)
    machine = TurnMachine(terms, protocol)
    effects: list[MachineEffect] = []
    while True:
        if restart:
            machine = TurnMachine.restore(machine.snapshot(), terms, protocol)
        effect = machine.poll()
        assert effect is not None, "a driver that answers everything is always told what to do next"
        effects.append(effect)
        if restart and isinstance(effect, (*WAITING, Done)):
            machine = TurnMachine.restore(machine.snapshot(), terms, protocol)
            assert machine.poll() == effect
        if isinstance(effect, Done):
            assert machine.poll() is None, "Done is the last effect"
            return Played(effects, effect.conclusion, len(world._model))
        if isinstance(effect, WAITING):
            assert machine.poll() is None, "an effect is handed out once"
            machine.feed(world.reply(effect))


def until(machine: TurnMachine, kind: type[Any], script: Script) -> Any:
    """Drive a machine until it asks for an effect of `kind`, and return that, unanswered."""
    while True:
        effect = machine.poll()
        assert effect is not None
        if isinstance(effect, kind):
            return effect
        if isinstance(effect, WAITING):
            machine.feed(script.reply(effect))


def shape(messages: Sequence[Message]) -> list[str]:
    """The messages in short: `user: text`, `assistant: text [c1 c2]`, `tool c1: content`."""
    lines = []
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResultPart)]
        if results:
            lines += [f"tool {part.call_id}: {part.content}" for part in results]
            continue
        calls = " ".join(part.call_id for part in message.tool_calls)
        lines.append(f"{message.role}: {message.text}" + (f" [{calls}]" if calls else ""))
    return lines


def issue_codes(conclusion: TurnConclusion) -> list[str]:
    return [issue.code for issue in conclusion.issues]


def an_issue(code: str = "spent") -> TurnIssue:
    return TurnIssue(kind="limit", code=code, message=code)


def _label(effect: MachineEffect) -> str:
    match effect:
        case SyncSurface(effect_id=effect_id, apply=apply):
            return f"{effect_id} sync({'true' if apply else 'false'})"
        case AskModel(effect_id=effect_id):
            return f"{effect_id} llm"
        case RunTools(effect_id=effect_id):
            return f"{effect_id} tools"
        case RunCode(effect_id=effect_id):
            return f"{effect_id} exec"
        case ReachCheckpoint(effect_id=effect_id, kind=kind):
            return f"{effect_id} checkpoint {kind}"
        case Done():
            return "finish"
    raise AssertionError(effect)
