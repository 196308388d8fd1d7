"""Where a statement ends, and which `?` is which (docs/language-changes.md, rows 1 and 2)."""

import pytest

from lashlang.errors import ParseError
from lashlang.syntax import parse, without_offsets


def count(source):
    return len(parse(source).items)


def same(left, right):
    return without_offsets(parse(left)) == without_offsets(parse(right))


@pytest.mark.parametrize("token", ["-1", "[1]", "(1)", "not b", "!b", "await b", '"s"', "{ k: 1 }", "b", "1"])
def test_line_that_can_start_a_statement_is_one(token):
    assert count(f"x = a\n{token}") == 2


@pytest.mark.parametrize(
    "token",
    [
        "+ 1",
        "* 1",
        "/ 1",
        "% 1",
        "== 1",
        "< 1",
        "and b",
        "or b",
        "&& b",
        "|| b",
        "?? b",
        "in b",
        ".b",
        ".b()",
        "? 1 : 2",
    ],
)
def test_line_that_cannot_start_a_statement_goes_on(token):
    assert count(f"x = a\n{token}") == 1


@pytest.mark.parametrize("token", ["+ 1", "* 1", ".b", "? 1 : 2", "and b"])
def test_semicolon_always_ends(token):
    with pytest.raises(ParseError) as caught:
        parse(f"x = a; {token}")
    assert caught.value.code == "unexpected"


def test_semicolon_and_line_break_mean_nothing_inside_brackets():
    assert same("x = [1\n, -\n2\n]", "x = [1, -2]")
    assert same("x = (1\n- 2)", "x = 1 - 2")
    assert same("x = [1;, 2]", "x = [1, 2]")
    assert count("x = (a\n-1)") == 1
    assert count("x = f(a\n[0]\n)") == 1


def test_operand_may_stand_on_the_next_line():
    assert same("x =\n1 +\n2", "x = 1 + 2")


def test_statements_may_share_a_line():
    assert count("x = 1 y = x + 1 submit y") == 3


def test_bare_submit_ends_at_its_line():
    program = parse("submit\nx = 1")
    assert program.items[0].value is None
    assert len(program.items) == 2


def test_call_and_index_need_their_line():
    assert count("f\n(a)") == 2
    assert count("x = a\n[0]") == 2
    assert count("x = a [0]") == 1


def test_start_reads_its_process_on_its_line_only():
    assert count("x = start\ny = 3") == 2


def test_touching_question_mark_unwraps_and_never_looks_ahead():
    program = parse("a = 1\nx = a?\nfoo\nb ? 1 : 2")
    assert [type(item).__name__ for item in program.items] == ["Assign", "Assign", "Evaluate", "Evaluate"]


def test_block_after_else_may_stand_on_another_line():
    assert count("if a\n{ }\nelse\n{ }") == 1
