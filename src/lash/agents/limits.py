"""How much a turn, and a session, may spend."""

from __future__ import annotations

from typing import Literal

from lash.values import Record


class Limits(Record, frozen=True, kw_only=True):
    """Bounds that end a turn. None is no bound.

    Attributes:
        max_model_calls: Model calls a turn. At the limit the model is asked once more, without tools, for
            a last answer (`on_max_turns="summarise"`), or the turn stops as it stands (`"stop"`). The stop
            reason is `max_turns` in both cases.
        turn_tokens: Tokens (input, output, reasoning) after which a turn makes no further model call; the
            stop reason is `budget_exhausted`.
        session_tokens: The same over everything that the session has ever spent.
        tool_output_bytes: What the model sees of one tool result; the rest stays readable by reference.
        max_repairs: How often an answer that does not fit the wanted output goes back to the model.
        approval_expiry_ms: How long a call waits for a person's approval; 7 days unless told otherwise.
        on_approval_expiry: What a call that nobody answered in time does: the model is told (`"tell_model"`),
            or the turn fails (`"fail_turn"`).
        max_program_repairs: In code mode, how many answers in a row may be of no use (a program that fails, none
            where one is needed) before the turn stops as `invalid_output`.
        program_fuel: In code mode, the steps that one program may take: loop turns, calls, elements touched.
        program_memory_bytes: In code mode, how much the variables of a program may hold.
        program_time_ms: In code mode, how long a program may compute between two calls.
        subagent_depth: How many agents deep a session of this agent may ask others, at most 5. From there on its
            agent tools are not offered.
    """

    max_model_calls: int | None = 50
    on_max_turns: Literal["summarise", "stop"] = "summarise"
    turn_tokens: int | None = None
    session_tokens: int | None = None
    tool_output_bytes: int = 16 * 1024
    max_repairs: int = 2
    approval_expiry_ms: int | None = 7 * 24 * 60 * 60 * 1000
    on_approval_expiry: Literal["tell_model", "fail_turn"] = "tell_model"
    max_program_repairs: int = 5
    program_fuel: int = 10_000_000
    program_memory_bytes: int = 64 * 1024 * 1024
    program_time_ms: int | None = 10_000
    subagent_depth: int = 3
