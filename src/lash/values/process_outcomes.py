"""How a process ends (contract 1.8)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

from lash.values.record import Json, JsonRecord


class ProcessTerminalState(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


class SwitchAgentFrame(JsonRecord, frozen=True, tag="switch_agent_frame", eq=False):
    """Continue in another frame. `variables` is what programs find bound there, in code mode."""

    frame_id: str
    initial_nodes: tuple[Json, ...] = ()
    task: str | None = None
    variables: dict[str, Json] = {}


class FinishTurn(JsonRecord, frozen=True, tag="finish", eq=False):
    """End the turn with this value."""

    value: Json


class FailTurn(JsonRecord, frozen=True, tag="fail", eq=False):
    """End the turn as failed."""

    failure: Json


ToolControl: TypeAlias = SwitchAgentFrame | FinishTurn | FailTurn

FailureClass = Literal[
    "invalid_request",
    "unavailable",
    "permission_denied",
    "timeout",
    "execution",
    "external",
    "resource_limit",
    "internal",
]


class AwaitSuccess(JsonRecord, frozen=True, tag="success", eq=False):
    value: Json
    control: ToolControl | None = None


class AwaitFailure(JsonRecord, frozen=True, tag="failure", eq=False):
    failure_class: FailureClass = msgspec.field(name="class")
    code: str
    message: str
    raw: Json = None
    control: ToolControl | None = None


class AwaitCancelled(JsonRecord, frozen=True, tag="cancelled", eq=False):
    message: str
    raw: Json = None
    control: ToolControl | None = None


ProcessAwaitOutput: TypeAlias = AwaitSuccess | AwaitFailure | AwaitCancelled


def terminal_state_of(output: ProcessAwaitOutput) -> ProcessTerminalState:
    """Return the state that an output ends a process in."""
    match output:
        case AwaitSuccess():
            return ProcessTerminalState.COMPLETED
        case AwaitFailure():
            return ProcessTerminalState.FAILED
        case AwaitCancelled():
            return ProcessTerminalState.CANCELLED
