"""The protocol of native tool calls: the model answers, or asks for calls and sees their results.

An iteration is one model call. Its whole answer is appended, in the order in which it came: vendors want
reasoning back before the call that it led to. Calls whose arguments are no JSON object, and submissions of
the typed answer, are answered here; the others are run. Results follow in call order, whatever the order
in which they settled. `AfterWork` checkpoints stand between iterations, a `BeforeCompletion` one before a
natural end.
"""

from __future__ import annotations

from collections.abc import Callable

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
    StartModel,
    StartTools,
)
from lash.turn.config import OutputRule
from lash.turn.controls import ending_by_control
from lash.turn.drafts import MessageDraft
from lash.turn.effects import CheckpointKind
from lash.turn.notes import error_text, invalid_args_text, last_answer_note, repair_note
from lash.turn.protocol import ModelAnswer, ToolOutcome, TurnView
from lash.turn.sealing import failed_call_record, result_message, synthetic_result
from lash.turn.structured_output import Fits, Misfits, Verdict, judge_text, judge_value, submit_tool_ref
from lash.values.effects import ExecFailure, ExecResponse
from lash.values.messages import AttachmentPart, ToolCallPart, ToolResultPart
from lash.values.models import ToolChoice
from lash.values.turns import ToolCallRecord, TurnIssue

_ACCEPTED = "The answer was accepted."


class ToolsProtocol:
    """Native tool calls (`protocol="tools"`). Holds nothing: one object serves every turn.

    Its memory is the number of answers that were sent back because they did not fit the output's schema.
    """

    id = "tools"

    def prepare_iteration(self, view: TurnView) -> list[Action]:
        rule, tools = view.config.output, view.surface.tools
        notes = (view.final_note,) if view.final_note else ()
        if rule is None or rule.native:
            choice: ToolChoice = "none" if view.final_note else "auto"
            return [StartModel(tools=tools, tool_choice=choice, native_output=rule is not None, notes=notes)]
        if any(tool.name == rule.submit_tool for tool in tools):
            return [Report(_name_taken(rule)), Finish(stop="runtime_error", text=view.last_text)]
        # A last answer must still be typed, so it is the one thing that may be called.
        offered = (submit_tool_ref(rule),) if view.final_note else (*tools, submit_tool_ref(rule))
        return [StartModel(tools=offered, tool_choice="required", notes=notes)]

    def on_model(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        recorded = self.on_cut(view, answer)
        if view.final_note is not None:
            return [*recorded, *_last_answer(view, answer)]
        if not answer.tool_calls:
            return [*recorded, *_after_text(view, answer)]
        runnable = tuple(call for call in answer.tool_calls if not _is_answered_here(view, call))
        if runnable:
            return [*recorded, StartTools(runnable)]
        return [*recorded, *_after_calls(view, answer.tool_calls, (), answer.text)]

    def on_cut(self, view: TurnView, answer: ModelAnswer) -> list[Action]:
        if not answer.parts:
            return []
        return [Append((MessageDraft(role="assistant", parts=answer.parts),))]

    def on_tools(self, view: TurnView, outcomes: tuple[ToolOutcome, ...]) -> list[Action]:
        calls = view.last_answer.tool_calls if view.last_answer else ()
        return _after_calls(view, calls, outcomes, view.last_text)

    def on_code(self, view: TurnView, result: ExecResponse | ExecFailure) -> list[Action]:
        raise LashBug(f"turn {view.config.turn_id!r}: protocol 'tools' runs no code")

    def on_checkpoint(self, view: TurnView, kind: CheckpointKind) -> list[Action]:
        if not view.at_limit:
            return [AdvanceIteration()]
        if view.config.on_max_turns == "stop":
            return [Finish(stop="max_turns", text=view.last_text)]
        return [ScheduleFinalIteration(last_answer_note(view.config)), AdvanceIteration()]


def _is_answered_here(view: TurnView, call: ToolCallPart) -> bool:
    return call.raw_args is not None or view.config.is_submit_tool(call.name)


def _after_text(view: TurnView, answer: ModelAnswer) -> list[Action]:
    """Go on after an answer without calls."""
    rule = view.config.output
    if rule is not None:
        return _after_verdict(view, rule, judge_text(rule, answer.text), answer.text, by_text=True)
    says_something = answer.text.strip() or any(isinstance(part, AttachmentPart) for part in answer.parts)
    if says_something or view.tool_calls:
        return [_completion(Finish(text=answer.text))]
    issue = TurnIssue(kind="model", code="empty_response", message="the model answered with nothing")
    return [Report(issue), Finish(stop="empty_response")]


def _after_calls(
    view: TurnView, calls: tuple[ToolCallPart, ...], outcomes: tuple[ToolOutcome, ...], text: str
) -> list[Action]:
    """Append every call's result, then go on: a directive first, then a submission, then the next round."""
    submission, verdict = _submission(view, calls)
    actions = _results(view, calls, outcomes, submission, verdict, invalid_args_text)
    ending = ending_by_control(view, outcomes)
    if ending:
        return [*actions, *ending]
    rule = view.config.output
    if verdict is not None and rule is not None:
        return [*actions, *_after_verdict(view, rule, verdict, text, by_text=False)]
    return [*actions, *_next_round(view, text)]


def _submission(
    view: TurnView, calls: tuple[ToolCallPart, ...]
) -> tuple[ToolCallPart | None, Verdict | None]:
    """Return the first submission among the calls, and what is to be said of it."""
    rule = view.config.output
    for call in calls:
        if rule is not None and view.config.is_submit_tool(call.name):
            if call.raw_args is not None:
                return call, Misfits("the arguments are not a JSON object")
            return call, judge_value(rule, call.args)
    return None, None


def _results(
    view: TurnView,
    calls: tuple[ToolCallPart, ...],
    outcomes: tuple[ToolOutcome, ...],
    submission: ToolCallPart | None,
    verdict: Verdict | None,
    unrun_text: Callable[[ToolCallPart], str],
) -> list[Action]:
    """Return what appends a message for each call, and lists each that is not a submission."""
    by_id = {outcome.call.call_id: outcome for outcome in outcomes}
    messages: list[MessageDraft] = []
    records: list[ToolCallRecord] = []
    unrun = 0  # calls that were answered here settle behind those that ran
    for call in calls:
        if (outcome := by_id.get(call.call_id)) is not None:
            messages.append(_outcome_message(outcome))
            records.append(_outcome_record(outcome))
        elif view.config.is_submit_tool(call.name):
            messages.append(_submission_message(call, submission, verdict))
        else:
            content = unrun_text(call)
            messages.append(result_message(call, content))
            records.append(failed_call_record(call, content, rank=len(outcomes) + unrun))
            unrun += 1
    return [Append(tuple(messages)), RecordToolCalls(tuple(records))]


def _submission_message(
    call: ToolCallPart, submission: ToolCallPart | None, verdict: Verdict | None
) -> MessageDraft:
    if submission is None or call.call_id != submission.call_id:
        return result_message(call, error_text("duplicate_submission", "only the first of an answer counts"))
    if isinstance(verdict, Misfits):
        return result_message(
            call, error_text("invalid_output", f"the answer does not fit: {verdict.problem}")
        )
    return result_message(call, _ACCEPTED, is_error=False)


def _outcome_message(outcome: ToolOutcome) -> MessageDraft:
    call, result = outcome.call, outcome.result
    part = ToolResultPart(
        call_id=call.call_id,
        name=call.name,
        content=result.content,
        is_error=result.is_error,
        attachments=result.attachments,
    )
    return MessageDraft(role="tool", parts=(part,))


def _outcome_record(outcome: ToolOutcome) -> ToolCallRecord:
    call, result = outcome.call, outcome.result
    return ToolCallRecord(
        call_id=call.call_id,
        name=call.name,
        args=call.args,
        result=result.content,
        is_error=result.is_error,
        attempts=result.attempts,
        duration_ms=result.duration_ms,
        settled_rank=result.rank,
        replayed=outcome.replayed,
    )


def _after_verdict(
    view: TurnView, rule: OutputRule, verdict: Verdict, text: str, *, by_text: bool
) -> list[Action]:
    """Complete with a typed answer that fits; send one that does not back, as often as the rule allows."""
    if isinstance(verdict, Fits):
        return [_completion(Finish(text=text, output=verdict.value, has_output=True))]
    repairs = view.memory or 0
    if repairs >= rule.max_repairs:
        return [Report(_invalid_output(verdict, repairs)), Finish(stop="invalid_output", text=text)]
    actions: list[Action] = [Remember(repairs + 1)]
    if by_text:
        actions.append(Append((repair_note(rule, verdict.problem),)))
    return [*actions, *_next_round(view, text)]


def _next_round(view: TurnView, text: str) -> list[Action]:
    """Go on to the next iteration. Where there is none, nothing more is let into the turn."""
    if view.at_limit and view.config.on_max_turns == "stop":
        return [Finish(stop="max_turns", text=text)]
    return [StartCheckpoint(kind="after_work", on_empty=GoOn())]


def _last_answer(view: TurnView, answer: ModelAnswer) -> list[Action]:
    """End with what the model said beyond the limit; the machine makes the stop `max_turns`.

    No checkpoint: what it delivered could not be answered any more. Calls that were asked for in spite of
    the note are not run.
    """
    rule = view.config.output
    submission, verdict = _submission(view, answer.tool_calls)
    closed = _results(view, answer.tool_calls, (), submission, verdict, _unrun_at_limit)
    if rule is None:
        return [*closed, Finish(text=answer.text)]
    verdict = verdict or judge_text(rule, answer.text)
    if isinstance(verdict, Misfits):
        issue = _invalid_output(verdict, view.memory or 0)
        return [*closed, Report(issue), Finish(text=answer.text)]
    return [*closed, Finish(text=answer.text, output=verdict.value, has_output=True)]


def _unrun_at_limit(call: ToolCallPart) -> str:
    return synthetic_result(call, "max_turns", started=False)


def _completion(ending: Finish) -> StartCheckpoint:
    return StartCheckpoint(kind="before_completion", on_empty=ending)


def _invalid_output(verdict: Misfits, repairs: int) -> TurnIssue:
    return TurnIssue(
        kind="output",
        code="invalid_output",
        message=f"the final answer does not fit its schema: {verdict.problem}",
        facts={"repairs": repairs},
    )


def _name_taken(rule: OutputRule) -> TurnIssue:
    return TurnIssue(
        kind="config",
        code="output_tool_name_taken",
        message=f"a tool is named {rule.submit_tool!r}, as the one that the typed answer is submitted with;"
        " name one of them differently",
        facts={"tool": rule.submit_tool},
    )
