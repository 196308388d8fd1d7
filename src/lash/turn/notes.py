"""What the runtime says to the model in its own words, in one place."""

from __future__ import annotations

from lash.turn.config import OutputRule, TurnConfig
from lash.turn.drafts import MessageDraft
from lash.values.messages import MessageOrigin, ToolCallPart

_RAW_ARGS_SHOWN = 500  # characters of a bad argument text that are shown back


def error_text(code: str, message: str) -> str:
    """Return how the runtime words a failed call."""
    return f"Error [{code}]: {message}"


def invalid_args_text(call: ToolCallPart) -> str:
    """Return the result of a call whose arguments are no JSON object."""
    raw = call.raw_args or ""
    shown = raw if len(raw) <= _RAW_ARGS_SHOWN else f"{raw[:_RAW_ARGS_SHOWN]}… ({len(raw)} characters)"
    return error_text(
        "invalid_tool_args",
        f"the arguments of {call.name!r} are not a JSON object; the call was not run. Got: {shown}",
    )


def last_answer_note(config: TurnConfig) -> MessageDraft:
    """Return the note that asks for a last answer at the limit."""
    steps = "1 step" if config.max_turns == 1 else f"{config.max_turns} steps"
    ask = (
        f"Call {config.output.submit_tool!r} now with the best answer you have."
        if config.output is not None and not config.output.native
        else "Do not call tools. Answer now: say what you found and did, and what is left undone."
    )
    return MessageDraft.text(
        "system", f"The limit of {steps} for this turn is reached. {ask}", MessageOrigin(kind="turn_limit")
    )


def repair_note(rule: OutputRule, problem: str) -> MessageDraft:
    """Return the message that sends a text answer back which does not fit the output's schema."""
    ask = (
        "Answer again with only the corrected JSON."
        if rule.native
        else f"Call {rule.submit_tool!r} with the answer."
    )
    return MessageDraft.text(
        "user", f"The answer does not fit: {problem}. {ask}", MessageOrigin(kind="output_repair")
    )
