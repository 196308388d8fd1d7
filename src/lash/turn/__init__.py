"""The turn machine: one turn as a computation without I/O. `machine.py` has the theory of operation."""

from lash.turn.conclusion import ModelCallUsage, TurnConclusion, tidy_text
from lash.turn.config import OnMaxTurns, OutputRule, TurnConfig
from lash.turn.drafts import MessageDraft, RecordDraft, TurnCause
from lash.turn.effects import (
    Abandon,
    AskModel,
    CheckpointKind,
    Done,
    Emit,
    MachineEffect,
    PlacedMessage,
    Progress,
    ReachCheckpoint,
    RunCode,
    RunTools,
    SyncSurface,
)
from lash.turn.replies import (
    CheckpointPassed,
    CodeRan,
    MachineReply,
    ModelAnswered,
    StopTurn,
    SurfaceSynced,
    ToolsSettled,
)

__all__ = [
    "Abandon",
    "AskModel",
    "CheckpointKind",
    "CheckpointPassed",
    "CodeRan",
    "Done",
    "Emit",
    "MachineEffect",
    "MachineReply",
    "MessageDraft",
    "ModelAnswered",
    "ModelCallUsage",
    "OnMaxTurns",
    "OutputRule",
    "PlacedMessage",
    "Progress",
    "ReachCheckpoint",
    "RecordDraft",
    "RunCode",
    "RunTools",
    "StopTurn",
    "SurfaceSynced",
    "SyncSurface",
    "ToolsSettled",
    "TurnCause",
    "TurnConclusion",
    "TurnConfig",
    "tidy_text",
]
