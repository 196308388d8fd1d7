"""Hostile and huge input: a coded error or a tree, in time that grows with the text and not faster."""

import pytest

from lashlang.errors import ParseError
from lashlang.syntax import format_program, parse, walk, without_offsets


def code(source):
    with pytest.raises(ParseError) as caught:
        parse(source)
    assert str(caught.value)
    return caught.value.code


def outcome(source):
    try:
        parse(source)
    except ParseError as error:
        return error.diagnostics
    return ()


def test_63_parentheses_parse_and_64_do_not():
    parse("submit " + "(" * 63 + "1" + ")" * 63)
    assert code("submit " + "(" * 64 + "1" + ")" * 64) == "nesting_too_deep"


def test_63_blocks_parse_and_64_do_not():
    parse("if a {" * 63 + "x = 1" + "}" * 63)
    assert code("if a {" * 64 + "x = 1" + "}" * 64) == "nesting_too_deep"


@pytest.mark.parametrize(
    "part",
    [
        "[",
        "(",
        "{a:",
        "f(",
        "a[",
        "-",
        "not ",
        "!",
        "await ",
        "try ",
        "sleep for ",
        "a ? b : ",
        "start (",
        "1+(2*-a.b[",
    ],
)
def test_100_000_levels_of_expression_are_refused(part):
    assert code("x = " + part * 100_000) in ("nesting_too_deep", "expected")


@pytest.mark.parametrize("part", ["list[", "{a:", "Process<", "TriggerHandle<"])
def test_70_000_levels_of_type_are_refused(part):
    assert code("type T = " + part * 70_000) == "nesting_too_deep"


def test_100_000_open_blocks_are_refused():
    assert code("if a {" * 100_000) == "nesting_too_deep"


def test_long_else_if_ladder_and_long_chains_are_flat():
    parse("if a {}" + " else if b {}" * 5_000)
    parse("x = " + " and ".join(["a"] * 2_000))


def test_sum_of_1_000_terms_parses_and_of_5_000_is_coded():
    assert len(parse("x = " + " + ".join(["1"] * 1_000)).items[0].value.operands) == 1_000
    assert code("x = " + " + ".join(["1"] * 5_000)) == "expression_too_large"


def test_long_list_literal_is_no_large_expression():
    assert len(parse("x = [" + "1," * 20_000 + "]").items[0].value.items) == 20_000


def test_pile_of_postfix_steps_is_refused_wherever_it_comes_from():
    parse("x = a" + ".b" * 60)
    assert code("x = a" + ".b" * 200) == "nesting_too_deep"
    assert code("x = " + "(" * 60 + "a" + ").b.c.d" * 60) == "nesting_too_deep"
    assert code("x = " + "(" * 60 + "a" + " + 1 == 2 and b) * 2" * 60) == "nesting_too_deep"


def test_deepest_legal_trees_can_be_walked_and_printed():
    for source in ("x = " + "(1 + -f(" * 21 + "a" + "))" * 21, "if a {" * 63 + "x = 1" + "}" * 63):
        program = parse(source)
        assert sum(1 for _ in walk(program)) > 60
        assert without_offsets(parse(format_program(program))) == without_offsets(program)


@pytest.mark.parametrize(
    "text",
    [
        "(",
        ")",
        "}",
        "'",
        '"',
        'r"',
        '"""',
        "\\",
        "~",
        "@",
        "@label(",
        "let [",
        "let [\n",
        "type ",
        "while ",
        "start ",
        "0",
        "1e",
        "a ",
        "?",
        "a?",
        "..",
        "|",
        "->",
        "\x00",
        "é",
        "for x in ",
        "/",
        "#",
        "= ",
        "if ",
        "{",
        "[a for ",
        "x = 1 ",
        ";",
    ],
)
def test_a_megabyte_of_anything_ends(text):
    source = text * (1_000_000 // len(text))
    findings = outcome(source)
    assert len(findings) <= 20
    assert all(finding.render() for finding in findings)


def test_longer_source_is_refused_unread():
    assert code("x" * 1_048_577) == "source_too_large"
    assert code("(" * 1_048_577) == "source_too_large"
