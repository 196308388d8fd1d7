"""What the checker knows of types: of variables after a program, and of what processes and functions give."""

import pytest

from lashlang.check import HostSurface, check
from lashlang.syntax import format_type, parse

SURFACE = HostSurface.from_host(
    {
        "surface": "fixture",
        "tools": ["fetch"],
        "abilities": ["processes", "sleep", "process_signals", "triggers"],
    }
)


def linked(source):
    return check(parse(source), SURFACE)


def type_of(source, name="x"):
    return format_type(linked(source).globals[name])


@pytest.mark.parametrize(
    ("expression", "ty"),
    [
        ("1", "int"),
        ("1.0", "float"),
        ('"a"', "str"),
        ("true", "bool"),
        ("null", "null"),
        ("1 + 2", "int"),
        ("1 + 2.0", "float"),
        ("4 / 2", "float"),
        ("7 % 2", "int"),
        ("-1", "int"),
        ("-unknown", "any"),
        ('"a" + 1', "str"),
        ('unknown + "a"', "str"),
        ("unknown + 1", "any"),
        ('"3" * 2', "any"),
        ("[1] + [2.0]", "list[int | float]"),
        ("1 < 2", "bool"),
        ("1 in [1]", "bool"),
        ("not 1", "bool"),
        ("a and b", "bool"),
        ("null ?? 1", "any"),
        ('(c ? null : "a") ?? 1', "str | int"),
        ('c ? 1 : "a"', "int | str"),
        ("c ? 1 : unknown", "any"),
        ("[]", "list[any]"),
        ("[1, 2]", "list[int]"),
        ("[1, null]", "list[int | null]"),
        ("[n * 2 for n in [1, 2]]", "list[int]"),
        ("{ a: 1, b: [] }", "{ a: int, b: list[any] }"),
        ("{ a: 1 }.a", "int"),
        ('{ a: 1 }["a"]', "int"),
        ("[1][0]", "int"),
        ("unknown.a.b", "any"),
        ("Type { a: int }", "any"),
        ("len([])", "int"),
        ("range(3)", "list[int]"),
        ('split("a", "b")', "list[str]"),
        ('find("a", "b")', "int | null"),
        ("push([1], 2.5)", "list[int | float]"),
        ("sort([2, 1])", "list[int]"),
        ("sum([1, 2])", "int"),
        ("round(1.5)", "int"),
        ("round(1.55, 1)", "float"),
        ("abs(-2)", "int"),
        ("merge({ a: 1 }, { b: 2 })", "{ a: int, b: int }"),
        ('slice("abc", 0, 1)', "str"),
        ("json_parse(t)", "any"),
        ("tools", "Tools"),
        ("tools.fetch({})", "{ ok: bool, value: any?, error: any? }"),
        ("await tools.fetch({})?", "any"),
        ('await files.read({ path: "a" })', "{ ok: bool, value: str?, error: any? }"),
        ('await files.read({ path: "a" })?', "str"),
        ('(await files.read({ path: "a" }))?', "str"),
        ('files.stat({ path: "a" })?.size', "int"),
        ('(await [files.read({ path: "a" })])[0]?', "str"),
        ('(await { r: files.read({ path: "a" }) }).r?', "str"),
        ("try 1", "{ ok: bool, value: int?, error: any? }"),
        ("(try 1)?", "int"),
        ('timer.Schedule({ expr: "x" })', "timer.Schedule"),
        ("await triggers.list({})?", "list[dict]"),
        ('await triggers.cancel({ handle: "h" })?', "bool"),
    ],
)
def test_expression_has_type(expression, ty):
    assert type_of(f"x = {expression}") == ty


@pytest.mark.parametrize(
    ("source", "ty"),
    [
        ("x = 1\nif c { x = 2 }", "int"),
        ('x = 1\nif c { x = "a" }', "str | int"),
        ('if c { x = 1 } else { x = "a" }', "int | str"),
        ("if c { x = 1 }", "int"),
        ('x = 1\nif c { x = "a"\n submit x }', "int"),
        ("x = 1\nfor i in [1] { x = x + 1 }", "any"),
        ('x = 1\nwhile c { y = "a" }', "int"),
        ("for i in [1, 2] { x = i }", "int"),
        ("x = null\nif c { x = 1 }\nif x == null { submit 0 }", "int"),
        ("x = null\nif c { x = 1 }\nif x != null { y = x } else { submit 0 }", "int"),
        ("n = null\nif c { n = 1 }\nx = n == null ? 0 : n", "int"),
        ("n = null\nif c { n = 1 }\nx = n ? n : 0", "int"),
        ("n = null\nif c { n = 1 }\nx = n != null and n > 0 ? n : 0", "int"),
        ("x = {}\nx.a = 1\nx.b = [1]", "{ a: int, b: list[int] }"),
        ("x = { a: { b: 1 } }\nx.a.b = null", "{ a: { b: null } }"),
        ("x = [1]\nx[0] = null", "list[int | null]"),
        ('x = {}\nx["k"] = 1', "{ k: int }"),
        ("x = {}\nx[k] = 1", "dict"),
        ("x = unknown\nx.a = 1", "any"),
    ],
)
def test_variable_has_type_behind(source, ty):
    assert type_of(source) == ty


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("finish 1", "int"),
        ("x = 1", "null"),
        ("if a { finish 1 }", "int | null"),
        ('if a { finish 1 } else { finish "x" }', "int | str"),
        ('if a { fail 1 }\nfinish "x"', "str"),
        ("while true { finish 1 }", "int"),
        ("while true { if a { break }\n finish 1 }", "int | null"),
        ("for i in [1] { finish i }", "int | null"),
        ("fail 1", "any"),
        ("finish 1\nfinish null", "int"),
        ('finish await files.read({ path: "a" })?', "str"),
    ],
)
def test_process_gives(body, output):
    assert format_type(linked(f"process p(a: any) {{ {body} }}").processes["p"].output) == output


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("a", "any"),
        ("1", "int"),
        ("x = 1", "null"),
        ("", "null"),
        ('if a { 1 } else { "x" }', "int | str"),
        ("if a { 1 }", "int | null"),
        ("if a { 1 } else if b { 2 } else { 3 }", "int"),
        ("for i in [1] { i }", "null"),
    ],
)
def test_function_gives(body, output):
    assert format_type(linked(f"fn f(a, b) {{ {body} }}").functions["f"].output) == output


def test_handle_keeps_the_type_of_its_process():
    source = "process p() { finish 1 }\nh = start p()\nx = (await h)?\nxs = await [h, h]\ny = xs[0]?"
    assert type_of(source) == type_of(source, "y") == "int"


def test_declared_type_is_known_inside_and_out():
    source = 'type Row = { id: str }\nprocess p(r: Row) -> list[Row] { finish [{ id: r.id + "!" }] }\nh = start p(r: 1)'
    found = linked(source + "\nx = (await h)?[0].id")
    assert format_type(found.globals["x"]) == "str"


def test_recursive_type_is_compared_by_its_structure():
    source = """
type Tree = { value: int, kids: list[Tree] }
type Same = { value: int, kids: list[Same] }
process p(t: Tree) -> Same { finish t }
process q(t: Tree) -> Tree { finish { value: 1, kids: [{ value: 2, kids: [] }] } }
"""
    assert set(linked(source).processes) == {"p", "q"}


def test_type_of_a_growing_value_stays_small():
    source = "x = 1\n" + "x = { a: x, b: x }\n" * 200
    assert len(type_of(source)) < 5_000


def test_alias_that_means_nothing_is_any():
    linked("type A = B\ntype B = A\nprocess p(a: A) -> int { finish a }")
