"""Which text of an answer is a program, and that it does not depend on how the text came."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.turn import BlockClosed, BlockOpened, FenceScanner, ProseSeen, find_block

TAGS = ("lashlang", "lash")


@pytest.mark.parametrize(
    ("text", "prose", "code", "emitted"),
    [
        ("```lashlang\nx = 1\n```", "", "x = 1", "```lashlang\nx = 1\n```"),
        ("Look:\n```lash\na\nb\n```\nand more", "Look:\n", "a\nb", "Look:\n```lash\na\nb\n```"),
        ("hi ```lashlang\nx\n```", "hi ", "x", "hi ```lashlang\nx\n```"),
        ("````lashlang\n```\n````", "", "```", "````lashlang\n```\n````"),
        ("~~~lashlang\nx\n~~~", "", "x", "~~~lashlang\nx\n~~~"),
        ("   ```lashlang\nx\n  ``` \n", "", "x", "   ```lashlang\nx\n  ``` "),
        ("```LashLang title=one\nx\n```", "", "x", "```LashLang title=one\nx\n```"),
        ("```lashlang\r\nx\r\n```\r\nbye", "", "x", "```lashlang\r\nx\r\n```"),
        ('```lashlang\nx = "a ``` b"\n```', "", 'x = "a ``` b"', '```lashlang\nx = "a ``` b"\n```'),
        ("```lashlang\nx\n~~~\n```", "", "x\n~~~", "```lashlang\nx\n~~~\n```"),
        ("```lashlang\na\n```\n```lashlang\nb\n```", "", "a", "```lashlang\na\n```"),
        ("```python\nx\n```\n```lashlang\ny\n```", "```python\nx\n```\n", "y", None),
        ("```lashlang\nx = 1", "", "x = 1", "```lashlang\nx = 1\n```"),
        ("```lashlang", "", "", "```lashlang\n```"),
    ],
)
def test_the_first_block_with_the_tag_is_the_program(text, prose, code, emitted):
    block = find_block(text, TAGS)
    assert block is not None
    assert (block.prose, block.code) == (prose, code)
    assert block.emitted == (text if emitted is None else emitted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no program at all",
        "``lashlang\nx\n``",
        "```python\n```lashlang\nx\n```",
        "```lashlangs\nx\n```",
        "    ```\nlashlang\n",
        "say ```lashlang x``` inline",
        "```\nlashlang\n```",
    ],
)
def test_what_is_no_block_of_the_language_is_prose(text):
    assert find_block(text, TAGS) is None


def test_an_answer_that_breaks_off_in_its_program_is_closed_with_its_own_fence():
    block = find_block("~~~~lash\nx = 1\ny", TAGS)
    assert block is not None
    assert not block.closed
    assert block.emitted == "~~~~lash\nx = 1\ny\n~~~~"


PIECES = st.lists(
    st.sampled_from(
        [
            "`",
            "``",
            "```",
            "````",
            "~~~",
            "lashlang",
            "lash",
            "python",
            "x",
            " ",
            "   ",
            "    ",
            "\n",
            "\n",
            "\r\n",
        ]
    ),
    max_size=16,
)


@settings(max_examples=500, deadline=None)
@given(PIECES, st.lists(st.integers(1, 5), min_size=1, max_size=40))
def test_a_text_is_read_alike_however_it_is_cut_into_pieces(pieces, cuts):
    text = "".join(pieces)
    scanner = FenceScanner(TAGS)
    seen, at, turn = [], 0, 0
    while at < len(text):
        step = cuts[turn % len(cuts)]
        seen += scanner.feed(text[at : at + step])
        at, turn = at + step, turn + 1
    seen += scanner.finish()
    assert scanner.block == find_block(text, TAGS)
    prose = "".join(one.text for one in seen if isinstance(one, ProseSeen))
    opened = [one for one in seen if isinstance(one, BlockOpened)]
    closed = [one for one in seen if isinstance(one, BlockClosed)]
    if scanner.block is None:
        assert (prose, opened, closed) == (text, [], [])
    else:
        assert prose == scanner.block.prose
        assert (len(opened), [one.code for one in closed]) == (1, [scanner.block.code])
        assert text.startswith(prose)
        assert not scanner.block.closed or text.startswith(scanner.block.emitted)


def test_prose_is_shown_as_soon_as_it_cannot_be_a_fence():
    scanner = FenceScanner(TAGS)
    assert scanner.feed("Let me ") == [ProseSeen("Let me ")]
    assert scanner.feed("look") == [ProseSeen("look")]
    assert scanner.feed(" `a") == [ProseSeen(" `a")]
    assert scanner.feed(" ```la") == [ProseSeen(" ")]
    assert scanner.feed("sh\n") == [BlockOpened()]
    assert scanner.feed("x\n```") == []
    assert scanner.finish() == [BlockClosed("x")]
