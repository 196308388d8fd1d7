"""What linking puts in place of names, what it refuses, and in which order it says so."""

import pytest

from lashlang.check import HostSurface, SurfaceBuilder, called_paths, check
from lashlang.errors import LangError, LinkError
from lashlang.syntax import (
    Authority,
    HostValue,
    MethodCall,
    Name,
    OperationCall,
    ProcessValue,
    TriggerEvent,
    TypeLiteral,
    TypeRef,
    format_type,
    parse,
    walk,
    without_offsets,
)

ON = ["processes", "sleep", "process_signals", "triggers"]
SURFACE = HostSurface.from_host({"surface": "fixture", "tools": ["fetch"], "abilities": ON})


def linked(source, surface=SURFACE):
    return check(parse(source), surface)


def value(source):
    return without_offsets(linked(source).program).items[-1].value


def codes(source, surface=SURFACE):
    with pytest.raises(LinkError) as caught:
        linked(source, surface)
    return [finding.code for finding in caught.value.diagnostics]


def test_module_call_knows_its_host_operation():
    call = value("x = tools.fetch({})")
    assert isinstance(call, OperationCall)
    assert (call.receiver, call.operation) == (Authority("tools", "Tools"), "fetch")
    assert (call.resource_type, call.host_operation) == ("Tools", "fetch")


def test_call_on_a_typed_variable_leaves_the_instance_open():
    call = value("t = tools\nx = t.fetch({})")
    assert (call.receiver, call.resource_type, call.host_operation) == (Name("t"), "Tools", None)


def test_longest_path_names_the_module_and_the_rest_are_fields():
    program = linked("x = mail.work\ny = tools.zzz").program
    assert without_offsets(program).items[0].value == Authority("mail.work", "Mail")
    assert without_offsets(program).items[1].value.target == Authority("tools", "Tools")


def test_names_resolve_to_processes_types_and_constructors():
    source = 'type P = { n: int }\nprocess p() { finish 1 }\nx = [p, P, timer.Schedule({ expr: "x" })]'
    process, ty, made = value(source).items
    assert process == ProcessValue("p")
    assert isinstance(ty, TypeLiteral)
    assert format_type(ty.ty) == "{ n: int }"
    assert isinstance(made, HostValue)
    assert (made.constructor, made.type_name) == ("timer.Schedule", "timer.Schedule")


@pytest.mark.parametrize(
    "source", ["tools = 1\nx = tools", "for p in [1] { x = p }", "P = 1\nx = P", "x = [p for p in [1]]"]
)
def test_local_variable_hides_what_else_has_its_name(source):
    program = linked("type P = int\nprocess p() { finish 1 }\n" + source).program
    assert not any(isinstance(node, Authority | ProcessValue | TypeLiteral) for node in walk(program))


def test_names_inside_assignment_targets_are_linked():
    source = "x = {}\nx[await tools.fetch({})?] = 1"
    assert not any(isinstance(node, MethodCall) for node in walk(linked(source).program))


def test_type_literal_inlines_declared_types_and_leaves_variables():
    types = "type A = { n: int }\ntype B = A | null\nC = Type { c: str }\n"
    source = types + "x = Type { b: B, c: C, d: Unknown, t: timer.Tick }"
    ty = value(source).ty
    assert format_type(ty) == "{ b: { n: int } | null, c: C, d: Unknown, t: { fired_at: str } }"
    assert {node.name for node in walk(ty) if isinstance(node, TypeRef)} == {"C", "Unknown"}


def test_trigger_inputs_hold_the_placeholder():
    source = (
        'process run(e: timer.Tick, f: any) { finish e }\ns = timer.Schedule({ expr: "x" })\n'
        "x = triggers.register({ source: s, target: run, inputs: { e: trigger.event, f: trigger.event } })"
    )
    assert sum(isinstance(node, TriggerEvent) for node in walk(linked(source).program)) == 2


def test_unchanged_parts_are_shared_with_the_parsed_tree():
    program = parse("x = { a: [1, 2] }\ny = tools")
    found = check(program, SURFACE).program
    assert found.items[0] is program.items[0]
    assert found.items[1] is not program.items[1]


def test_declarations_speak_before_the_foreground():
    source = "submit nope()\nprocess p() { finish inner }\ntype T = Widget"
    assert codes(source) == ["unknown_type", "unknown_name", "unknown_builtin"]


def test_label_feature_speaks_first():
    assert codes('x = nope()\n@label(title: "t") y = 1') == ["feature_disabled", "unknown_builtin"]


def test_one_run_reports_everything_up_to_twenty():
    assert codes("x = a.b()\n" * 3) == ["unresolved_receiver"] * 3
    assert len(codes("x = a.b()\n" * 100)) == 20


@pytest.mark.parametrize(
    ("source", "ability"),
    [
        ("process p() { finish 1 }", "processes"),
        ("start p()", "processes"),
        ("sleep for 1", "sleep"),
        ('signal run "h" with 1', "process signals"),
        ("x = wait signal", "process signals"),
        ('await triggers.cancel({ handle: "h" })', "triggers"),
        ('@label(title: "t") x = 1', "label annotations"),
    ],
)
def test_ability_that_is_off_is_named(source, ability):
    with pytest.raises(LinkError) as caught:
        check(parse(source), HostSurface.from_host({"surface": "fixture"}))
    assert caught.value.code == "feature_disabled"
    assert caught.value.message.startswith(ability)


@pytest.mark.parametrize(
    "source",
    [
        "x = unknown.field",
        "x.y = 1",
        "print ghost",
        "process p() { if true { x = 1 }\n finish x }",
        "process p() { for i in [1] { x = i }\n finish x }",
        "process p() { finish later }\nprocess later() { finish 1 }",
        "h = start later(x: 1)\nprocess later(x: int) { finish x }",
        "process p() { h = start p()\n finish h }",
        "fn f(n) { n < 2 ? n : f(n - 1) + g(n) }\nfn g(n) { f(n) }",
        "fn f(a) { x = a\n for i in [1] { x = x + i }\n x }",
        "fn f(x) { validate(x, T) }\ntype T = { n: int }",
        "process p(a: any) -> int { finish a }",
        'process p(a: any) -> { ok: bool } { finish { ok: true, more: a } }',
        'x = timer.Schedule({ expr: unknown })',
        "process p() signals { a: int } { m = wait signal\n finish m }\nsignal run start p() with 1",
        'process p() { finish wait_signal("any") }\nsignal_run(start p(), "any", 1)',
        "x = await triggers.list()",
        "process p(t: Tools) { finish t.fetch({}) }\nprocess q(t: any) { h = start p(t: t)\n finish h }",
    ],
)  # fmt: skip
def test_program_links(source):
    linked(source)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("process p() { finish x }", ["unknown_name"]),
        ("process p() { finish [y for x in [1]] }", ["unknown_name"]),
        ("process p() { x = [y for y in [1]]\n finish y }", ["unknown_name"]),
        ("process p() { finish input }", ["unknown_name"]),
        ("fn f() { tools.fetch({}) }", ["impure_function"]),
        ("fn f() { await 1 }", ["impure_function"]),
        ("process p() { finish 1 }\nfn f() { start p() }", ["impure_function"]),
        ("fn f() { sleep for 1 }", ["impure_function"]),
        ("fn f() { submit 1 }", ["impure_function"]),
        ("fn f() { cancel 1 }", ["impure_function"]),
        ("fn f() { wait signal }", ["impure_function"]),
        ("fn f() { trigger.event }", ["trigger_event_outside_inputs"]),
        ("x = f()", ["unknown_builtin"]),
        ("process p() { finish 1 }\nx = p()", ["unknown_builtin"]),
        ("if false { nope() }", ["unknown_builtin"]),
        ("submit 1\nnope()", ["unknown_builtin"]),
        ("x = (await tools.fetch({})?).op()", ["unresolved_receiver"]),
        ("x = mail.op({})", ["unresolved_receiver"]),
        ("process p(t: timer.Schedule) { finish t.expr }", ["opaque_host_value_access"]),
        (
            "process p(a: int) { finish a }\nstart p(b: 1)",
            ["unexpected_process_argument", "missing_process_argument"],
        ),
        ("process p(t: Tools) { finish 1 }\nstart p(t: mail.work)", ["incompatible_process_argument"]),
        ("type T = A | B", ["unknown_type", "unknown_type"]),
        ("process p() signals { s: Nope } -> Gone { finish 1 }", ["unknown_type", "unknown_type"]),
        ("type A = int\ntype A = str", ["duplicate_declaration"]),
        ("x = timer.Schedule()", ["incompatible_constructor_input"]),
        ("x = timer.Schedule({}, {})", ["incompatible_constructor_input"]),
        ('x = await files.read({ path: c ? "a" : 5 })', ["incompatible_operation_input"]),
        ('x = await files.read("a", "b")', ["incompatible_operation_input"]),
        ("x = await triggers.list({ enabled: 5 })", ["incompatible_operation_input"]),
    ],
)
def test_program_does_not_link(source, found):
    assert codes(source) == found


def test_type_and_process_may_share_a_name():
    found = linked("type p = int\nprocess p() { finish 1 }")
    assert (list(found.types), list(found.processes)) == (["p"], ["p"])


def test_linked_program_finds_its_declarations():
    found = linked("process p() { finish tools }\nfn f(a) { a }".replace("finish tools", "finish 1"))
    assert found.process("p").name == "p"
    assert found.function("f").name == "f"
    assert found.process("q") is None
    assert found.function("g") is None


def test_resolver_is_asked_once_for_exactly_the_unknown_paths():
    asked = []

    def resolver(paths):
        asked.append(paths)
        builder = SurfaceBuilder()
        for path in paths:
            builder.operation(path, "go")
        return builder.build()

    source = "x = await tools.fetch({})?\ny = await far.away.go({})?\nz = await near.go({})?"
    found = check(parse(source), SURFACE, resolver=resolver)
    assert asked == [("far.away", "near")]
    assert set(found.requirements.modules) == {"tools", "far.away", "near"}


def test_resolver_is_not_asked_when_everything_is_known():
    def resolver(paths):
        raise AssertionError(paths)

    check(parse("x = await tools.fetch({})?"), SURFACE, resolver=resolver)


def test_resolver_that_contradicts_the_surface_is_refused():
    moved = SurfaceBuilder().operation("tools", "fetch", host_operation="elsewhere").build()
    with pytest.raises(LangError) as caught:
        check(parse("x = a.b()"), SURFACE, resolver=lambda paths: moved)
    assert caught.value.code == "surface_conflict"


def test_called_paths_are_those_of_the_text():
    assert called_paths(parse("a.b.c()\nprocess p() { x.y()\n z.f.g }")) == ("a.b", "x")
