"""Law: generated code, the plain interpreter, and a run that is turned into bytes at every effect tell one story.

Values, errors with their places, prints, effects in order, variables, fuel and the memory meter are all compared.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.lashlang.machine.engines import Pool, Story, compiled, direct, elsewhere, oracle, parked
from tests.unit.lashlang.machine.programs import HOST, Maker

from lashlang import LangError
from lashlang.machine.code import Code
from lashlang.machine.meter import Limits


@pytest.fixture(autouse=True)
def _room_for_the_plain_interpreter() -> Iterator[None]:
    """It nests one Python call per node, where generated code nests one per function call."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(before)


def _made(random: Random) -> tuple[Code, Limits] | None:
    source = Maker(random).program()
    fuel = random.choice([100_000, 100_000, 100_000, random.randint(5, 300)])
    memory = random.choice([2**26, 2**26, random.randint(1_000, 20_000), random.randint(600, 2_500)])
    try:
        return compiled(source, HOST), Limits(fuel=fuel, memory_bytes=memory)
    except LangError:
        return None


def _agree(code: Code, limits: Limits) -> Story:
    story = direct(code, HOST, limits)
    assert oracle(code, HOST, limits) == story
    assert parked(code, HOST, limits) == story
    return story


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_every_way_of_running_a_program_tells_the_same_story(random: Random) -> None:
    made = _made(random)
    if made is not None:
        _agree(*made)


def test_fixed_programs_agree_and_reach_every_kind_of_ending() -> None:
    ends: Counter[str] = Counter()
    effects: Counter[str] = Counter()
    for seed in range(150):
        made = _made(Random(seed))
        if made is None:
            continue
        story = _agree(*made)
        ends[story.code or story.state] += 1
        effects.update(effect[0] for effect in story.effects)
    assert {"finished", "continued", "type_error", "value_error", "undefined_variable"} <= set(ends)
    assert {"fuel_exhausted", "memory_exhausted"} <= set(ends)
    assert {"operation", "await", "start", "event", "sleep"} <= set(effects)


SPECIAL = {
    "a thousand terms": "submit " + " + ".join(["1"] * 1000),
    "a long ladder": "x = 37\n"
    + " else ".join(f"if x == {n} {{ y = {n} * 2 }}" for n in range(60))
    + " else { y = 0 }\nsubmit y",
    "a long ladder with effects": "x = 20\n"
    + " else ".join(f"if x == {n} {{ y = await tools.echo({{ n: {n} }})? }}" for n in range(40))
    + "\nsubmit y",
    "nested ternaries": "a = 3\nsubmit " + "".join(f"a == {n} ? {n} : (" for n in range(30)) + "0" + ")" * 30,
    "sixteen loops": "n = 0\n"
    + "".join(f"for i{k} in range(1) {{\n" for k in range(16))
    + "n = n + (await tools.echo({ v: 1 })?).v\n"
    + "}\n" * 16
    + "submit n",
    "a deep record": "submit " + "{ a: " * 30 + "await tools.echo({ x: 1 })?" + " }" * 30,
    "many parts of text": 'x = 1.5\nsubmit "a" + ' + " + ".join(["x", "[x]", "null", "true"] * 12),
    "break in an effectful loop": "out = []\nfor i in range(9) {\n  r = await tools.echo({ i: i })?\n"
    "  if r.i == 2 { continue }\n  if r.i == 5 { break }\n  out = push(out, r.i)\n}\nsubmit [out, try i]",
    "in place, then shared": "xs = []\nfor i in range(5) {\n  xs = push(xs, i)\n  r = await tools.echo({ xs: xs })?\n"
    "  ys = xs\n  xs[0] = i * 10\n  print [ys[0], xs[0], r.xs]\n}\nsubmit xs",
    "loop over what is pushed": "xs = [1, 2]\n"
    "for x in xs {\n  xs = push(xs, await tools.echo({ x: x })?)\n}\nsubmit xs",
    "submit in nested loops": "i = 7\nfor i in range(3) { for j in range(3) { if i * j == 2 { submit [i, j] } } }",
    "an effect in a condition": "n = 0\n"
    "while (await tools.echo({ n: n })?).n < 3 and not (n > 5) { n = n + 1 }\nsubmit n",
    "an effect in an index": "xs = [1, 2, 3]\n"
    "xs[(await tools.echo({ n: 1 })?).n] = (await tools.echo({ n: 9 })?).n\nsubmit xs",
    "short circuits with effects": "submit [false and await tools.echo({ a: 1 }), true or await tools.echo({ a: 2 }),"
    " null ?? (await tools.echo({ a: 3 })?).a, 1 ?? await tools.echo({ a: 4 })]",
    "a fault inside try around an effect": "submit try ([1, (await tools.echo({ a: 1 })?).a + [], 3])",
    "an aborting leaf of a join": "submit try "
    "(await { a: tools.echo({ x: 1 }), b: tools.fail({})?, c: tools.echo({}) })",
    "more effects than fit into returns": "".join(
        f"x{n} = await tools.echo({{ n: {n} }})?\n" for n in range(150)
    )
    + "if x3.n == 3 { submit [x1, x149] }\nx4 = try (x5.n + [])",
    "recursion": "submit try (fact(400))",
    "long texts compared": 's = "x"\nfor i in range(12) { s = s + s }\nt = s + "y"\nu = s + "y"\n'
    + "n = 0\nfor i in range(40) { if t == u and not (t < u) and t >= u and s != t { n = n + 1 } }\n"
    + f'submit [n, t == "{"x" * 4096}y", s == "{"x" * 4096}", s <= "{"x" * 4096}", [t] == [u]]',
}


@pytest.mark.parametrize("name", SPECIAL)
def test_awkward_programs_agree(name: str) -> None:
    head = "fn fact(n) { if n <= 1 { 1 } else { n * fact(n - 1) } }\n"
    _agree(compiled(head + SPECIAL[name], HOST), Limits())


def test_comparing_long_texts_is_work_in_every_engine() -> None:
    """A loop of comparisons of megabytes must see a cancellation: it is charged by what is compared."""
    big = 's = "x"\nfor i in range(16) { s = s + s }\nt = s + ""\n'
    loop = "n = 0\nfor i in range(100) { if s %s t { n = n + 1 } }\nsubmit n"
    spent = {
        op: 100_000_000 - _agree(compiled(big + loop % op, HOST), Limits(fuel=100_000_000)).fuel
        for op in ("==", "!=", "<", ">=")
    }
    assert all(fuel > 100 * (2**16 >> 6) for fuel in spent.values()), spent


@pytest.mark.parametrize("slice_of_fuel", [1, 2, 3, 17, 40])
def test_fuel_runs_out_at_the_same_step_in_every_engine(slice_of_fuel: int) -> None:
    source = 'n = 0\nwhile true { n = n + 1\nr = await tools.echo({ n: n })?\nprint join(range(r.n), "") }'
    story = _agree(compiled(source, HOST), Limits(fuel=slice_of_fuel))
    assert story.code == "fuel_exhausted"


def test_programs_agree_when_each_stretch_runs_in_another_process() -> None:
    pool = Pool(3)
    waited = 0
    for seed in range(5_000, 5_300):
        random = Random(seed)
        source = Maker(random).program()
        limits = Limits(
            fuel=random.choice([100_000, 200]), memory_bytes=random.choice([2**26, 2**26, 20_000])
        )
        try:
            code = compiled(source, HOST)
        except LangError:
            continue
        story = direct(code, HOST, limits)
        assert elsewhere(source, HOST, limits, pool) == story, seed
        waited += len(story.effects) > 0
    pool.close()
    assert waited > 80
