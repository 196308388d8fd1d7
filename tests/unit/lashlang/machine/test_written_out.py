"""A program shares what it stores: it can hold a tree of any size in a few bytes, and nothing that walks it blows up.

Each bomb is run in every engine: they stop with the same code at the same step. All of them run once more in a process
whose address space is limited.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.lashlang.machine.engines import compiled, direct, oracle, parked, plain
from tests.unit.lashlang.machine.programs import HOST

from lashlang import (
    LATER,
    Execution,
    Failed,
    Frame,
    LangError,
    Limits,
    Ok,
    compile_program,
    pack_values,
    run,
    surface_of_tools,
    unpack_values,
)
from lashlang.machine.codec import decode_values, encode_values
from lashlang.machine.equality import equal
from lashlang.machine.meter import Meter
from lashlang.machine.sizes import weigh

WIDE = "x = [1]\nfor i in range(40) { x = [x, x] }\n"
NAMED = "x = {}\nfor i in range(50) { x = { a: x, b: x } }\n"
TWICE = WIDE + WIDE.replace("x", "y")
LONG = 's = "0123456789abcdef"\nfor i in range(14) { s = s + s }\n'
MANY = LONG + "xs = []\nfor i in range(20000) { xs = push(xs, s) }\n"
KEYS = LONG + "r = {}\nr[s] = 1\nxs = []\nfor i in range(20000) { xs = push(xs, r) }\n"
SELF_CHECKING = (
    'v = { "$lash_type": { type: "array", items: {} } }\nt = { type: "integer" }\n'
    "for i in range(40) { t = { anyOf: [t, t] } }\n"
)
PROCESSES = "process p(n: any) { finish n }\nprocess w() { m = wait signal }\n"

ENDS = {
    "a result": (WIDE + "submit x", "value_too_large"),
    "a record as result": (NAMED + "submit x", "value_too_large"),
    "a print": (NAMED + "print x", "value_too_large"),
    "a payload": (WIDE + "r = await tools.echo({ x: x })", "value_too_large"),
    "several arguments": (WIDE + "r = await post.send(1, x)", "value_too_large"),
    "a member of a join": (WIDE + "r = await [tools.echo({}), tools.echo({ x: x })]", "value_too_large"),
    "many members of a join": (
        "x = range(1000)\nh = { __handle__: 1, x: x }\nhs = []\n"
        "for i in range(3000) { hs = push(hs, h) }\nr = await hs",
        "value_too_large",
    ),
    "an awaited structure without handles": (NAMED + "r = await x", "memory_exhausted"),
    "an awaited structure in a literal": (
        WIDE + "r = await { a: tools.echo({}), b: x }",
        "value_too_large",
    ),
    "a process argument": (PROCESSES + WIDE + "r = start p(n: x)", "value_too_large"),
    "a cancelled handle": (WIDE + "cancel x", "value_too_large"),
    "a signal": (
        PROCESSES + WIDE + "h = start w()\nsignal run h with x",
        "value_too_large",
    ),
    "a long text many times": (MANY + "submit xs", "memory_exhausted"),
    "a long text printed many times": (LONG + "for i in range(20000) { print s }", "memory_exhausted"),
    "a record printed many times": (
        "r = [{ n: i } for i in range(1000)]\nfor i in range(20000) { print r }",
        "memory_exhausted",
    ),
    "a long key many times": (KEYS + "submit xs", "memory_exhausted"),
    "long keys in a payload": (KEYS + "r = await tools.echo({ xs: xs })", "memory_exhausted"),
    "text of a value": (WIDE + "s = to_string(x)", "value_too_large"),
    "text of empty lists": (WIDE.replace("[1]", "[]") + "s = to_string(x)", "value_too_large"),
    "JSON of a value": (NAMED + "s = to_json(x)", "value_too_large"),
    "a value in a text": (WIDE + 's = "x" + x', "value_too_large"),
    "a value in a template": (WIDE + 's = format("{}", x)', "value_too_large"),
    "a value as an error": (WIDE + "s = { ok: false, error: x }?", "value_too_large"),
    "equality": (TWICE + "b = x == y", "fuel_exhausted"),
    "inequality in the last leaf": (
        TWICE.replace("y = [1]", "y = [2]") + "b = x != y\nsubmit b",
        None,
    ),
    "membership": (TWICE + "b = x in [y]", "fuel_exhausted"),
    "contains": (TWICE + "b = contains([y], x)", "fuel_exhausted"),
    "unique": (TWICE + "b = unique([x, y])", "fuel_exhausted"),
    "validation": (
        WIDE + 't = { type: "array", items: {} }\nfor i in range(40) { t = { type: "array", items: t } }\n'
        'b = validate(x, { "$lash_type": t })',
        "fuel_exhausted",
    ),
    "a hand-made schema": (SELF_CHECKING + 'b = validate("x", { "$lash_type": t })', "fuel_exhausted"),
    "an enum of containers": (
        TWICE + 'b = validate([x], { "$lash_type": { type: "array", enum: [[y]] } })',
        "fuel_exhausted",
    ),
    "numbers of containers": (WIDE + "b = sort([x, x])", "type_error"),
    "sleeping for it": (WIDE + "sleep for x", "type_error"),
    "a failing message": (
        LONG + "xs = []\nwhile true { xs = push(xs, try ({ ok: false, error: s }?)) }",
        "memory_exhausted",
    ),
    "keys that only a record holds": (
        LONG + "r = {}\nn = 0\nwhile true { n = n + 1\nr[s + n] = n }",
        "memory_exhausted",
    ),
    "a template of a million slots": (
        's = "{}"\nfor i in range(20) { s = s + s }\nsubmit try format(s, 1)',
        None,
    ),
    "text that spells no number": (LONG.replace("abcdef", "012345") + "submit try to_int(s)", None),
    "empty records in JSON": (
        's = "{},{},{},"\nfor i in range(18) { s = s + s }\nsubmit try json_parse("[" + s + "{}]")',
        "memory_exhausted",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_shared_data_stops_with_the_same_code_at_the_same_step_in_every_engine(name: str) -> None:
    source, code = ENDS[name]
    limits = Limits(fuel=5_000_000, memory_bytes=2**26)
    story = direct(compiled(source, HOST), HOST, limits)
    assert story.code == code
    assert parked(compiled(source, HOST), HOST, limits) == story
    assert oracle(compiled(source, HOST), HOST, limits) == story


@pytest.mark.parametrize("end", ["yield x", "wake x", "finish x", "fail x"])
def test_a_process_cannot_tell_or_end_with_such_a_value(end: str) -> None:
    code = compile_program(f"process p(n: any) {{ {NAMED}{end} }}\nsubmit 1")
    process = Execution(code, "process:p", values={"n": 1})
    process.advance(lambda _: Ok())
    assert process.error is not None
    assert process.error.code == "value_too_large"


IN_A_SMALL_PROCESS = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000, 1_200_000_000))
from lashlang import Limits
from tests.unit.lashlang.machine.engines import compiled, direct
from tests.unit.lashlang.machine.programs import HOST
from tests.unit.lashlang.machine.test_written_out import ENDS
for source, _ in ENDS.values():
    direct(compiled(source, HOST), HOST, Limits())
print("all of them ended")
"""


def test_all_of_them_fit_into_a_process_of_little_more_than_a_gigabyte() -> None:
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    child = subprocess.run([sys.executable, "-c", path + IN_A_SMALL_PROCESS], capture_output=True, text=True)
    assert child.stdout.strip() == "all of them ended", child.stderr[-2000:]


# --- what stays between blocks ---


def test_variables_that_no_host_could_write_out_are_not_kept_and_are_named() -> None:
    result = run(WIDE + "y = [1, 2]\nsubmit 1")
    assert (result.state, result.value) == ("finished", 1)
    assert result.lost == ("x",)
    assert result.globals["y"] == [1, 2]
    assert "x" not in result.globals


def test_variables_are_kept_as_far_as_they_fit_together() -> None:
    source = "a = range(1000)\nb = [a, a, a]\nc = [b, b, b, b, b]\nd = 1"
    result = run(source, limits=Limits(memory_bytes=100_000))
    assert result.lost == ("c",)
    assert set(result.globals) == {"a", "b", "d"}
    again = run("submit len(a) + len(b) + d", globals=result.globals, limits=Limits(memory_bytes=100_000))
    assert again.value == 1004


def test_a_deep_variable_is_not_kept_either() -> None:
    result = run("x = []\nfor i in range(70) { x = [x] }\nsubmit 1")
    assert (result.lost, result.value) == (("x",), 1)


def test_what_is_kept_can_be_packed_and_is_accepted_by_the_next_block() -> None:
    first = run(WIDE.replace("40", "15") + LONG + "t = [s, s, s]\nr = {}\nr[s] = [s]")
    data = pack_values(first.globals)
    assert len(data) < 16 * 2**14 + 10_000
    second = run("submit [len(t), len(keys(r)[0]), x[0] == x[1]]", globals=unpack_values(data))
    assert second.value == [3, 16 * 2**14, True]


# --- frames ---

SURFACE = surface_of_tools(["echo"])


def _parked(source: str, **options: Any) -> Execution:
    execution = Execution(compile_program(source + "r = await tools.echo({})\nsubmit 1", SURFACE), **options)
    assert execution.advance(lambda _: LATER) == "waiting"
    return execution


@pytest.mark.parametrize(
    ("source", "bound"), [(WIDE, 1_000), (NAMED, 2_000), (MANY, 500_000), (KEYS, 500_000)]
)
def test_a_frame_is_never_larger_than_what_is_really_held(source: str, bound: int) -> None:
    waiting = _parked(source)
    data = Frame.of(waiting).to_bytes()
    assert len(data) < bound
    frame = Frame.from_bytes(data)
    assert frame.to_bytes() == data
    assert frame == Frame.of(waiting)
    assert len(repr(frame)) < 200
    again = frame.resume(waiting.code)
    again.answer(Ok())
    again.advance(lambda _: LATER)
    assert again.value == 1


def test_printing_counts_across_frames() -> None:
    source = 'while true { print "' + "x" * 1000 + '"\nr = await tools.echo({}) }'
    limits = Limits(memory_bytes=50_000)
    story = direct(compiled(source, HOST), HOST, limits)
    assert story.code == "memory_exhausted"
    assert len(story.printed) == 50_000 // (1000 + 56 + 8)
    assert parked(compiled(source, HOST), HOST, limits) == story


def test_hostile_frames_are_refused_or_bounded_without_being_written_out() -> None:
    waiting = _parked("")
    bomb: list[Any] = [1]
    for _ in range(60):
        bomb = [bomb, bomb]
    fields = {name: getattr(Frame.of(waiting), name) for name in Frame.__struct_fields__}
    with pytest.raises(LangError) as refused:
        Frame.from_bytes(Frame(**{**fields, "args": ({"x": bomb},)}).to_bytes()).resume(waiting.code)
    assert refused.value.code == "frame_stale"
    forged = Frame.from_bytes(Frame(**{**fields, "slots": {"v:r": bomb}}).to_bytes()).resume(waiting.code)
    forged.answer(Ok())
    assert forged.advance(lambda _: LATER) == "finished"
    loop = Execution(compile_program("for i in range(3) { r = await tools.echo({}) }", SURFACE))
    loop.advance(lambda _: LATER)
    frame = Frame.of(loop)
    fields = {name: getattr(frame, name) for name in Frame.__struct_fields__}
    slots = {name: (f"0 {2**70} 1" if name[0] == "r" else value) for name, value in frame.slots.items()}
    with pytest.raises(LangError) as stale:
        Frame(**{**fields, "slots": slots}).resume(loop.code)
    assert stale.value.code == "frame_stale"


def test_host_variables_that_a_program_does_not_name_are_checked_before_they_enter_a_frame() -> None:
    for odd in ({1, 2}, (n for n in range(3)), {"k": object()}, {3: 1}):
        execution = Execution(compile_program("r = await tools.echo({})", SURFACE), values={"other": odd})
        execution.advance(lambda _: LATER)
        with pytest.raises(LangError) as refused:
            Frame.of(execution)
        assert refused.value.code == "invalid_host_value"
    execution = Execution(compile_program("r = await tools.echo({})", SURFACE), values={"other": 2**70})
    execution.advance(lambda _: LATER)
    assert Frame.from_bytes(Frame.of(execution).to_bytes()).given == {"other": float(2**70)}


def test_type_literals_are_shared_alike_in_a_run_that_was_parked() -> None:
    source = (
        "a = Type { n: int, s: str }\nr = await tools.echo({})\nxs = []\n"
        "for i in range(200) { xs = push(xs, [a, Type { n: int, s: str }, xs]) }\nb = xs == xs\n"
        "submit validate({ n: 1 }, Type { n: int })"
    )
    limits = Limits(memory_bytes=200_000, fuel=100_000)
    story = direct(compiled(source, HOST), HOST, limits)
    assert parked(compiled(source, HOST), HOST, limits) == story


# --- the parts ---


def _pair(levels: int) -> tuple[Any, Any]:
    left: Any = [1, {"k": "v"}]
    right: Any = [1, {"k": "v"}]
    for _ in range(levels):
        left, right = [left, left], [right, right]
    return left, right


def test_equality_takes_time_by_what_is_there_and_fuel_by_what_it_means() -> None:
    left, right = _pair(50)
    meter = Meter(Limits(fuel=2**60))
    assert equal(meter, left, right)
    leaf = 3 + 2  # a list of two, a record of one
    assert 2**60 - meter.fuel == 3 * (2**50 - 1) + leaf * 2**50
    right[0][0][0][1][0][0][1][0][1].append(1)
    assert not equal(Meter(Limits(fuel=2**60)), left, right)


def test_fuel_of_equality_does_not_depend_on_what_is_shared() -> None:
    shared, _ = _pair(6)
    one, two = Meter(Limits()), Meter(Limits())
    assert equal(one, shared, shared)
    assert equal(two, shared, decode_values(encode_values([shared]))[0])
    assert one.fuel == two.fuel == Meter(Limits()).fuel - (3 * (2**6 - 1) + 5 * 2**6)


def test_a_value_weighs_what_its_tree_would() -> None:
    left, _ = _pair(40)
    parts, size_bytes, height = weigh(left, {})
    assert parts == 2**41 - 1 + 3 * 2**40
    assert height == 42
    assert size_bytes > 2**40 * 100
    chain: Any = []
    for _ in range(200_000):
        chain = [chain]
    assert weigh(chain, {})[2] == 200_001


def test_stories_of_programs_with_shared_data_compare_in_linear_time() -> None:
    left, right = _pair(60)
    assert plain(left) == plain(right)
    right[0][0] = 1
    assert plain(left) != plain(right)


def test_the_program_that_once_took_the_machine_down_is_harmless() -> None:
    source = (Path(__file__).parents[3] / "data" / "lashlang_shared.lash").read_text(encoding="utf-8")
    tools = {
        "tools": {
            "echo": {"echo": True},
            "fail": {"error": "down"},
            "mail.send": {"ok": True},
            "flaky": {"ok": 7},
        }
    }
    host = {**tools, "abilities": HOST["abilities"]}
    story = direct(compiled(source, host), host, Limits(fuel=100_000))
    assert story.lost == ("xs",)
    assert parked(compiled(source, host), host, Limits(fuel=100_000)) == story


# --- what a host hands in ---


def test_a_picture_of_containers_is_only_a_record() -> None:
    odd = {"type": "image", "id": [[1]], "label": "x", "size": 1, "width": 1, "height": 1}
    result = run("r = await tools.get({})?\nsubmit r.id[0][0]", {"get": lambda _: odd})
    assert result.value == 1


def test_a_failure_without_a_proper_text_is_told_as_one() -> None:
    code = compile_program("submit (await tools.get({})).error", surface_of_tools(["get"]))
    for error in ("\ud800", 7, ["x"], "x" * 5_000_000):
        execution = Execution(code)
        execution.advance(lambda _, error=error: Failed(error))  # type: ignore[misc,arg-type]  # a careless host
        assert execution.state == "finished"
        assert isinstance(execution.value, str)
        assert len(execution.value) < 200


def test_a_host_cannot_hand_in_more_than_the_program_may_hold() -> None:
    source = "r = await tools.get({})\nsubmit 1"
    big = ["x" * 1_000_000] * 100
    for value in (big, {"k": big}, [{"n": n} for n in range(450_000)]):
        result = run(source, {"get": lambda _, value=value: value})  # type: ignore[misc]  # bound at once
        assert result.error is not None
        assert result.error.code == "memory_exhausted"
    session = run("submit 1", globals={f"v{n}": ["x" * 1_000_000] for n in range(100)} | {"x": 1})
    assert session.value == 1
    named = run(
        "submit [" + ", ".join(f"v{n}" for n in range(100)) + "]",
        globals={f"v{n}": big[:1] for n in range(100)},
    )
    assert named.error is not None
    assert named.error.code == "memory_exhausted"
