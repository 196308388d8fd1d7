"""`LangError`, `Diagnostic` and the picture of a source line with its caret."""

import pickle

import pytest

from lashlang.errors import Diagnostic, LangError, LinkError, ParseError, locate
from lashlang.syntax import parse


def test_error_carries_code_facts_and_place():
    place = locate("a\nbcd = 1", 4, 5)
    error = LangError("type_error", "no", retryable=True, location=place, hint="do", builtin="len")
    assert (error.code, error.message, error.retryable, error.hint) == ("type_error", "no", True, "do")
    assert (error.builtin, error.facts) == ("len", {"builtin": "len"})
    assert (error.line, error.column, error.span) == (2, 3, (4, 5))


def test_error_without_place_says_so():
    error = LangError("surface_conflict", "twice")
    assert (error.line, error.column, error.span) == (None, None, None)
    assert str(error) == "error[surface_conflict]: twice"


def test_fact_cannot_hide_an_attribute_of_every_error():
    error = LangError("x", "text", line=7)
    assert error.line is None
    assert error.facts == {"line": 7}


def test_errors_survive_pickle():
    try:
        parse("x = )\ny = ]")
    except ParseError as caught:
        error = caught
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ParseError
    assert (again.code, again.diagnostics, str(again)) == (error.code, error.diagnostics, str(error))
    plain = pickle.loads(pickle.dumps(LangError("a", "b", retryable=True, key="k")))
    assert (plain.code, plain.message, plain.retryable, plain.key) == ("a", "b", True, "k")


def test_first_finding_speaks_for_the_error():
    findings = (Diagnostic("one", "1"), Diagnostic("two", "2"))
    error = LinkError.of(findings)
    assert (error.code, error.message, error.diagnostics) == ("one", "1", findings)


@pytest.mark.parametrize(
    ("source", "start", "end", "line", "column", "text"),
    [
        ("", 0, 0, 1, 1, ""),
        ("a\nb", 2, 3, 2, 1, "b"),
        ("a\r\nb", 0, 1, 1, 1, "a"),
        ("a\n", 2, 2, 2, 1, ""),
        ("aé😀b", 3, 4, 1, 4, "aé😀b"),
        ("ab", 9, 12, 1, 3, "ab"),
        ("ab", -5, -1, 1, 1, "ab"),
    ],
)
def test_place_has_line_and_column(source, start, end, line, column, text):
    place = locate(source, start, end)
    assert (place.line, place.column, place.line_text) == (line, column, text)


@pytest.mark.parametrize(
    ("source", "start", "end", "excerpt"),
    [
        ("x = $ y", 4, 5, "  | x = $ y\n  |     ^"),
        ("x = abc", 4, 7, "  | x = abc\n  |     ^^^"),
        ("\tx = $", 5, 6, "  |     x = $\n  |         ^"),
        ("s = '日本' $", 9, 10, "  | s = '日本' $\n  |            ^"),
        ("e\u0301 $", 3, 4, "  | e\u0301 $\n  |   ^"),
        ("a\x00b", 1, 2, "  | a\ufffdb\n  |  ^"),
        ("ab\ncd", 0, 5, "  | ab\n  | ^^"),
        ("", 0, 0, "  | \n  | ^"),
    ],
)
def test_caret_stands_under_what_is_meant(source, start, end, excerpt):
    assert locate(source, start, end).excerpt() == excerpt


def test_long_line_is_cut_to_a_window_around_the_caret():
    source = "x" * 500 + "$" + "y" * 500
    shown, caret = locate(source, 500, 501).excerpt().split("\n")
    assert len(shown) < 130
    assert shown[caret.index("^")] == "$"
    assert shown.startswith("  | …")
    assert shown.endswith("…")


def test_rendered_finding_shows_everything():
    related = (("opened here", locate("f(\n1", 1, 2)),)
    finding = Diagnostic("expected", "expected `)`", locate("f(\n1", 4, 4), "close it", related=related)
    assert finding.render() == (
        "error[expected]: expected `)`\n --> line 2, column 2\n  | 1\n  |  ^\n"
        " note: opened here (line 1, column 2)\n hint: close it"
    )
