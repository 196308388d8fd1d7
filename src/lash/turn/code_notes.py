"""What code mode says to the model: what a program gave, and the facts of the moment.

Two kinds of text. An output message follows each program and stays in the history: it must say everything
that the model will need of the step, and nothing that changes later. The status is shown behind all messages
of one call only, so that the prompt before it never moves and stays cached.
"""

from __future__ import annotations

import json

from lash.turn.config import OutputRule, TurnConfig
from lash.turn.drafts import MessageDraft
from lash.turn.protocol import TurnView
from lash.values.effects import ExecResponse
from lash.values.messages import MessageOrigin

OUTPUT_ORIGIN = "code_output"
ANSWER_ORIGIN = "code_answer"
OUTPUT_PREFIX = "Output:\n"

_NEARLY_FULL = ((1.0, "over"), (0.9, "almost full"), (0.6, "filling up"))
_SUBMITTED_CHARS = 2_000


def output_text(result: ExecResponse, *, handle: str) -> str:
    """Return what the model is told of a program's run.

    Args:
        result: What the program gave. Outputs that were cut are named in `observation_truncation`.
        handle: The expression that programs reach this step's outputs by, `history[N]`.
    """
    cut = {one["output"]: one for one in result.observation_truncation}
    parts = []
    for index, shown in enumerate(result.observations):
        parts.append(str(shown))
        if index in cut:
            parts.append(
                f"[output {index} has {cut[index]['chars']:,} characters; the whole text is "
                f"`{handle}.output[{index}]` in a program]"
            )
    if result.error is not None:
        parts.append(f"The program failed.\n{result.error}")
    if result.terminal_finish is not None:
        parts.append("[submitted]")
    if not parts:
        return "[the program ended; it printed nothing and submitted nothing]"
    return OUTPUT_PREFIX + "\n".join(parts)


def answer_text(value: object) -> str:
    """Return a submitted value as the text of the answer."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def misfit_text(rule: OutputRule, problem: str, value: object) -> str:
    """Return what the model is told of a submitted value that does not fit."""
    shown = answer_text(value)
    if len(shown) > _SUBMITTED_CHARS:
        shown = f"{shown[:_SUBMITTED_CHARS]}… ({len(shown):,} characters)"
    schema = json.dumps(rule.spec.schema, ensure_ascii=False)
    return (
        f"The submitted value does not fit: {problem}. It was: {shown}\n"
        f"Submit a value of this JSON Schema: {schema}"
    )


def reminder(tag: str, *, empty: bool) -> MessageDraft:
    """Return the message after an answer without a program, where one was needed."""
    what = "The answer was empty" if empty else "The answer holds no program"
    return MessageDraft.text(
        "user",
        f"{what}. Answer with one ```{tag} block; its `submit` ends the work.",
        MessageOrigin(kind="code_reminder"),
    )


def last_prose_note(config: TurnConfig) -> MessageDraft:
    """Return the note that asks for an answer in prose at the limit."""
    steps = "1 step" if config.max_turns == 1 else f"{config.max_turns} steps"
    return MessageDraft.text(
        "system",
        f"The limit of {steps} for this turn is reached, and no program is run any more. Answer in plain "
        "prose now: say what you found and did, and what is left undone.",
        MessageOrigin(kind="turn_limit"),
    )


def status_note(
    view: TurnView, *, variables: tuple[str, ...], submit_required: bool, tag: str
) -> MessageDraft:
    """Return the facts of the moment: variables, step, how to end, how full the context is."""
    parts = []
    if variables:
        parts.append("Variables:\n" + "\n".join(variables))
    parts.append(_step(view))
    parts.append(_ending(view, submit_required=submit_required, tag=tag))
    hint = context_hint(view.prompt_tokens, view.config.context_window_tokens)
    if hint:
        parts.append(hint)
    # A user's message: not every model takes another system text behind the conversation.
    return MessageDraft.text("user", "[status]\n" + "\n\n".join(parts), MessageOrigin(kind="code_status"))


def context_hint(prompt_tokens: int, window_tokens: int | None) -> str:
    """Return a warning once the last prompt took 60 %, 90 % or all of the window; nothing before."""
    if not window_tokens or not prompt_tokens:
        return ""
    share = prompt_tokens / window_tokens
    for least, word in _NEARLY_FULL:
        if share >= least:
            return (
                f"Context: {prompt_tokens:,} of {window_tokens:,} tokens, {word}. Print less, keep results in "
                "variables, and come to an end."
            )
    return ""


def _step(view: TurnView) -> str:
    number = view.iteration - view.config.first_iteration + 1
    limit = view.config.max_turns
    return f"Step {number}." if limit is None else f"Step {number} of {limit}."


def _ending(view: TurnView, *, submit_required: bool, tag: str) -> str:
    rule = view.config.output
    if rule is not None:
        schema = json.dumps(rule.spec.schema, ensure_ascii=False)
        return f"End with `submit value` in a ```{tag} block. The value must fit this JSON Schema: {schema}"
    if submit_required:
        return f"End with `submit value` in a ```{tag} block."
    return (
        f"Work with one ```{tag} block an answer. End with `submit value`, or with an answer without a block."
    )
