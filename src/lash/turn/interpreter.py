"""Applies a protocol's actions to a turn's state.

Actions are applied in order. A batch that brings new records or advances the iteration gives exactly one
`Progress` notice, behind its other notices and before whatever effect the step asks for. The turn's input
is told of in the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from lash.errors import LashBug
from lash.turn.actions import (
    Action,
    AdvanceIteration,
    Append,
    EmitActivity,
    Finish,
    RecordToolCalls,
    Remark,
    Remember,
    Report,
    ScheduleFinalIteration,
    StartCheckpoint,
    StartCode,
    StartModel,
    StartTools,
    Step,
)
from lash.turn.config import TurnConfig
from lash.turn.effects import Emit
from lash.turn.sealing import failed_call_record, open_calls, result_message, synthetic_result
from lash.turn.state import (
    AwaitCheckpoint,
    AwaitCode,
    AwaitModel,
    AwaitTools,
    Finished,
    Preparing,
    TurnState,
)
from lash.values.turns import StopReason, TurnIssue

_STEPS = (StartModel, StartTools, StartCode, StartCheckpoint, AdvanceIteration, Finish)


def apply_actions(state: TurnState, config: TurnConfig, actions: Sequence[Action]) -> None:
    """Apply a batch. Records that no notice has named yet count as the batch's own.

    Raises:
        LashBug: The batch does not end with a step, or has one before its end.
    """
    remarks = [action for action in actions if not isinstance(action, _STEPS)]
    step = actions[-1] if actions else None
    if not isinstance(step, _STEPS) or len(remarks) != len(actions) - 1:
        names = ", ".join(type(action).__name__ for action in actions)
        raise LashBug(f"turn {state.turn_id!r}: a protocol's actions must end with their one step: [{names}]")
    for remark in remarks:
        _apply_remark(state, remark)
    _take_step(state, config, step)


def end_turn(state: TurnState, config: TurnConfig, ending: Finish) -> None:
    """Finish: give every open call a result, tell of what is new, and wait for nothing any more."""
    started = {call.call_id for call in state.phase.calls} if isinstance(state.phase, AwaitTools) else set()
    for call in open_calls(state.records):
        content = synthetic_result(call, ending.stop, started=call.call_id in started)
        state.append(result_message(call, content))
        if not config.is_submit_tool(call.name):
            state.tool_calls.append(failed_call_record(call, content))
    if ending.stop == "max_turns":
        state.issues.append(
            TurnIssue(
                kind="limit",
                code="max_turns",
                message=f"the turn used the {config.max_turns} iterations that it may take",
            )
        )
    if state.has_unreported_records:
        state.report_progress()
    state.phase = Finished(ending=ending)


def _apply_remark(state: TurnState, remark: Remark) -> None:
    match remark:
        case EmitActivity(activity=activity):
            state.notices.append(Emit(activity))
        case Append(records=records):
            for draft in records:
                state.append(draft)
        case RecordToolCalls(calls=calls):
            state.tool_calls += calls
        case Report(issue=issue):
            state.issues.append(issue)
        case Remember(memory=memory):
            state.memory = memory
        case ScheduleFinalIteration(note=note):
            state.final_note = note
        case _:
            assert_never(remark)


def _take_step(state: TurnState, config: TurnConfig, step: Step) -> None:
    if isinstance(step, Finish):
        end_turn(state, config, step.replace(stop=_final_stop(state, step.stop)))
        return
    if isinstance(step, AdvanceIteration):
        state.iteration += 1
        state.phase = Preparing()
        state.report_progress()
        return
    _begin_waiting(state, step)
    if state.has_unreported_records:
        state.report_progress()


def _begin_waiting(state: TurnState, step: StartModel | StartTools | StartCode | StartCheckpoint) -> None:
    effect_id = state.next_effect_id()
    match step:
        case StartModel():
            state.phase = AwaitModel(
                effect_id=effect_id,
                tools=step.tools,
                tool_choice=step.tool_choice,
                native_output=step.native_output,
                notes=tuple(
                    note.named(f"{state.turn_id}:n{effect_id}.{ordinal}")
                    for ordinal, note in enumerate(step.notes)
                ),
            )
        case StartTools(calls=calls):
            if not calls:
                raise LashBug(f"turn {state.turn_id!r}: a protocol asked for no call to be run")
            state.phase = AwaitTools(effect_id=effect_id, calls=calls)
        case StartCode(code=code):
            state.phase = AwaitCode(effect_id=effect_id, code=code)
        case StartCheckpoint(kind=kind, on_empty=on_empty):
            state.phase = AwaitCheckpoint(effect_id=effect_id, kind=kind, on_empty=on_empty)
        case _:
            assert_never(step)


def _final_stop(state: TurnState, stop: StopReason | None) -> StopReason | None:
    """Return the stop of a turn: in the iteration beyond the limit, the limit is why it ended."""
    return stop if state.final_note is None or stop == "cancelled" else "max_turns"
