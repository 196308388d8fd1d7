"""A turn on a terminal: text as it comes, a line for each tool call."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable

from lash.facade import Turn
from lash.values import (
    ApprovalRequested,
    AssistantTextDelta,
    CodeBlockCompleted,
    ModelAttemptReset,
    ModelRetry,
    ProgramEnded,
    ToolCallCompleted,
    ToolCallStarted,
    TurnFinished,
    TurnParked,
    TurnStarted,
)

_ARGS_CHARS = 100
_OUTPUT_CHARS = 400


AskPerson = Callable[[ApprovalRequested], Awaitable[None]]


async def show(turn: Turn, ask: AskPerson | None = None) -> None:
    """Print a turn while it runs: the answer to standard output, what it does to standard error.

    Args:
        turn: The turn.
        ask: Asks the person at the terminal about a call that waits for one; without it, the line tells how to
            answer from elsewhere.
    """
    at_line_start = True
    text_shown = False
    asked: set[str] = set()
    shown_before_park = False

    def note(text: str) -> None:
        nonlocal at_line_start
        if not at_line_start:
            sys.stdout.write("\n")
            at_line_start = True
        sys.stdout.flush()
        print(text, file=sys.stderr)

    async for event in turn.events():
        match event.activity:
            case TurnStarted(restarts=restarts) if restarts:
                note(f"[going on with a turn that was interrupted, attempt {restarts + 1}]")
            case TurnParked():
                shown_before_park = True  # a turn that goes on begins again, with what was shown
            case AssistantTextDelta(replayed=True) if shown_before_park:
                pass
            case ApprovalRequested() as question if question.approval_id not in asked:
                asked.add(question.approval_id)
                if ask is None:
                    note(f"[{question.tool} waits: lash approvals approve {question.approval_id}]")
                else:
                    note("")
                    await ask(question)
            case AssistantTextDelta(text=text):
                sys.stdout.write(text)
                sys.stdout.flush()
                at_line_start = text.endswith("\n")
                text_shown = True
            case ModelAttemptReset(reason="program"):
                text_shown = False  # it was the reasoning before the program that follows
            case CodeBlockCompleted(code=code, replayed=False):
                note("\n".join(f"  | {line}" for line in code.splitlines()))
            case ProgramEnded(output=output, error=error):
                note(
                    "\n".join(f"  > {line}" for text in output for line in text[:_OUTPUT_CHARS].splitlines())
                )
                if error is not None:
                    note(f"[the program failed: {error.splitlines()[0]}]")
            case ModelAttemptReset():
                note("[the model starts over; ignore the text above]")
                text_shown = False
            case ModelRetry(wait_ms=wait_ms, attempt=attempt, max_attempts=most, reason=reason):
                note(f"[model: {reason}; attempt {attempt} of {most} in {wait_ms / 1000:.1f} s]")
            case ToolCallStarted(name=name, args=args):
                shown = json.dumps(args, ensure_ascii=False)
                note(f"[{name} {shown if len(shown) <= _ARGS_CHARS else shown[:_ARGS_CHARS] + '…'}]")
            case ToolCallCompleted(call=call) if call.is_error:
                note(f"[{call.name} failed: {str(call.result)[:200]}]")
            case TurnFinished(text=text) if text and not text_shown:
                sys.stdout.write(text)
                at_line_start = text.endswith("\n")
            case _:
                pass
    if not at_line_start:
        sys.stdout.write("\n")
    sys.stdout.flush()
