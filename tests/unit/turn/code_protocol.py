"""A second protocol, small: the model's text is a program, and a program's `terminal_finish` ends the turn.

It exists to hold the machine to what it promises every protocol.
"""

from __future__ import annotations

from lash.turn import (
    Action,
    AdvanceIteration,
    Append,
    Finish,
    GoOn,
    MessageDraft,
    ModelAnswer,
    Remember,
    StartCheckpoint,
    StartCode,
    StartModel,
    ToolOutcome,
    TurnView,
)
from lash.turn.effects import CheckpointKind
from lash.values import ExecFailure, ExecResponse, ProtocolEvent


class ProgramProtocol:
    id = "program"

    def prepare_iteration(self, view: TurnView) -> list[Action]:
        return [StartModel()]

    def on_model(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        return [*self.on_cut(view, answer), Remember({"program": answer.text}), StartCode(answer.text)]

    def on_cut(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        return [Append((MessageDraft.text("assistant", answer.text),))]

    def on_tools(self, view: TurnView, outcomes: tuple[ToolOutcome, ...]) -> list[Action]:
        raise AssertionError("this protocol asks for no tools")

    def on_code(self, view: TurnView, result: ExecResponse | ExecFailure) -> list[Action]:
        event = ProtocolEvent(plugin_id=self.id, payload=view.memory)
        if isinstance(result, ExecFailure):
            return [
                Append((event, MessageDraft.text("user", result.message))),
                StartCheckpoint(kind="after_work", on_empty=GoOn()),
            ]
        if result.terminal_finish is None:
            return [Append((event,)), StartCheckpoint(kind="after_work", on_empty=GoOn())]
        ending = Finish(output=result.terminal_finish, has_output=True)
        return [Append((event,)), StartCheckpoint(kind="before_completion", on_empty=ending)]

    def on_checkpoint(self, view: TurnView, kind: CheckpointKind) -> list[Action]:
        return [AdvanceIteration()]
