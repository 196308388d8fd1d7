"""Large and twisted programs: linking ends, in time that grows with the program."""

import pytest

from lashlang.check import HostSurface, check, lint
from lashlang.errors import LinkError
from lashlang.syntax import parse

SURFACE = HostSurface.from_host({"tools": ["fetch"], "abilities": ["processes"]})

PROGRAMS = {
    "many statements": "x = 1\n" * 20_000,
    "many names": "\n".join(f"v{n} = {n}" for n in range(20_000)),
    "many branches": "\n".join(f"if a {{ v{n} = 1 }}" for n in range(10_000)),
    "deep blocks": "if a {" * 60 + "x = 1" + "}" * 60,
    "deep loops": "while a {" * 60 + "x = x + 1" + "}" * 60,
    "wide list": "x = [" + ",".join("{ a: 1 }" for _ in range(20_000)) + "]",
    "wide record": "x = {" + ",".join(f"k{n}: {n}" for n in range(20_000)) + "}",
    "doubling type": "x = 1\n" + "x = { a: x, b: x }\n" * 500,
    "growing record": "x = {}\n" + "\n".join(f"x.f{n} = {n}" for n in range(2_000)),
    "nesting list": "x = []\n" + "x = [x]\n" * 2_000,
    "chain": "x = " + " + ".join(["a"] * 2_000),
    "logic": "x = " + " and ".join(["a != null"] * 900),
    "aliases": "\n".join(f"type T{n} = {{ a: T{n + 1}, b: T{n + 1} }}" for n in range(200))
    + "\ntype T200 = int",
    "alias ring": "\n".join(f"type T{n} = T{(n + 1) % 500}" for n in range(500)),
    "many processes": "\n".join(
        f"process p{n}() {{ h = start p{(n * 7) % 2000}() finish h }}" for n in range(2_000)
    ),
    "many functions": "\n".join(f"fn f{n}(a) {{ f{(n * 7) % 2000}(a) }}" for n in range(2_000)),
    "unions": "x = null\n" + "\n".join(f"if a {{ x = {{ f{n}: 1 }} }}" for n in range(500)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_links_and_is_linted(name):
    assert lint(check(parse(PROGRAMS[name]), SURFACE)) is not None


def test_exponential_type_value_is_refused():
    source = PROGRAMS["aliases"] + "\nx = T0"
    with pytest.raises(LinkError) as caught:
        check(parse(source), SURFACE)
    assert caught.value.code == "recursive_type_value"


def test_exponential_types_can_be_compared():
    source = (
        PROGRAMS["aliases"] + "\nprocess p(a: T0) -> T0 { finish a }\nprocess q(a: T0) -> T1 { finish a }"
    )
    assert set(check(parse(source), SURFACE).processes) == {"p", "q"}


def test_difference_behind_a_few_names_is_found():
    aliases = "".join(f"type T{n} = {{ a: T{n + 1}, b: T{n + 1} }}\n" for n in range(20))
    with pytest.raises(LinkError) as caught:
        check(parse(aliases + "type T20 = int\nprocess p(a: T0) -> T1 { finish a }"), SURFACE)
    assert caught.value.code == "incompatible_process_return"


def test_thousands_of_unknown_names_are_cut_off():
    source = "process p() {" + "\n".join(f"x{n} = missing{n}" for n in range(5_000)) + "}"
    with pytest.raises(LinkError) as caught:
        check(parse(source), SURFACE)
    assert len(caught.value.diagnostics) == 20
