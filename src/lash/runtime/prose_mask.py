"""What a watcher sees of an answer in code mode: prose as prose, the program as a program.

Prose before a program is reasoning. Where an answer without a program would end the turn, nobody knows yet
which it is: it is shown as text at once, and when a program's fence opens it is taken back and shown again as
reasoning, so that the text that is left at the end of a turn is always its answer.
"""

from __future__ import annotations

from collections.abc import Callable

from lash.turn import LANGUAGE_TAGS, BlockClosed, BlockOpened, FenceScanner, ProseSeen, Sighting
from lash.values import (
    AssistantReasoningDelta,
    AssistantTextDelta,
    CodeBlockCompleted,
    CodeBlockStarted,
    ModelAttemptReset,
    TurnActivity,
)

Show = Callable[[TurnActivity, str], None]
"""Shows an activity under a correlation id."""


class ProseMask:
    """Splits the text of one answer, as it comes, into what may be shown as prose and what is a program.

    Args:
        show: Shows an activity.
        row: The correlation id of the answer's prose.
        code_row: That of its program.
        prose_may_answer: Whether prose is shown as an answer until a program proves it to be reasoning.
    """

    def __init__(self, show: Show, row: str, code_row: str, *, prose_may_answer: bool) -> None:
        self._show = show
        self._row = row
        self._code_row = code_row
        self._as_text = prose_may_answer
        self._prose = ""
        self._scanner = FenceScanner(LANGUAGE_TAGS)

    def feed(self, text: str, *, replayed: bool = False) -> None:
        """Take more of the answer's text."""
        for sighting in self._scanner.feed(text):
            self._tell(sighting, replayed=replayed)

    def finish(self, *, replayed: bool = False) -> None:
        """The answer is over."""
        for sighting in self._scanner.finish():
            self._tell(sighting, replayed=replayed)

    def _tell(self, sighting: Sighting, *, replayed: bool) -> None:
        match sighting:
            case ProseSeen(text=text) if self._as_text:
                self._prose += text
                self._show(AssistantTextDelta(text, replayed=replayed), self._row)
            case ProseSeen(text=text):
                self._show(AssistantReasoningDelta(text, replayed=replayed), f"{self._row}:reasoning")
            case BlockOpened():
                if self._prose:
                    self._show(ModelAttemptReset((self._row,), reason="program"), self._row)
                    self._show(
                        AssistantReasoningDelta(self._prose, replayed=replayed), f"{self._row}:reasoning"
                    )
                self._show(CodeBlockStarted(replayed=replayed), self._code_row)
            case BlockClosed(code=code):
                self._show(CodeBlockCompleted(code, replayed=replayed), self._code_row)
