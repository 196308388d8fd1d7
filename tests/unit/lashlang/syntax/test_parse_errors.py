"""The parser's errors: code, exact place, and how it goes on."""

import pytest

from lashlang.errors import ParseError
from lashlang.syntax import parse


def findings(source):
    with pytest.raises(ParseError) as caught:
        parse(source)
    return caught.value.diagnostics


def found(source):
    """Each finding's code with the text it points at."""
    return [(finding.code, source[slice(*finding.span)]) for finding in findings(source)]


@pytest.mark.parametrize(
    ("source", "code", "culprit"),
    [
        ("x = $", "unexpected_char", "$"),
        ("for = 1", "expected", "="),
        ("x = { a: 1\n b: 2 }", "expected", "b"),
        ("x = { a }", "expected", "}"),
        ("x = { 1: 2 }", "expected", "1"),
        ('x = { ["k"]: 1 }', "expected", "["),
        ("x += 1", "unexpected", "="),
        ("x++", "unexpected", "+"),
        ("submit 1 === 1", "unexpected", "="),
        ("submit 2 ** 3", "unexpected", "*"),
        ("x = if true { 1 } else { 2 }", "unexpected", "if"),
        ("function add(a, b) { return a + b }", "expected", "function"),
        ("if true submit 1", "expected", "submit"),
        ("if true {\n x = 1\n", "expected", ""),
        ("x = [1, 2", "expected", ""),
        ('x = len("a"', "expected", ""),
        ("else { x = 1 }", "unexpected", "else"),
        ("x = [1,,2]", "unexpected", ","),
        ("x = ()", "unexpected", ")"),
        ("x = (1, 2)", "expected", ","),
        ("parallel { x = 1 }", "unexpected", "parallel"),
        ("call tools.x({})", "unexpected", "call"),
        ("x = start { y }", "unexpected", "start"),
        ("x = start call", "unexpected", "start"),
        ("x = start (a) { b }", "unexpected", "start"),
        ("trigger nightly on cron", "declarative_trigger_removed", "trigger"),
        ("break", "loop_control_outside_loop", "break"),
        ("if true { continue }", "loop_control_outside_loop", "continue"),
        ("wake 1", "process_control_outside_block", "wake"),
        ("fn f() { fail 1 }", "process_control_outside_block", "fail"),
        ("process p() { submit 1 }", "foreground_control_inside_process", "submit"),
        ("process p() { print 1 }", "foreground_control_inside_process", "print"),
        ("sleep(5)", "expected", "("),
        ("x = sleep", "expected", ""),
        ("type User { name: str }", "expected", "{"),
        ("process p(a) { finish a }", "expected", ")"),
        ("start p(1)", "expected", "1"),
        ("x = Type { a: str, a: int }", "expected", "a"),
        ("x = Type { a: enum[] }", "expected", "]"),
        ("x = Type { a: 5 }", "expected", "5"),
        ("type T = str[]", "unexpected", "["),
        ("type T = list", "expected", ""),
        ("type T = (str)", "expected", "("),
        ('@label(description: "d")\nx = 1', "invalid_label_annotation", '@label(description: "d")'),
        ('@label(title: "t", color: "r")\nx = 1', "invalid_label_annotation", "color"),
        ('@label(title: "t", title: "u")\nx = 1', "invalid_label_annotation", "title"),
        ('@label(title: "t")\ntype A = int', "invalid_label_target", "type"),
        ('@label(title: "t")\nfn f() { 1 }', "invalid_label_target", "fn"),
        ('@label(title: "t")\n@label(title: "u")\nx = 1', "invalid_label_target", "@"),
        ('if a { @label(title: "t")\nprocess p() {} }', "invalid_label_target", "process"),
        ("f()()", "unexpected", "("),
        ("1 = 2", "unexpected", "="),
        ("(a) = 2", "unexpected", "="),
        ("f() = 2", "unexpected", "="),
        ("a.b() = 2", "unexpected", "="),
        ("let 5 = 1", "expected", "5"),
        ("let x", "expected", ""),
        ("x = a ? b", "expected", ""),
        ("x = a? 1 : 2", "unexpected", ":"),
        ("wait_signal(5)", "expected", "wait_signal(5)"),
        ("signal_run(a)", "expected", "signal_run(a)"),
        ("signal run h { }", "expected", "{"),
        ("try { x }", "unexpected", "try"),
        ("return 1", "expected", "return"),
        ("len xs", "expected", "xs"),
        ("x = f'a'", "unexpected", "'a'"),
        ("a in in b", "unexpected", "in"),
        ("}", "unexpected", "}"),
        ("?", "unexpected", "?"),
        ("process () {}", "expected", "("),
        ("fn f", "expected", ""),
        ("process p() -> { finish }", "expected", "}"),
        ("@foo x", "expected", "foo"),
    ],
)
def test_error_has_its_code_and_place(source, code, culprit):
    first = found(source)[0]
    assert first == (code, culprit)


def test_error_is_the_first_finding():
    with pytest.raises(ParseError) as caught:
        parse("x = )\ny = ]")
    error, first = caught.value, caught.value.diagnostics[0]
    assert (error.code, error.line, error.column, error.span) == ("unexpected", 1, 5, (4, 5))
    assert (first.code, first.span) == (error.code, error.span)


def test_every_statement_reports_its_own_error():
    source = "a = )\nb = 1\nc = [1,,2]\nif x {\n  d = *\n  e = 1\n  break\n}\nprocess p() { print 1\n submit 2 }\nf ="
    assert [finding.line for finding in findings(source)] == [1, 3, 5, 7, 9, 10, 11]


def test_unclosed_bracket_does_not_hide_the_next_line():
    assert [finding.line for finding in findings("x = [1, 2\ny = )\nz = f(\nsubmit ]")] == [2, 2, 4, 4]


def test_unclosed_blocks_are_reported_once():
    assert [finding.code for finding in findings("if a { if b { while c {")] == ["expected"]


def test_unclosed_bracket_is_noted_where_it_was_opened():
    (finding,) = findings("xs = [1,\n 2")
    ((text, place),) = finding.related
    assert (text, place.line, place.column) == ("`[` opened here", 1, 6)


def test_lexical_error_silences_what_follows_from_it():
    assert [finding.code for finding in findings("x = `a`\ny = ]")] == ["unexpected_char"] * 2 + [
        "unexpected"
    ]
    assert [finding.code for finding in findings('if a {\n x = "open')] == ["unterminated_string"]


def test_errors_stop_at_twenty():
    assert len(findings("x = )\n" * 100)) == 20


def test_loop_and_process_do_not_leak_out_of_a_failed_statement():
    source = "for x in [1] { y = ) }\nbreak\nprocess p() { ) }\nwake 1"
    assert [finding.code for finding in findings(source)] == [
        "unexpected",
        "loop_control_outside_loop",
        "unexpected",
        "process_control_outside_block",
    ]
