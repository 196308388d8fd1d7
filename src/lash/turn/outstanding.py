"""The effect that a waiting phase stands for, rebuilt from it: the same before a snapshot and after."""

from __future__ import annotations

from typing import assert_never

from lash.turn.config import TurnConfig
from lash.turn.effects import (
    AskModel,
    PlacedMessage,
    ReachCheckpoint,
    ReplyWanted,
    RunCode,
    RunTools,
    SyncSurface,
)
from lash.turn.state import (
    AwaitCheckpoint,
    AwaitCode,
    AwaitModel,
    AwaitSurface,
    AwaitTools,
    TurnState,
    Waiting,
)
from lash.turn.structured_output import native_output_spec


def outstanding_effect(state: TurnState, phase: Waiting, config: TurnConfig) -> ReplyWanted:
    """Return the effect whose reply `phase` waits for."""
    iteration = state.iteration
    match phase:
        case AwaitSurface(effect_id=effect_id, apply=apply):
            return SyncSurface(effect_id=effect_id, iteration=iteration, apply=apply)
        case AwaitModel():
            return _model_call(state, phase, config)
        case AwaitTools(effect_id=effect_id, calls=calls):
            return RunTools(effect_id=effect_id, iteration=iteration, calls=calls)
        case AwaitCode(effect_id=effect_id, code=code):
            return RunCode(effect_id=effect_id, iteration=iteration, code=code)
        case AwaitCheckpoint(effect_id=effect_id, kind=kind):
            return ReachCheckpoint(effect_id=effect_id, iteration=iteration, kind=kind)
        case _:
            assert_never(phase)


def _model_call(state: TurnState, phase: AwaitModel, config: TurnConfig) -> AskModel:
    messages = state.messages
    notes = tuple(PlacedMessage(message=note, after=len(messages)) for note in phase.notes)
    return AskModel(
        effect_id=phase.effect_id,
        iteration=state.iteration,
        instructions=state.surface.instructions,
        messages=messages,
        transient=(*state.transient, *notes),
        tools=phase.tools,
        tool_choice=phase.tool_choice,
        output=native_output_spec(config.output) if phase.native_output and config.output else None,
    )
