"""What a watcher is shown of an answer: whatever the pieces, what is left is the answer's own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.runtime.prose_mask import ProseMask
from lash.turn import LANGUAGE_TAGS, find_block
from lash.values import (
    AssistantReasoningDelta,
    AssistantTextDelta,
    CodeBlockCompleted,
    CodeBlockStarted,
    ModelAttemptReset,
    TurnActivity,
)


class Screen:
    """What a watcher has before its eyes: rows of text, and the programs."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.reasoning = ""
        self.programs: list[str | None] = []

    def show(self, activity: TurnActivity, row: str) -> None:
        match activity:
            case AssistantTextDelta(text=text):
                self.rows[row] = self.rows.get(row, "") + text
            case AssistantReasoningDelta(text=text):
                self.reasoning += text
            case ModelAttemptReset(correlation_ids=rows, reason="program"):
                for one in rows:
                    self.rows.pop(one, None)
            case CodeBlockStarted():
                self.programs.append(None)
            case CodeBlockCompleted(code=code):
                self.programs[-1] = code
            case _:
                raise AssertionError(activity)


def shown(text: str, cuts: list[int], *, prose_may_answer: bool) -> Screen:
    screen = Screen()
    mask = ProseMask(screen.show, "model:2", "code:0", prose_may_answer=prose_may_answer)
    at = turn = 0
    while at < len(text):
        step = cuts[turn % len(cuts)]
        mask.feed(text[at : at + step])
        at, turn = at + step, turn + 1
    mask.finish()
    return screen


TEXTS = st.lists(
    st.sampled_from(["a", "`", "```", "lash", "lashlang", "\n", "\n", " ", "~~~", "python"]), max_size=14
).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(1, 6), min_size=1, max_size=20), st.booleans())
def test_what_is_left_on_the_screen_is_what_the_turn_makes_of_the_answer(text, cuts, prose_may_answer):
    screen = shown(text, cuts, prose_may_answer=prose_may_answer)
    block = find_block(text, LANGUAGE_TAGS)
    left = "".join(screen.rows.values())
    if block is None:
        assert screen.programs == []
        assert (left, screen.reasoning) == ((text, "") if prose_may_answer else ("", text))
    else:
        assert (left, screen.reasoning) == ("", block.prose)
        assert screen.programs == [block.code]


@pytest.mark.parametrize("prose_may_answer", [True, False])
def test_no_part_of_a_program_is_ever_shown_as_prose(prose_may_answer):
    seen: list[TurnActivity] = []
    mask = ProseMask(lambda one, _: seen.append(one), "m", "c", prose_may_answer=prose_may_answer)
    for character in "Look.\n```lashlang\nsecret = 1\n```\nafter":
        mask.feed(character)
    mask.finish()
    texts = [one.text for one in seen if isinstance(one, AssistantTextDelta | AssistantReasoningDelta)]
    assert not any("secret" in text or "after" in text or "lashlang" in text for text in texts)
