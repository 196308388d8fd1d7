"""Tools that end the turn: the directive a result may carry (runtime 6.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import msgspec

from lash.turn.actions import Action, Finish, Report
from lash.turn.protocol import ToolOutcome, TurnView
from lash.turn.structured_output import Misfits, judge_output
from lash.values.effects import CompletedToolCall
from lash.values.process_outcomes import FailTurn, FinishTurn, SwitchAgentFrame, ToolControl
from lash.values.record import Json
from lash.values.turns import TurnIssue


def ending_by_control(view: TurnView, outcomes: Iterable[ToolOutcome]) -> list[Action]:
    """Return the actions that end the turn as the first directive in call order wants; [] if none does.

    A failed call can only fail the turn: a value or a frame of a call that failed is not to be trusted.
    """
    for outcome in outcomes:
        result = outcome.result
        if result.control is None:
            continue
        try:
            control: ToolControl = msgspec.convert(result.control, ToolControl)
        except msgspec.ValidationError as problem:
            return _failed(result, "tool_control_invalid", f"its directive is none: {problem}", view)
        match control:
            case FailTurn(failure=failure):
                return _failed_by_tool(result, failure, view)
            case _ if result.is_error:
                continue
            case FinishTurn(value=value):
                return _finished(result, value, view)
            case SwitchAgentFrame():
                return [Finish(switch=control, text=view.last_text)]
            case _:
                assert_never(control)
    return []


def _finished(result: CompletedToolCall, value: Json, view: TurnView) -> list[Action]:
    """End with a tool's value: text if it is one, beside what the model said last if it is not."""
    text = value if isinstance(value, str) else view.last_text
    verdict = judge_output(view.config.output, value) if view.config.output else None
    if isinstance(verdict, Misfits):
        issue = TurnIssue(
            kind="output",
            code="invalid_output",
            message=f"tool {result.tool_name!r} ended the turn with a value that does not fit:"
            f" {verdict.problem}",
            call_id=result.call_id,
        )
        return [Report(issue), Finish(stop="invalid_output", text=text)]
    return [Finish(text=text, output=value, has_output=True)]


def _failed_by_tool(result: CompletedToolCall, failure: Json, view: TurnView) -> list[Action]:
    message = failure if isinstance(failure, str) else f"tool {result.tool_name!r} failed the turn"
    return _failed(result, "failed_by_tool", message, view, failure=failure)


def _failed(
    result: CompletedToolCall, code: str, message: str, view: TurnView, **facts: Json
) -> list[Action]:
    issue = TurnIssue(kind="tool", code=code, message=message, call_id=result.call_id, facts=facts)
    return [Report(issue), Finish(stop="tool_failure", text=view.last_text)]
