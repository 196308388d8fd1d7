"""The printer's laws: it reads back as the same tree, it is a fixed point, and it keeps every comment."""

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lashlang.syntax import ast, format_program, parse, type_expr, without_offsets

ACTING = [
    "let",
    "while",
    "break",
    "continue",
    "yield",
    "wake",
    "finish",
    "fail",
    "type",
    "process",
    "trigger",
    "fn",
    "start",
    "wait",
    "signal",
    "Type",
    "try",
    "parallel",
]
RESERVED = [
    "if",
    "else",
    "for",
    "in",
    "await",
    "cancel",
    "submit",
    "print",
    "call",
    "and",
    "or",
    "not",
    "true",
    "false",
    "null",
]

letters = st.text(string.ascii_letters + "_", min_size=1, max_size=6).filter(
    lambda word: (
        word not in RESERVED
        and word not in ("sleep", "wait_signal", "signal_run", "f", "F", "b", "B", "u", "U", "r", "R")
    )
)
names = st.one_of(letters, st.sampled_from([word for word in ACTING if word != "try"]))
variables = st.builds(ast.Name, st.one_of(letters, st.sampled_from(ACTING)))
keys = st.one_of(names, st.sampled_from(RESERVED), st.text(max_size=4).filter(str.isprintable))
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        [
            "\\d+",
            'a\n"b"\nc',
            "r'x'",
            "'''\n\n",
            "\"\"\"\n\n'''",
            "\n",
            "line one which is long enough\nand two",
        ]
    ),
)
numbers = st.one_of(st.integers(0, 2**63 - 1), st.floats(0, allow_nan=False, allow_infinity=False))


def objects(inner):
    fields = st.builds(type_expr.TypeField, keys, inner, st.booleans())
    return st.lists(fields, max_size=3, unique_by=lambda field: field.name).map(type_expr.TypeObject)


def flat_union(options):
    flat = []
    for option in options:
        flat += option.options if isinstance(option, type_expr.TypeUnion) else (option,)
    return type_expr.TypeUnion(flat)


types = st.recursive(
    st.one_of(
        st.sampled_from(
            [type_expr.TypeStr(), type_expr.TypeInt(), type_expr.TypeFloat(), type_expr.TypeBool()]
        ),
        st.sampled_from([type_expr.TypeDict(), type_expr.TypeAny(), type_expr.TypeNull()]),
        st.builds(type_expr.TypeRef, st.sampled_from(["A", "pkg.B"])),
        st.builds(type_expr.TypeEnum, st.lists(texts.filter(str.isprintable), min_size=1, max_size=3)),
    ),
    lambda inner: st.one_of(
        st.builds(type_expr.TypeList, inner),
        st.builds(type_expr.TypeProcess, inner, inner),
        st.builds(type_expr.TypeTriggerHandle, inner),
        objects(inner),
        st.lists(inner, min_size=2, max_size=3).map(flat_union),
    ),
    max_leaves=5,
)


LEVELS = [
    ["??"],
    ["or"],
    ["and"],
    ["==", "!=", "<", "<=", ">", ">=", "in", "not in"],
    ["+", "-"],
    ["*", "/", "%"],
]


@st.composite
def chains(draw, inner):
    operands = tuple(draw(st.lists(inner, min_size=2, max_size=4)))
    level = draw(st.sampled_from(LEVELS))
    if level[0] in ("??", "or", "and"):
        return ast.Logic(level[0], operands)
    operators = draw(st.lists(st.sampled_from(level), min_size=len(operands) - 1, max_size=len(operands) - 1))
    return ast.Chain(operands, tuple(operators))


def tuples(inner, **bounds):
    return st.lists(inner, max_size=3, **bounds).map(tuple)


def composite_expressions(inner):
    entries = st.builds(ast.Entry, keys, inner)
    arguments = st.builds(ast.Argument, keys, inner)
    clauses = st.one_of(st.builds(ast.ForClause, names, inner), st.builds(ast.IfClause, inner))
    first = st.builds(ast.ForClause, names, inner)
    comprehension = st.builds(lambda head, rest: (head, *rest), first, tuples(clauses))
    called = st.one_of(letters, st.sampled_from(["start", "wait", "signal", "while", "type"]))
    return st.one_of(
        chains(inner),
        st.builds(ast.ListLiteral, tuples(inner)),
        st.builds(ast.RecordLiteral, tuples(entries)),
        st.builds(ast.Comprehension, inner, comprehension),
        st.builds(ast.Negate, inner),
        st.builds(ast.Not, inner),
        st.builds(ast.Await, inner),
        st.builds(ast.Try, inner),
        st.builds(ast.Ternary, inner, inner, inner),
        st.builds(ast.Field, inner, keys),
        st.builds(ast.Index, inner, inner),
        st.builds(ast.Unwrap, inner),
        st.builds(ast.Call, called, tuples(inner)),
        st.builds(ast.MethodCall, inner, keys, tuples(inner)),
        st.builds(ast.Start, names, tuples(arguments)),
        st.builds(ast.Sleep, st.sampled_from(["for", "until"]), inner),
        st.builds(ast.SignalRun, inner, inner, st.one_of(st.none(), texts)),
    )


expressions = st.recursive(
    st.one_of(
        variables,
        st.just(ast.Null()),
        st.builds(ast.Bool, st.booleans()),
        st.builds(ast.Number, numbers),
        st.builds(ast.Text, texts),
        st.builds(ast.WaitSignal, st.one_of(st.none(), texts)),
        st.builds(ast.TypeLiteral, objects(types)),
    ),
    composite_expressions,
    max_leaves=10,
)
steps = st.one_of(st.builds(ast.FieldStep, keys), st.builds(ast.IndexStep, expressions))
targets = st.builds(ast.Target, st.one_of(letters, st.sampled_from(ACTING)), tuples(steps))
labels = st.builds(ast.Label, texts, st.one_of(st.none(), texts))


def simple_statements(place):
    kinds = [
        st.builds(ast.Assign, targets, expressions, st.booleans()),
        st.builds(ast.Evaluate, expressions),
        st.builds(ast.Cancel, expressions),
        st.builds(ast.Finish, st.one_of(st.none(), expressions)),
    ]
    if place == "process":
        kinds += [st.builds(node, expressions) for node in (ast.Yield, ast.Wake, ast.Fail)]
    else:
        kinds += [
            st.builds(ast.Print, expressions),
            st.builds(ast.Finish, st.one_of(st.none(), expressions), st.just("submit")),
        ]
    return st.one_of(kinds)


def blocks(inner):
    return st.builds(ast.Block, tuples(inner))


def compound_statements(inner):
    loop = st.one_of(inner, st.just(ast.Break()), st.just(ast.Continue()))
    arms = st.lists(st.builds(ast.Arm, expressions, blocks(inner)), min_size=1, max_size=3).map(tuple)
    plain = st.one_of(
        st.builds(ast.If, arms, st.one_of(st.none(), blocks(inner))),
        st.builds(ast.For, names, expressions, blocks(loop)),
        st.builds(ast.While, expressions, blocks(loop)),
    )
    return st.one_of(plain, st.builds(ast.Labelled, labels, plain))


def statements(place):
    return st.recursive(simple_statements(place), compound_statements, max_leaves=6)


params = st.lists(st.builds(ast.Param, names, types), max_size=3).map(tuple)
loose_params = st.lists(st.builds(ast.Param, names, st.one_of(st.none(), types)), max_size=3).map(tuple)
signals = objects(types).map(
    lambda made: tuple(ast.SignalDecl(field.name, field.ty) for field in made.fields)
)
declarations = st.one_of(
    st.builds(ast.TypeDecl, names, types),
    st.builds(
        ast.ProcessDecl,
        names,
        params,
        blocks(statements("process")),
        st.one_of(st.none(), types),
        st.one_of(st.none(), signals),
        st.one_of(st.none(), labels),
    ),
    st.builds(ast.FnDecl, names, loose_params, blocks(statements("fn")), st.one_of(st.none(), types)),
)
programs = st.lists(st.one_of(declarations, statements("main")), max_size=4).map(
    lambda items: ast.Program(tuple(items))
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs)
def test_printed_tree_reads_back_as_itself_and_prints_the_same(program):
    text = format_program(program)
    again = parse(text)
    assert without_offsets(again) == program
    assert format_program(again) == text


CANONICAL = '''\
# what this does
type Row = { id: str, score: float? }

@label(title: "Score", description: "one row")
process score(row: any, boost: float) -> dict | null signals { stop: bool } {
  # look it up first
  r = await tools.rank({ id: row.id })  # may fail

  base = r.ok ? r.value : 0
  if base == 0 {
    fail "no rank"
  } else if base not in [1, 2] {
    # odd
  } else {
    yield -base * (boost + 1)
  }
  finish { id: row.id, score: base + boost }
}

fn clamp(x, low: int, high: int) -> int {
  x < low ? low : x > high ? high : x
}

jobs = [start score(row: r, boost: 0.5) for r in rows if r.ok or not empty(r)]
out = (await jobs)[0]?
out.names["first one"][0] = try json_parse(raw) ?? null
text = r"""several
lines \\d
"""
submit {
  every: "field of this record is long enough",
  to: "need a line",
  of: "its own",
  by: clamp(1, 2, 3),
}
# the end
'''


def test_canonical_text_is_a_fixed_point():
    assert format_program(parse(CANONICAL)) == CANONICAL


@pytest.mark.parametrize(
    ("source", "canonical"),
    [
        ("x=1;y=2", "x = 1\ny = 2\n"),
        ("x = a&&b||!c", "x = a and b or not c\n"),
        ("x = ((a))", "x = a\n"),
        ("x = (a + b) + c", "x = (a + b) + c\n"),
        ("x = a?b:c", "x = a ? b : c\n"),
        ("x = ((a?)?)?", "x = ((a?)?)?\n"),
        ("x = 'it'", 'x = "it"\n'),
        ("x = 1.50", "x = 1.5\n"),
        ("x = 1e3", "x = 1000.0\n"),
        ("x = 1e30", "x = 1e+30\n"),
        ('type T = string | "a" | enum["b"] | integer', 'type T = str | "a" | "b" | int\n'),
        ("if a {x=1} else {}", "if a {\n  x = 1\n} else {}\n"),
        ("a = 1\n\n\n\nb = 2", "a = 1\n\nb = 2\n"),
        ("process p() {} a = 1", "process p() {}\n\na = 1\n"),
        ("(while)", "(while)\n"),
        ("(return)", "(return)\n"),
        ("if (start) {}", "if (start) {}\n"),
        ("finish", "finish\n"),
        ("", ""),
    ],
)
def test_source_prints_as(source, canonical):
    assert format_program(parse(source)) == canonical
    assert format_program(parse(canonical)) == canonical


def test_comment_inside_an_expression_moves_above_its_statement():
    source = "x = [ # first\n  1, // one\n  2\n]\ny = 1"
    assert format_program(parse(source)) == "# first\n// one\nx = [1, 2]\ny = 1\n"


def test_comments_stay_in_their_blocks():
    source = "if a { # in a\n} else {\n# in else\n} # behind\nwhile b {\n  # only\n}"
    expected = "if a {\n  # in a\n} else {\n  # in else\n}  # behind\nwhile b {\n  # only\n}\n"
    assert format_program(parse(source)) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, len(CANONICAL)), max_size=6))
def test_every_comment_survives_wherever_it_stands(places):
    lines = CANONICAL.split("\n")
    for number, place in enumerate(places):
        at = place % len(lines)
        if not lines[at].startswith(("lines", '"""')) and "several" not in lines[at]:
            lines[at] += f"  # note {number}"
    source = "\n".join(lines)
    program = parse(source)
    text = format_program(program)
    again = parse(text)
    assert sorted(c.text for c in again.comments) == sorted(c.text.rstrip() for c in program.comments)
    assert without_offsets(again) == without_offsets(program)
    assert format_program(again) == text
