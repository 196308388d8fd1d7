"""What the driver answers. A reply that names another effect, or comes out of season, changes nothing."""

from __future__ import annotations

from typing import TypeAlias

from lash.values.effects import (
    CheckpointDelivery,
    CompletedToolCall,
    ExecFailure,
    ExecResponse,
    SurfaceSync,
)
from lash.values.models import ModelFailure, ModelResponse
from lash.values.record import JsonRecord, Record
from lash.values.turns import StopReason, TurnIssue


class SurfaceSynced(Record, frozen=True, tag="surface_synced"):
    """What `SyncSurface` found; None for no change."""

    effect_id: int
    sync: SurfaceSync | None = None


class ModelAnswered(Record, frozen=True, tag="model_answered"):
    """What `AskModel` got, after the retries that its failures allow."""

    effect_id: int
    result: ModelResponse | ModelFailure


class ToolsSettled(JsonRecord, frozen=True, tag="tools_settled", eq=False):
    """One result for each call of `RunTools`, in any order; `rank` tells the order of settlement.

    `replayed` names the calls whose results came from the journal.
    """

    effect_id: int
    results: tuple[CompletedToolCall, ...]
    replayed: tuple[str, ...] = ()


class CodeRan(Record, frozen=True, tag="code_ran"):
    """What `RunCode` gave."""

    effect_id: int
    result: ExecResponse | ExecFailure


class CheckpointPassed(Record, frozen=True, tag="checkpoint_passed"):
    """What entered the turn at `ReachCheckpoint`."""

    effect_id: int
    delivery: CheckpointDelivery = CheckpointDelivery()


class StopTurn(JsonRecord, frozen=True, tag="stop_turn", eq=False):
    """End the turn now, whatever it waits for: a budget is spent, a plugin aborts."""

    reason: StopReason
    issue: TurnIssue | None = None


MachineReply: TypeAlias = SurfaceSynced | ModelAnswered | ToolsSettled | CodeRan | CheckpointPassed | StopTurn
