"""What a turn is told before it starts. Given again when it is restored: none of it is in a snapshot.

`TurnConfig` is the only thing here that holds a callable, so it is a dataclass and not a record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lash.errors import LashError
from lash.turn.drafts import MessageDraft, TurnCause
from lash.values.effects import SurfaceSync
from lash.values.models import OutputSpec
from lash.values.record import Json

OnMaxTurns = Literal["summarise", "stop"]

_BARE = SurfaceSync(instructions="", tools=())


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRule:
    """The shape that the final answer must have.

    Attributes:
        spec: Its name and JSON Schema, as the caller wants the value (any type, not only an object).
        validate_output: Returns what is wrong with a value, for the model to read; None if nothing is.
        native: Whether the model is held to a schema by its vendor. If not, it is offered a tool to
            submit the answer with.
        submit_tool: The name of that tool.
        max_repairs: How many answers that do not fit go back to the model before the turn stops with
            `invalid_output`.
    """

    spec: OutputSpec
    validate_output: Callable[[Json], str | None]
    native: bool = False
    submit_tool: str = "submit"
    max_repairs: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnConfig:
    """One turn's terms.

    Attributes:
        turn_id: Every id that the turn makes is derived from it.
        input: The messages that open the turn, usually one of role `user`.
        causes: What else it runs for; each becomes a message of role `event` before the input.
        surface: The instructions and tools of the first iteration.
        first_iteration: The number of the first iteration, where a turn continues another one's count.
        max_turns: How many iterations (model calls) the turn may take; None for no limit.
        on_max_turns: At the limit, either one more call without tools asks for a last answer, or the
            turn stops as it stands. The stop is `max_turns` in both cases.
            The extra call is not counted against `max_turns`.
        context_window_tokens: The model's window, by which an answer that was cut before it began is
            told apart from a long one.
        output: The shape of the final answer, if it must have one.

    Raises:
        LashError: `turn_config_invalid` for a blank turn id, or a limit that allows no model call.
    """

    turn_id: str
    input: tuple[MessageDraft, ...] = ()
    causes: tuple[TurnCause, ...] = ()
    surface: SurfaceSync = _BARE
    first_iteration: int = 0
    max_turns: int | None = None
    on_max_turns: OnMaxTurns = "summarise"
    context_window_tokens: int | None = None
    output: OutputRule | None = None

    def __post_init__(self) -> None:
        if not self.turn_id.strip():
            raise LashError("turn_config_invalid", "a turn needs an id: its messages are named after it")
        if self.max_turns is not None and self.max_turns < 1:
            raise LashError(
                "turn_config_invalid",
                f"turn {self.turn_id!r} may take {self.max_turns} iterations; it needs at least 1",
                turn_id=self.turn_id,
                max_turns=self.max_turns,
            )
        if self.output is not None and self.output.max_repairs < 0:
            raise LashError(
                "turn_config_invalid",
                f"turn {self.turn_id!r} allows {self.output.max_repairs} repairs; 0 is the least",
                turn_id=self.turn_id,
                max_repairs=self.output.max_repairs,
            )

    def is_submit_tool(self, name: str) -> bool:
        """Whether a call of this tool submits the typed answer."""
        return self.output is not None and not self.output.native and name == self.output.submit_tool
