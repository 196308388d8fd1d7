"""What a tool returns when its turn is to end, or to go on in another frame, because of it (runtime 6.4)."""

from __future__ import annotations

from dataclasses import dataclass

from lash.values import Json, ToolControl


@dataclass(frozen=True, slots=True)
class WithControl:
    """A result with a directive beside it. The first directive of an answer's calls, in call order, holds.

    Attributes:
        value: What the tool gives back, as if it had returned just that.
        control: `FinishTurn`, `FailTurn` or `SwitchAgentFrame`.
    """

    value: Json
    control: ToolControl
