"""The protocol of programs: the model writes one fenced block an answer, and sees what it printed.

An iteration is one model call and, if the answer holds a program, its run. No tool is offered to the model;
the tools are operations that programs call. Of an answer only what stands up to the end of its first block is
kept: that is what the model will see of itself. A program that fails goes back to the model with its error,
as often in a row as the rules allow, which is a limit of its own beside the number of iterations.

Everything here is a function of the view: what must be known later is remembered as data, so a turn that is
restored anywhere goes on alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from lash.errors import LashBug
from lash.turn.actions import (
    Action,
    AdvanceIteration,
    Append,
    Finish,
    GoOn,
    RecordToolCalls,
    Remember,
    Report,
    ScheduleFinalIteration,
    StartCheckpoint,
    StartCode,
    StartModel,
)
from lash.turn.code_notes import (
    ANSWER_ORIGIN,
    OUTPUT_ORIGIN,
    OUTPUT_PREFIX,
    answer_text,
    last_prose_note,
    misfit_text,
    output_text,
    reminder,
    status_note,
)
from lash.turn.controls import ending_by_control
from lash.turn.drafts import MessageDraft, RecordDraft
from lash.turn.effects import CheckpointKind
from lash.turn.fences import find_block
from lash.turn.protocol import ModelAnswer, ToolOutcome, TurnView
from lash.turn.structured_output import Fits, Misfits, judge_output, judge_text
from lash.values.effects import CompletedToolCall, ExecFailure, ExecResponse
from lash.values.messages import (
    AttachmentPart,
    Message,
    MessageOrigin,
    Part,
    ProtocolEvent,
    TextPart,
    ToolCallPart,
)
from lash.values.record import Json, JsonRecord, Record, plain
from lash.values.turns import ToolCallRecord, TurnIssue

Termination = Literal["prose_or_submit", "submit_required"]

LANGUAGE_TAGS = ("lashlang", "lash")
"""The tags of a program's fence; the first one is what the model is told."""


class Submitted(JsonRecord, frozen=True, tag="submit", eq=False):
    """The program ended with this value: `ExecResponse.terminal_finish`."""

    value: Json


class EndedByTool(Record, frozen=True, tag="tool"):
    """A call of the program asked for the end of the turn: `ExecResponse.terminal_finish`."""

    result: CompletedToolCall


ProgramEnd = Submitted | EndedByTool


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRules:
    """How a turn in code mode ends.

    Attributes:
        termination: Whether an answer without a program ends the turn, or only `submit` does.
        max_repairs: How many answers in a row may be of no use (no program where one is needed, a program
            that fails) before the turn stops as `invalid_output`.
    """

    termination: Termination = "prose_or_submit"
    max_repairs: int = 5


class _Memory(Record, frozen=True, kw_only=True):
    """What is known from one answer to the next.

    Attributes:
        failures: Answers in a row that were of no use.
        misfits: Submitted values so far that did not fit the output's schema.
        variables: A line for each variable that programs find bound.
    """

    failures: int = 0
    misfits: int = 0
    variables: tuple[str, ...] = ()


class CodeProtocol:
    """Programs in fenced blocks (`protocol="code"`).

    Args:
        rules: How a turn ends.
        variables: A line for each variable that is bound when the turn begins.
        history_length: How many messages the session has before the turn: programs number them on.
    """

    id = "code"

    def __init__(
        self, rules: CodeRules | None = None, *, variables: tuple[str, ...] = (), history_length: int = 0
    ) -> None:
        self._rules = rules or CodeRules()
        self._variables = variables
        self._history_length = history_length

    def prepare_iteration(self, view: TurnView) -> list[Action]:
        if view.final_note is not None:
            return [StartModel(tool_choice="none", notes=(view.final_note,))]
        status = status_note(
            view,
            variables=self._memory(view).variables,
            submit_required=self._submit_required,
            tag=LANGUAGE_TAGS[0],
        )
        return [StartModel(tool_choice="none", notes=(status,))]

    def on_model(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        block = find_block(answer.text, LANGUAGE_TAGS)
        if view.final_note is not None:
            text = answer.text if block is None else block.prose
            return [*_said(answer, text), Finish(text=text)]
        if block is None:
            return [*_said(answer, answer.text), *self._after_prose(view, answer)]
        return [*_said(answer, block.emitted), StartCode(block.code)]

    def on_cut(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        return _said(answer, answer.text)

    def on_tools(self, view: TurnView, outcomes: tuple[ToolOutcome, ...]) -> list[Action]:
        raise LashBug(f"turn {view.config.turn_id!r}: protocol 'code' asks for no tool calls")

    def on_code(self, view: TurnView, result: ExecResponse | ExecFailure) -> list[Action]:
        if isinstance(result, ExecFailure):
            result = ExecResponse(error=result.message)
        memory = self._memory(view)
        if result.error is None:
            memory = memory.replace(failures=0)
        if result.variables is not None:
            memory = memory.replace(variables=result.variables)
        calls = msgspec.convert(result.tool_calls, tuple[ToolCallRecord, ...])
        recorded: list[Action] = [Append(self._output(view, result)), RecordToolCalls(calls)]
        end = _program_end(result)
        match end:
            case EndedByTool(result=call):
                part = ToolCallPart(call_id=call.call_id, name=call.tool_name)
                ending = ending_by_control(view, (ToolOutcome(call=part, result=call),))
                return [*recorded, Remember(plain(memory)), *(ending or self._next_round(view))]
            case Submitted(value=value):
                return [*recorded, *self._after_submission(view, memory, value)]
            case None if result.error is not None:
                return [*recorded, *self._again(view, memory, "program_failed", result.error)]
            case None:
                return [*recorded, Remember(plain(memory)), *self._next_round(view)]

    def on_checkpoint(self, view: TurnView, kind: CheckpointKind) -> list[Action]:
        if not view.at_limit:
            return [AdvanceIteration()]
        if self._stops_at_limit(view):
            return [Finish(stop="max_turns", text=view.last_text)]
        return [ScheduleFinalIteration(last_prose_note(view.config)), AdvanceIteration()]

    @property
    def _submit_required(self) -> bool:
        return self._rules.termination == "submit_required"

    def _memory(self, view: TurnView) -> _Memory:
        if view.memory is None:
            return _Memory(variables=self._variables)
        return msgspec.convert(view.memory, _Memory)

    def _output(self, view: TurnView, result: ExecResponse) -> tuple[RecordDraft, ...]:
        """Return the message that tells what a program gave, and where the whole of what was cut is kept."""
        number = self._history_length + sum(isinstance(record, Message) for record in view.records)
        origin = MessageOrigin(kind=OUTPUT_ORIGIN, source_id=f"{view.config.turn_id}:{view.iteration}")
        text = output_text(result, handle=f"history[{number}]")
        images = tuple(AttachmentPart(ref=ref) for ref in result.printed_images)
        message = MessageDraft(role="user", parts=(TextPart(text=text), *images), origin=origin)
        step: dict[str, Json] = {"step": origin.source_id, "output": list(result.observations)}
        if result.error is not None:
            step["error"] = result.error
        if result.observation_truncation:
            step["whole"] = list(result.observation_truncation)
        if list(result.observations) == [text.removeprefix(OUTPUT_PREFIX)]:
            return (message,)  # the message says it all
        return (message, ProtocolEvent(plugin_id=self.id, payload=step))

    def _after_prose(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        """Go on after an answer without a program."""
        memory = self._memory(view)
        empty = not answer.text.strip()
        if self._submit_required or empty:
            note = reminder(LANGUAGE_TAGS[0], empty=empty)
            again = self._again(view, memory, "program_missing", "the answer held no program")
            return [Append((note,)), *again]
        rule = view.config.output
        if rule is None:
            return [_completion(Finish(text=answer.text))]
        verdict = judge_text(rule, answer.text)
        if isinstance(verdict, Fits):
            return [_completion(Finish(text=answer.text, output=verdict.value, has_output=True))]
        return self._after_misfit(view, memory, verdict, answer.text)

    def _after_submission(self, view: TurnView, memory: _Memory, value: Json) -> list[Action]:
        rule = view.config.output
        verdict = Fits(value) if rule is None else judge_output(rule, value)
        if isinstance(verdict, Misfits):
            return self._after_misfit(view, memory, verdict, value)
        text = answer_text(verdict.value)
        # The answer stands in the history as the model's own words: the program alone does not tell it.
        said = MessageDraft.text("assistant", text, MessageOrigin(kind=ANSWER_ORIGIN))
        ending = Finish(text=text, output=verdict.value, has_output=True)
        return [Append((said,)), Remember(plain(memory)), _completion(ending)]

    def _after_misfit(self, view: TurnView, memory: _Memory, verdict: Misfits, value: Json) -> list[Action]:
        rule = view.config.output
        assert rule is not None, "only a rule makes a value unfit"
        if memory.misfits >= rule.max_repairs:
            issue = TurnIssue(
                kind="output",
                code="invalid_output",
                message=f"the final answer does not fit its schema: {verdict.problem}",
                facts={"repairs": memory.misfits},
            )
            return [Report(issue), Finish(stop="invalid_output", text=view.last_text)]
        note = MessageDraft.text(
            "user", misfit_text(rule, verdict.problem, value), MessageOrigin(kind="output_repair")
        )
        counted = memory.replace(misfits=memory.misfits + 1)
        return [Append((note,)), Remember(plain(counted)), *self._next_round(view)]

    def _again(self, view: TurnView, memory: _Memory, code: str, problem: str) -> list[Action]:
        """Send an answer that was of no use back, as often in a row as the rules allow."""
        if memory.failures >= self._rules.max_repairs:
            issue = TurnIssue(kind="code", code=code, message=problem, facts={"repairs": memory.failures})
            return [Report(issue), Finish(stop="invalid_output", text=view.last_text)]
        counted = memory.replace(failures=memory.failures + 1)
        return [Remember(plain(counted)), *self._next_round(view)]

    def _next_round(self, view: TurnView) -> list[Action]:
        """Go on to the next iteration. Where there is none, nothing more is let into the turn."""
        if view.at_limit and self._stops_at_limit(view):
            return [Finish(stop="max_turns", text=view.last_text)]
        return [StartCheckpoint(kind="after_work", on_empty=GoOn())]

    def _stops_at_limit(self, view: TurnView) -> bool:
        """Whether no answer in prose is asked for at the limit: where only `submit` ends, none would count."""
        return view.config.on_max_turns == "stop" or self._submit_required


def _said(answer: ModelAnswer, text: str) -> list[Action]:
    """Record what the model said: `text` for all its text parts, its reasoning before it; no native calls."""
    parts: list[Part] = [part for part in answer.parts if not isinstance(part, TextPart | ToolCallPart)]
    if text:
        parts.append(TextPart(text=text))
    return [Append((MessageDraft(role="assistant", parts=tuple(parts)),))] if parts else []


def _program_end(result: ExecResponse) -> ProgramEnd | None:
    return None if result.terminal_finish is None else msgspec.convert(result.terminal_finish, ProgramEnd)


def _completion(ending: Finish) -> StartCheckpoint:
    return StartCheckpoint(kind="before_completion", on_empty=ending)
