"""Every builtin at its edges, and the coercions and operators under them; expectations from lashlang.md 2 and 6."""

from __future__ import annotations

from typing import Any

import pytest

from lashlang import run
from lashlang.corpus import same_json
from lashlang.machine.builtins import TABLE

GIVES: list[tuple[str, Any]] = [
    # text and numbers
    ("to_string(1e21)", "1000000000000000000000"),
    ("to_string(0.0000001)", "0.0000001"),
    ("to_string(-0)", "0"),
    ('join([-0], "")', "-0"),
    ("to_string(9223372036854775807)", "9223372036854775807"),
    ("9223372036854775807 + 1", 9223372036854775808),
    ("to_string(9223372036854775807 * 10)", "92233720368547760000"),
    ("9007199254740993 - 1", 9007199254740992),
    ("9007199254740993 * 2 / 2", 9007199254740993),
    ("1 / -0 < 0", True),
    ("to_string(1.5e300 * 1e300)", "inf"),
    ("-7 % 3", -1),
    ("7.5 % -2", 1.5),
    ("to_string(5 % 0)", "NaN"),
    ('to_string("nan" * 1)', "NaN"),
    ('"-Infinity" < 0', True),
    ('" 1_0 " == 10', False),
    ("true + null", 1),
    ('"" * 5', 0),
    ('"0x10" ?? 1', "0x10"),
    ("1 == 1.0", True),
    ("1 == true", False),
    ("[1, true] == [true, 1]", False),
    ('["a", 1.0] == ["a", 1]', True),
    ("{ a: 1, b: 2 } == { b: 2, a: 1 }", True),
    ("null ?? false ?? 1", False),
    ("(0 / 0) ? 1 : 2", 2),
    # len, empty, keys, values
    ('len("aé😀")', 3),
    ("len({})", 0),
    ("empty([null])", False),
    ('keys({ b: 1, a: 2, "": 3 })', ["b", "a", ""]),
    ("values({ b: [1], a: null })", [[1], None]),
    # contains, in, find
    ("contains({ a: null }, \"a\")", True),
    ("contains([0.5, [1]], [1.0])", True),
    ("contains([true], 1)", False),
    ('"b" in { b: null }', True),
    ("2 not in [1, 3]", True),
    ("1 in null", False),
    ('find("aXbX", "X", 2)', 3),
    ('find("abc", "", 3)', 3),
    ('find("abc", "c", "1")', 2),
    ('find("", "a")', None),
    # grep_text
    ('grep_text("a\\r\\nba\\n\\na", "a")', [
        {"line": 1, "text": "a", "match": "a", "start": 0, "end": 1},
        {"line": 2, "text": "ba", "match": "a", "start": 1, "end": 2},
        {"line": 4, "text": "a", "match": "a", "start": 0, "end": 1},
    ]),
    ('grep_text("", "a")', []),
    # affixes, split, join, trim
    ('starts_with("", "")', True),
    ('ends_with(12.5, ".5")', True),
    ('split(",a,", ",")', ["", "a", ""]),
    ('split("", "")', ["", ""]),
    ('split("é1", "")', ["", "é", "1", ""]),
    ('join([true, null, 1.50], 0)', "true0null01.5"),
    ('trim("\u2003\u00a0 x\u3000")', "x"),
    ('len(trim("\x1cx\x1f"))', 3),
    # slice, reverse
    ('slice("aé😀b", -3, -1)', "é😀"),
    ("slice([1, 2, 3], null, 2.0)", [1, 2]),
    ("slice([1, 2, 3], 5, null)", []),
    ('reverse("aé😀")', "😀éa"),
    ("reverse([])", []),
    # push, range, merge, remove, unique
    ("push([], [])", [[]]),
    ("range(3, 0, -2)", [3, 1]),
    ("range(2.0)", [0, 1]),
    ("range(-3)", []),
    ("merge({ a: 1, b: 2 }, { b: 3, c: 4 })", {"a": 1, "b": 3, "c": 4}),
    ("keys(merge({ a: 1, b: 2 }, { c: 0 }, { a: 9 }))", ["a", "b", "c"]),
    ('remove({ a: 1, b: 2 }, "a")', {"b": 2}),
    ('remove({ a: 1 }, "zz")', {"a": 1}),
    ("remove([1, 2, 3], -1)", [1, 2]),
    ("unique([1, 1.0, true, \"1\", [1], [1.0], null, null])", [1, True, "1", [1], None]),
    ("len(unique([0 / 0, 0 / 0]))", 2),
    # numbers
    ("ceil_div(-7, 2)", -3),
    ("floor_div(7, -2)", -4),
    ("floor_div(9223372036854775807, 1)", 9223372036854775807),
    ('to_int("-3.99")', -3),
    ("to_int(1e300) == 1e300", True),
    ('to_float("1E2")', 100),
    ("round(2.5)", 3),
    ("round(-2.5)", -3),
    ("round(2.345, 2)", 2.35),
    ("round(1234, -2)", 1200),
    ("abs(-9223372036854775807)", 9223372036854775807),
    ("sum([])", 0),
    ("sum([1, 2.5])", 3.5),
    ("min([3, 1, 2])", 1),
    ('max("a", "b")', "b"),
    # sort
    ("sort([3, 1.5, 2])", [1.5, 2, 3]),
    ('sort(["b", "a", "B"])', ["B", "a", "b"]),
    ('sort_by([{ k: { n: 2 }, i: 0 }, { k: { n: 1 }, i: 1 }, { k: { n: 2 }, i: 2 }], "k.n")', [
        {"k": {"n": 1}, "i": 1}, {"k": {"n": 2}, "i": 0}, {"k": {"n": 2}, "i": 2},
    ]),
    # replace, case
    ('replace("aaa", "aa", "b")', "ba"),
    ('replace(101, 1, "x")', "x0x"),
    ('upper("straße")', "STRASSE"),
    ('lower("ÀB")', "àb"),
    # JSON
    ('json_parse(" [1, 2.0, -0, 1e2, \\"\\\\u00e9\\"] ")', [1, 2, 0, 100, "é"]),
    ('keys(json_parse("{\\"b\\":1,\\"a\\":2,\\"b\\":3}"))', ["b", "a"]),
    ('json_parse("123456789012345678901")', 123456789012345680000),
    ('to_json("a\\"b")', '"a\\"b"'),
    ('to_json({ b: [1.0, 0 / 0], a: "é" })', '{"a":"é","b":[1,null]}'),
    # format
    ('format("{{{}}}{{}}", 1)', "{1}{}"),
    ('format("{1}{0}{1}", "a", [1])', "[1]a[1]"),
    ('format("{0}", { b: 1, a: null })', '{"a":null,"b":1}'),
    # try, unwrap
    ("try [1][0]", {"ok": True, "value": 1}),
    ("(try json_parse(\"{\")).ok", False),
    ("{ ok: true, value: null, extra: 1 }?", None),
]  # fmt: skip

FAILS: list[tuple[str, str, str]] = [
    ("len(1)", "type_error", "number"),
    ("empty(true)", "type_error", "bool"),
    ("keys([])", "type_error", "list"),
    ("values(1)", "type_error", "number"),
    ("contains(1, 1)", "type_error", "number"),
    ('contains("a", [])', "type_error", "list"),
    ("1 in 2", "type_error", "number"),
    ('1 in "a"', "type_error", "number"),
    ('find("a", "a", -1)', "type_error", "negative"),
    ('find("a", "a", 0.5)', "type_error", "0.5"),
    ('grep_text("a", "")', "value_error", "empty"),
    ("starts_with([], 1)", "type_error", "list"),
    ("ends_with({}, 1)", "type_error", "record"),
    ("split([], 1)", "type_error", "list"),
    ('join("ab", "")', "type_error", "string"),
    ('join(["a", {}], "")', "type_error", "item 1"),
    ("trim({})", "type_error", "record"),
    ("slice(null, 0, 1)", "type_error", "null"),
    ("slice([1], 0 / 0, 1)", "type_error", "NaN"),
    ("push(null, 1)", "type_error", "null"),
    ('range("3")', "type_error", "string"),
    ("range(0, 1000001)", "value_error", "1000001"),
    ("range(1, 2, 0)", "value_error", "step"),
    ("ceil_div(1, 0)", "value_error", "zero"),
    ("floor_div(1.5, 1)", "type_error", "1.5"),
    ('to_int("12px")', "type_error", "12px"),
    ("to_float([])", "type_error", "list"),
    ("round({})", "type_error", "record"),
    ("abs([])", "type_error", "list"),
    ('sum([1, "2"])', "type_error", "item 1"),
    ("min([])", "value_error", "empty"),
    ('max([1, "a"])', "type_error", "item 1"),
    ("sort([1, null])", "type_error", "item 1"),
    ("sort([0 / 0, 1])", "type_error", "NaN"),
    ('sort_by([{ a: 1 }, {}], "a")', "type_error", "item 1"),
    ("sort_by([], 1)", "type_error", "number"),
    ('replace("a", "", "b")', "value_error", "empty"),
    ("lower([])", "type_error", "list"),
    ("upper({})", "type_error", "record"),
    ("reverse(1)", "type_error", "number"),
    ("unique({})", "type_error", "record"),
    ("merge({}, [])", "type_error", "argument 2"),
    ("remove([1], 1)", "value_error", "outside"),
    ("remove(1, 1)", "type_error", "number"),
    ('json_parse("[1,]")', "value_error", "json_parse"),
    ('json_parse("NaN")', "value_error", "NaN"),
    ('json_parse("\\"\\\\ud800\\"")', "value_error", "surrogate"),
    ("json_parse([])", "type_error", "list"),
    ('format("{}")', "value_error", "argument"),
    ('format("{}", 1, 2)', "value_error", "argument 1"),
    ('format("{} {0}", 1)', "value_error", "mix"),
    ('format("{:>3}", 1)', "value_error", "{:>3}"),
    ('format("}", 1)', "value_error", "}"),
    ("format(1)", "type_error", "number"),
    ("validate(1, {})", "type_error", "record"),
    ('validate({ xs: [{ n: 1 }, { n: 1.5 }] }, Type { xs: list[{ n: int }] })', "value_error", "$.xs[1].n"),
    ('validate({ u: [] }, Type { u: str | null })', "value_error", "str or null"),
    ('validate({ e: "c" }, Type { e: enum["a", "b"] })', "value_error", '$.e'),
    ("validate({}, Type { a: any })", "value_error", "$.a: missing"),
    ("validate({ f: 0 / 0 }, Type { f: float })", "value_error", "$.f"),
    ("-[]", "type_error", "list"),
    ("[] < []", "type_error", "list"),
    ("{}[[]]", "type_error", "list"),
    ("[1][0.5]", "type_error", "0.5"),
    ("1?", "type_error", "?"),
    ("{ ok: false }?", "value_error", "unknown error"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "value"), GIVES, ids=[text for text, _ in GIVES])
def test_expression_gives(expression: str, value: Any) -> None:
    result = run(f"submit {expression}")
    assert result.error is None
    assert same_json(result.value, value), result.value


@pytest.mark.parametrize(("expression", "code", "part"), FAILS, ids=[text for text, *_ in FAILS])
def test_expression_fails(expression: str, code: str, part: str) -> None:
    result = run(f"submit {expression}")
    assert result.error is not None
    assert result.error.code == code
    assert part in result.error.message
    assert result.error.line == 1


def _called(rows: list[Any]) -> set[str]:
    return {name for name in TABLE for row in rows if f"{name}(" in row[0]}


def test_every_builtin_is_tried_for_results_and_for_errors() -> None:
    assert set(TABLE) - _called(GIVES) == {"validate"}
    assert set(TABLE) - _called(FAILS) == {"to_string", "to_json"}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_wrong_number_of_arguments_is_a_type_error_after_the_arguments_ran(name: str) -> None:
    _, least, most = TABLE[name]
    for count in {least - 1, most + 1} - {-1, 256}:
        args = ", ".join(["1"] * count)
        result = run(f"submit {name}({args})")
        assert result.error is not None
        assert result.error.code in ("type_error",)
        assert name in result.error.message
    result = run(f"submit {name}({', '.join(['nothing_here'] * (most + 1 if most < 9 else 1))})")
    assert result.error is not None
    assert result.error.code == "undefined_variable"


def test_optional_field_may_be_absent_but_not_null_and_extras_pass() -> None:
    source = "T = Type { a: int, b: str? }\n"
    source += "submit [try validate({ a: 2.0, c: 1 }, T), (try validate({ a: 1, b: null }, T)).ok]"
    assert run(source).value == [{"ok": True, "value": {"a": 2, "c": 1}}, False]
