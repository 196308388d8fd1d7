"""The lexer: what is a token, what value it has, what stands between tokens."""

import pytest

from lashlang.syntax.lexer import tokenize


def values(source):
    tokens = tokenize(source)
    assert tokens.findings == []
    return tokens.values[:-1]


def codes(source):
    return [finding.code for finding in tokenize(source).findings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("12.", 12.0),
        ("3.50", 3.5),
        ("1e3", 1000.0),
        ("2.5E-2", 0.025),
        ("1_000_000", 1_000_000),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", float(2**63)),
        ("0000000000000000000000001", 1),
    ],
)
def test_number_has_its_value_and_kind(text, value):
    (found,) = values(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["0x10", "1e", "12abc", "1__0", "1_", "1_.5", "1e400", "9" * 400])
def test_malformed_number_is_coded(text):
    assert codes(text) == ["invalid_number"]


def test_second_point_starts_a_new_token():
    assert tokenize("1.2.3").kinds == ["number", ".", "number", "eof"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a"', "a"),
        ("'it is \"so\"'", 'it is "so"'),
        (r'"tab\there\nquote\" back\\slash"', 'tab\there\nquote" back\\slash'),
        (r'"\d+\.\w"', "d+.w"),
        ('"one\ntwo"', "one\ntwo"),
        ('"""say "hi"\nnow"""', 'say "hi"\nnow'),
        ("'''it's'''", "it's"),
        (r'"""a\tb\\c"""', "a\tb\\c"),
        ('""""""', ""),
        (r'r"\d\n"', r"\d\n"),
        (r"R'\d'", r"\d"),
        ('r"""\\d\n"""', "\\d\n"),
        ("r'''a \"\"\"b\"\"\"'''", 'a """b"""'),
        (r'"\u0041\u00e9"', "Aé"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\\u0041"', r"\u0041"),
        ("'# // no comment'", "# // no comment"),
    ],
)
def test_string_has_its_value(text, value):
    assert values(text) == [value]


@pytest.mark.parametrize(
    "text", ['"abc', "'abc", '"""abc""', "r'''abc''", '"abc\\', 'r"abc\n"', '"""', "x = 'a\\'"]
)
def test_string_without_end_is_coded_at_its_opening(text):
    findings = tokenize(text).findings
    assert findings[0].code == "unterminated_string"


def test_unterminated_string_points_at_its_quotes():
    (finding,) = tokenize('ab = """x').findings
    assert finding.span == (5, 8)


@pytest.mark.parametrize("text", [r'"\u12"', r'"\uZZZZ"', r'"\ud83d"', r'"\ude00\ud83d"', r"'\u'"])
def test_bad_unicode_escape_is_coded(text):
    assert codes(text) == ["invalid_escape"]


@pytest.mark.parametrize("char", "&$`~^\\é\u200b\ufeff\x00“😀")
def test_character_outside_the_grammar_is_coded(char):
    finding = tokenize(f"x {char} y").findings[0]
    assert (finding.code, finding.span) == ("unexpected_char", (2, 3))


def test_lone_surrogate_in_the_source_is_coded_and_the_error_can_be_encoded():
    (finding,) = tokenize('x = "\ud800"').findings
    assert (finding.code, finding.span) == ("unexpected_char", (5, 6))
    assert finding.render().encode()


@pytest.mark.parametrize("blank", list("\t\x0b\x0c\r \x85\xa0\u1680\u2003\u2028\u205f\u3000"))
def test_unicode_white_space_separates(blank):
    assert tokenize(f"a{blank}b").values == ["a", "b", None]


def test_information_separator_is_no_white_space():
    assert codes("a\x1cb") == ["unexpected_char"]


def test_breaks_tell_line_ends_and_semicolons_but_not_those_in_comments():
    tokens = tokenize("a b\nc # ; d\ne; f /* g")
    assert tokens.breaks[:6] == [1, 0, 1, 1, 2, 0]


def test_comments_are_kept_with_their_marker_and_place():
    source = "x = 1 # one\r\n// two"
    comments = tokenize(source).comments
    assert [comment.text for comment in comments] == ["# one", "// two"]
    assert all(source[comment.start : comment.end] == comment.text for comment in comments)


def test_longest_operator_wins():
    source = "?? == != <= >= && || -> ? = ! < > + - * / % | :"
    assert tokenize(source).kinds[:-1] == source.split()


def test_so_many_errors_stop_the_scan():
    assert len(codes("~ " * 1000)) == 20
