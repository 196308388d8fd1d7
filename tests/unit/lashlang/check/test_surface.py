"""Host surfaces: how they are built, what they refuse, and what a program needs of one."""

import pickle

import pytest

from lashlang.check import HostSurface, ModuleInstance, OperationType, SurfaceBuilder, authority_type, check
from lashlang.errors import LangError
from lashlang.syntax import TypeAny, TypeInt, TypeStr, object_type, parse

TICK = object_type([("fired_at", TypeStr())])
EVERYTHING = HostSurface.from_host(
    {
        "surface": "fixture",
        "tools": {"fetch": {"ok": 1}, "inbox.work.send": {"ok": 1}},
        "abilities": ["processes", "sleep", "process_signals", "triggers", "label_annotations"],
    }
)


def test_tool_names_become_modules():
    surface = HostSurface.from_host({"tools": ["b", "a", "mail.work.send"]})
    assert surface.modules == {
        "mail.work": ModuleInstance("mail.work", "Mail", {"send": "mail.work.send"}),
        "tools": ModuleInstance("tools", "Tools", {"a": "a", "b": "b"}),
    }
    assert list(surface.modules["tools"].operations) == ["a", "b"]
    assert surface.resource_types["Mail"] == {"send": OperationType(TypeAny(), TypeAny())}


def test_no_host_offers_nothing():
    assert HostSurface.from_host(None) == HostSurface.from_host({}) == HostSurface()


def test_fixture_has_typed_operations_that_tools_do_not_change():
    surface = HostSurface.from_host(
        {"surface": "fixture", "tools": {"files.read": {"ok": ""}, "files.write": {}}}
    )
    assert surface.resource_types["Files"]["read"].output == TypeStr()
    assert surface.modules["files"].operations["write"] == "files.write"
    assert surface.data_types == {"timer.Tick": TICK}
    assert surface.trigger_sources == {"timer.Schedule": "timer.Tick"}
    assert surface.is_opaque("timer.Schedule")
    assert not surface.is_opaque("timer.Tick")


@pytest.mark.parametrize(
    "host", [{"surface": "other"}, {"abilities": ["fly"]}, {"tools": "fetch"}, {"tools": 5}]
)
def test_malformed_host_is_refused(host):
    with pytest.raises(LangError) as caught:
        HostSurface.from_host(host)
    assert caught.value.code == "surface_conflict"


@pytest.mark.parametrize(
    "build",
    [
        lambda b: b.operation("m", "op", resource_type="A").operation("m", "other", resource_type="B"),
        lambda b: b.operation("m", "op").operation("m", "op", host_operation="elsewhere"),
        lambda b: b.operation("m.a", "op").operation("m.b", "op", input_type=TypeInt()),
        lambda b: b.data_type("a.B", TICK).data_type("a.B", object_type([])),
        lambda b: b.data_type("Tick", TICK),
        lambda b: b.constructor("a.B", TypeInt()).constructor("a.B", TypeStr()),
        lambda b: b.trigger_source("a.B", TypeInt(), "a.E", TICK).trigger_source(
            "a.B", TypeInt(), "a.F", TICK
        ),
    ],
)
def test_builder_refuses_a_contradiction(build):
    with pytest.raises(LangError) as caught:
        build(SurfaceBuilder())
    assert caught.value.code == "surface_conflict"


def test_builder_takes_the_same_thing_twice():
    builder = SurfaceBuilder().operation("m", "op").operation("m", "op").ability("sleep", "sleep")
    assert builder.build() == SurfaceBuilder().ability("sleep").operation("m", "op").build()


def test_merge_has_both_and_refuses_a_contradiction():
    left, right = SurfaceBuilder().tool("a").build(), SurfaceBuilder().tool("b").ability("sleep").build()
    assert left.merge(right) == SurfaceBuilder().tool("b").tool("a").ability("sleep").build()
    assert EVERYTHING.merge(EVERYTHING) == EVERYTHING
    with pytest.raises(LangError):
        left.merge(SurfaceBuilder().operation("tools", "a", host_operation="z").build())


@pytest.mark.parametrize(
    ("path", "name"), [("mail.work", "Mail"), ("tools", "Tools"), ("web_search.x", "WebSearch"), ("aB", "AB")]
)
def test_authority_type_is_the_first_segment_in_camel_case(path, name):
    assert authority_type(path) == name


def needs(source):
    return check(parse(source), EVERYTHING).requirements


def test_program_needs_only_what_it_uses():
    found = needs('r = await files.read({ path: "a" })?\nsleep for 1')
    assert found.abilities == ("sleep",)
    assert found.modules == {"files": ModuleInstance("files", "Files", {"read": "files.read"})}
    assert list(found.resource_types["Files"]) == ["read"]
    assert (found.constructors, found.data_types, found.trigger_sources, found.features) == ({}, {}, {}, ())


def test_bare_authority_needs_its_module_and_typed_parameter_its_type():
    assert needs("x = tools").modules == {"tools": ModuleInstance("tools", "Tools", {})}
    found = needs('process p(m: Mail) { finish m.send({ to: "a", body: "b" }) }')
    assert found.modules == {}
    assert list(found.resource_types["Mail"]) == ["send"]


def test_trigger_registration_needs_source_constructor_and_event():
    found = needs(
        'process run(e: timer.Tick) { finish e.fired_at }\nsource = timer.Schedule({ expr: "x" })\n'
        "await triggers.register({ source: source, target: run, inputs: { e: trigger.event } })?"
    )
    assert list(found.constructors) == list(found.trigger_sources) == ["timer.Schedule"]
    assert list(found.data_types) == ["timer.Tick"]
    assert found.abilities == ("processes", "triggers")


def test_equal_programs_need_equally_whatever_else_the_host_offers():
    source = "x = await tools.fetch({})?"
    small = HostSurface.from_host({"tools": ["fetch"]})
    assert check(parse(source), small).requirements == needs(source)


@pytest.mark.parametrize(
    ("source", "lack"),
    [
        ("x = await tools.fetch({})?", "there is no module `tools`"),
        ("process p(m: Mail) { finish 1 }", "there is no authority type `Mail`"),
        ("sleep for 1", "ability `sleep` is off"),
        ('@label(title: "t") x = 1', "feature `label_annotations` is off"),
        ('x = timer.Schedule({ expr: "x" })', "constructor `timer.Schedule` is missing or different"),
        ("process p(t: timer.Tick) { finish 1 }", "data type `timer.Tick` is missing or different"),
    ],
)
def test_missing_need_is_named(source, lack):
    found = needs(source)
    assert found.satisfied_by(EVERYTHING)
    assert lack in found.missing_from(HostSurface())
    assert not found.satisfied_by(HostSurface())


def test_operation_that_leads_elsewhere_does_not_satisfy():
    found = check(parse("x = await m.op({})?"), SurfaceBuilder().operation("m", "op").build()).requirements
    moved = SurfaceBuilder().operation("m", "op", host_operation="other").build()
    retyped = SurfaceBuilder().operation("m", "op", input_type=TypeInt()).build()
    renamed = SurfaceBuilder().operation("m", "op", resource_type="Other").build()
    assert found.missing_from(moved) == ("operation `m.op` is missing or leads elsewhere",)
    assert found.missing_from(retyped) == ("operation `op` of `M` is missing or has other types",)
    assert "module `m` is a Other, not a M" in found.missing_from(renamed)


def test_surface_and_requirements_survive_pickle():
    assert pickle.loads(pickle.dumps(EVERYTHING)) == EVERYTHING
    found = needs("x = await tools.fetch({})?")
    assert pickle.loads(pickle.dumps(found)) == found
