"""The parser: every production against a tree written by hand."""

import pytest

from lashlang.syntax import (
    Argument,
    Arm,
    Assign,
    Await,
    Block,
    Bool,
    Break,
    Call,
    Cancel,
    Chain,
    Comprehension,
    Continue,
    Entry,
    Evaluate,
    Fail,
    Field,
    FieldStep,
    Finish,
    FnDecl,
    For,
    ForClause,
    If,
    IfClause,
    Index,
    IndexStep,
    Label,
    Labelled,
    ListLiteral,
    Logic,
    MethodCall,
    Name,
    Negate,
    Not,
    Null,
    Number,
    Param,
    Print,
    ProcessDecl,
    RecordLiteral,
    SignalDecl,
    SignalRun,
    Sleep,
    Start,
    Target,
    Ternary,
    Text,
    Try,
    TypeAny,
    TypeBool,
    TypeDecl,
    TypeDict,
    TypeEnum,
    TypeField,
    TypeFloat,
    TypeInt,
    TypeList,
    TypeLiteral,
    TypeNull,
    TypeObject,
    TypeProcess,
    TypeRef,
    TypeStr,
    TypeTriggerHandle,
    TypeUnion,
    Unwrap,
    WaitSignal,
    Wake,
    While,
    Yield,
    parse,
    without_offsets,
)

A, B, C, D = (Name(name) for name in "abcd")
ONE, TWO, THREE = Number(1), Number(2), Number(3)


def items(source):
    return without_offsets(parse(source)).items


def expression(source):
    (statement,) = items(f"({source})")
    return statement.value


def type_of(source):
    (decl,) = items(f"type T = {source}")
    return decl.ty


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("null", Null()),
        ("true", Bool(True)),
        ("12", Number(12)),
        ("'x'", Text("x")),
        ("a", A),
        ("[a, 1,]", ListLiteral((A, ONE))),
        ("[]", ListLiteral(())),
        (
            '{ a: 1, "b c": 2, if: 3, }',
            RecordLiteral((Entry("a", ONE), Entry("b c", TWO), Entry("if", THREE))),
        ),
        ("[a for a in b]", Comprehension(A, (ForClause("a", B),))),
        (
            "[a for b in c if d for a in b]",
            Comprehension(A, (ForClause("b", C), IfClause(D), ForClause("a", B))),
        ),
        ("-a.b", Negate(Field(A, "b"))),
        ("not a == b", Chain((Not(A), B), ("==",))),
        ("!a", Not(A)),
        ("await a.b()?", Await(Unwrap(MethodCall(A, "b", ())))),
        ("(await a)?", Unwrap(Await(A))),
        ("try a + b", Try(Chain((A, B), ("+",)))),
        ("a + b - c", Chain((A, B, C), ("+", "-"))),
        ("a + b * c", Chain((A, Chain((B, C), ("*",))), ("+",))),
        ("(a + b) * c", Chain((Chain((A, B), ("+",)), C), ("*",))),
        ("(a + b) + c", Chain((Chain((A, B), ("+",)), C), ("+",))),
        ("a < b < c", Chain((A, B, C), ("<", "<"))),
        ("a in b", Chain((A, B), ("in",))),
        ("a not in b == c", Chain((A, B, C), ("not in", "=="))),
        ("a or b && c || d", Logic("or", (A, Logic("and", (B, C)), D))),
        ("a ?? b or c ?? d", Logic("??", (A, Logic("or", (B, C)), D))),
        ("a ? b : c ? d : a", Ternary(A, B, Ternary(C, D, A))),
        ("a ? b ? c : d : a", Ternary(A, Ternary(B, C, D), A)),
        ("a?b:c", Ternary(A, B, C)),
        ("a? ? b? : c", Ternary(Unwrap(A), Unwrap(B), C)),
        ("a?.b?[c]", Index(Unwrap(Field(Unwrap(A), "b")), C)),
        ('a.if."x y"', Field(Field(A, "if"), "x y")),
        ("f()", Call("f", ())),
        ("f (a, b,)", Call("f", (A, B))),
        ("a.b.c(d)", MethodCall(Field(A, "b"), "c", (D,))),
        ("start a(b: c, if: d)", Start("a", (Argument("b", C), Argument("if", D)))),
        ("sleep for a ? b : c", Sleep("for", Ternary(A, B, C))),
        ("sleep until a", Sleep("until", A)),
        ("wait signal", WaitSignal()),
        ('wait_signal("go")', WaitSignal("go")),
        ("signal run a with b", SignalRun(A, B)),
        ('signal_run(a, "go", b)', SignalRun(A, B, "go")),
        ("Type { a: str }", TypeLiteral(TypeObject((TypeField("a", TypeStr()),)))),
        ("start", Name("start")),
        (
            "[wait, signal, Type, parallel, try]",
            ListLiteral(tuple(map(Name, ["wait", "signal", "Type", "parallel", "try"]))),
        ),
    ],
)
def test_expression_reads_as(source, tree):
    assert expression(source) == tree


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("str", TypeStr()),
        ("string", TypeStr()),
        ("int", TypeInt()),
        ("integer", TypeInt()),
        ("float", TypeFloat()),
        ("number", TypeFloat()),
        ("bool", TypeBool()),
        ("boolean", TypeBool()),
        ("dict", TypeDict()),
        ("object", TypeDict()),
        ("any", TypeAny()),
        ("null", TypeNull()),
        ('"a"', TypeEnum(("a",))),
        ('enum["a", "b"]', TypeEnum(("a", "b"))),
        ("list[str | null]", TypeList(TypeUnion((TypeStr(), TypeNull())))),
        (
            "{ a: int?, if: b.C }",
            TypeObject((TypeField("a", TypeInt(), True), TypeField("if", TypeRef("b.C")))),
        ),
        ("Type {}", TypeObject(())),
        ("Process<str, int>", TypeProcess(TypeStr(), TypeInt())),
        ("TriggerHandle<A>", TypeTriggerHandle(TypeRef("A"))),
    ],
)
def test_type_reads_as(source, tree):
    assert type_of(source) == tree


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("x = 1", Assign(Target("x"), ONE)),
        ("let x = 1", Assign(Target("x"), ONE, let=True)),
        ('x.a[b]."c" = 1', Assign(Target("x", (FieldStep("a"), IndexStep(B), FieldStep("c"))), ONE)),
        ("while = 1", Assign(Target("while"), ONE)),
        ("type.x = 1", Assign(Target("type", (FieldStep("x"),)), ONE)),
        ("process[0] = 1", Assign(Target("process", (IndexStep(Number(0)),)), ONE)),
        ("sleep = 1", Assign(Target("sleep"), ONE)),
        ("try[0] = 1", Assign(Target("try", (IndexStep(Number(0)),)), ONE)),
        ("a", Evaluate(A)),
        ("{ a: 1 }", Evaluate(RecordLiteral((Entry("a", ONE),)))),
        ("if a {}", If((Arm(A, Block(())),))),
        (
            "if a { b } else if c { d } else { 1 }",
            If(
                (Arm(A, Block((Evaluate(B),))), Arm(C, Block((Evaluate(D),)))),
                Block((Evaluate(ONE),)),
            ),
        ),
        ("for a in b { break continue }", For("a", B, Block((Break(), Continue())))),
        ("while a { b }", While(A, Block((Evaluate(B),)))),
        ("print a", Print(A)),
        ("cancel a", Cancel(A)),
        ("submit a", Finish(A, "submit")),
        ("submit", Finish(None, "submit")),
        ("finish a", Finish(A)),
        ('@label(title: "t", description: "d",) x = 1', Labelled(Label("t", "d"), Assign(Target("x"), ONE))),
        ("type T = int", TypeDecl("T", TypeInt())),
        ("process p() {}", ProcessDecl("p", (), Block(()))),
        (
            '@label(title: "t") process p(a: int, b: any,) signals { s: bool } -> str { yield a wake a fail a finish }',
            ProcessDecl(
                "p",
                (Param("a", TypeInt()), Param("b", TypeAny())),
                Block((Yield(A), Wake(A), Fail(A), Finish())),
                TypeStr(),
                (SignalDecl("s", TypeBool()),),
                Label("t"),
            ),
        ),
        (
            "fn f(a, b: int) -> int { a }",
            FnDecl("f", (Param("a"), Param("b", TypeInt())), Block((Evaluate(A),)), TypeInt()),
        ),
    ],
)
def test_item_reads_as(source, tree):
    (item,) = items(source)
    assert item == tree


def test_offsets_cover_exactly_the_text_of_a_node():
    source = "x = (a + b).c[0]"
    value = parse(source).items[0].value
    assert source[value.start : value.end] == "(a + b).c[0]"
    assert source[value.target.start : value.target.end] == "(a + b).c"
    chain = value.target.target
    assert source[chain.start : chain.end] == "a + b"


def test_program_keeps_order_of_declarations_and_statements():
    program = parse("a = 1\ntype T = int\nb = 2\nprocess p() {}")
    assert [type(item).__name__ for item in program.items] == ["Assign", "TypeDecl", "Assign", "ProcessDecl"]
    assert len(program.declarations) == len(program.main) == 2


def test_contextual_words_are_variables_where_they_do_not_act():
    source = (
        "while = 1\nfinish = 2\nbreak = 3\nlet = 4\ntype = 5\nprocess = 6\nfn = 7\nsubmit [while, finish, fn]"
    )
    assert len(items(source)) == 8


def test_declaring_words_are_variables_inside_a_block():
    (outer,) = items("if a { process\ntype }")
    assert outer.arms[0].body.statements == (Evaluate(Name("process")), Evaluate(Name("type")))
