"""Suspended programs as data: resumed elsewhere, refused where they do not belong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lashlang
from lashlang import LATER, Execution, Frame, LangError, Limits, Ok, compile_program, surface_of_tools
from lashlang.machine.code import Code
from lashlang.machine.codec import decode_values, encode_values
from lashlang.machine.values import MAX_DEPTH, Image, Resource

SURFACE = surface_of_tools(["echo", "mail.send"], "processes", "sleep", "process_signals")

LOOP = """
shared = [1, 2]
both = { a: shared, b: shared }
out = []
for i in range(total) {
  r = await tools.echo({ i: i })?
  out = push(out, r.i * 2)
}
both.a[0] = 99
submit { out: out, shared: shared, b: both.b, far: 9007199254740993, nan: try (0 / 0 == 0 / 0), m: mail }
"""


def code_of(source: str) -> Code:
    return compile_program(source, SURFACE)


def parked_at(source: str, effects: int, **options: Any) -> Execution:
    """A run of `source` that has had `effects` answers and waits for the next."""
    run = Execution(code_of(source), **options)
    run.advance(lambda _: LATER)
    for _ in range(effects):
        assert run.effect is not None
        run.answer(Ok(run.effect.payload))
        run.advance(lambda _: LATER)
    assert run.state == "waiting"
    return run


def finished(run: Execution) -> Execution:
    while run.state == "waiting":
        assert run.effect is not None
        run.answer(Ok(run.effect.payload))
        run.advance(lambda _: LATER)
    return run


CHILD = """
import json, sys
from lashlang import Frame, LATER, Ok, compile_program, surface_of_tools
surface = surface_of_tools(["echo", "mail.send"], "processes", "sleep", "process_signals")
code = compile_program(sys.argv[1], surface)
run = Frame.from_bytes(bytes.fromhex(sys.argv[2]), b"key").resume(code)
keys = []
while run.state == "waiting":
    keys.append(run.effect.key)
    run.answer(Ok(run.effect.payload))
    run.advance(lambda _: LATER)
print(json.dumps([run.state, run.value, keys]))
"""


def test_frame_resumes_in_another_process_with_the_keys_that_it_would_have_had() -> None:
    run = parked_at(LOOP, 3, values={"total": 6}, run_id="run-7")
    data = Frame.of(run).to_bytes(b"key")
    child = subprocess.run(
        [sys.executable, "-c", CHILD, LOOP, data.hex()], capture_output=True, text=True, check=True
    )
    state, value, keys = json.loads(child.stdout)
    here = finished(run)
    assert (state, value) == ("finished", here.value)
    assert value["out"] == [0, 2, 4, 6, 8, 10]
    assert (value["shared"], value["b"]) == ([1, 2], [1, 2])
    assert keys == ["run-7/3", "run-7/4", "run-7/5"]


def test_frame_does_not_grow_with_the_effects_that_were_done() -> None:
    source = "n = 0\nwhile true { n = (await tools.echo({ v: n + 1 })?).v }"
    few = Frame.of(parked_at(source, 10)).to_bytes()
    many = Frame.of(parked_at(source, 5_000)).to_bytes()
    assert len(many) - len(few) < 16


def test_equal_states_have_equal_bytes_and_bytes_come_back_as_they_were() -> None:
    one = Frame.of(parked_at(LOOP, 2, values={"total": 4})).to_bytes()
    two = Frame.of(parked_at(LOOP, 2, values={"total": 4})).to_bytes()
    assert one == two == Frame.from_bytes(one).to_bytes()


def test_two_decodes_are_two_runs_that_do_not_touch_each_other() -> None:
    data = Frame.of(parked_at(LOOP, 1, values={"total": 3})).to_bytes()
    first, second = (Frame.from_bytes(data).resume(code_of(LOOP)) for _ in range(2))
    assert finished(first).value == finished(second).value


def test_given_variables_that_the_program_does_not_name_pass_through_a_frame() -> None:
    run = parked_at("x = await tools.echo({})?", 0, values={"other": [1, {"k": None}]})
    again = finished(Frame.from_bytes(Frame.of(run).to_bytes()).resume(run.code))
    assert again.globals["other"] == [1, {"k": None}]


def test_process_parks_with_its_parameters() -> None:
    source = 'process p(a: any, b: any) { m = wait_signal("go") finish [a, b, m] }\nsubmit 1'
    run = Execution(code_of(source), "process:p", values={"a": {"k": [1]}, "b": None})
    assert run.advance(lambda _: LATER) == "waiting"
    again = Frame.from_bytes(Frame.of(run).to_bytes()).resume(run.code)
    assert again.effect is not None
    assert (again.effect.kind, again.effect.name) == ("wait_signal", "go")
    again.answer(Ok("now"))
    again.advance(lambda _: LATER)
    assert (again.state, again.value) == ("finished", [{"k": [1]}, None, "now"])


def test_projected_bindings_stay_with_the_host_and_are_bound_again() -> None:
    source = "submit [await tools.echo({ n: len(doc) })?, doc[0]]"
    code = compile_program(source, SURFACE, projected=["doc"])
    run = Execution(code, projected={"doc": ["secret", 2]})
    run.advance(lambda _: LATER)
    data = Frame.of(run).to_bytes()
    assert b"secret" not in data
    again = finished(Frame.from_bytes(data).resume(code, projected={"doc": ["newer"]}))
    assert again.value == [{"n": 2}, "newer"]


def test_join_keeps_what_has_arrived_so_far() -> None:
    run = parked_at("submit await [tools.echo({ a: 1 }), tools.echo({ b: 2 })]", 0)
    frame = Frame.from_bytes(Frame.of(run, {1: Ok("second")}).to_bytes())
    assert frame.outcomes == {1: Ok("second")}
    again = frame.resume(run.code)
    assert again.effect is not None
    assert [member.key for member in again.effect.members] == ["run/0.0", "run/0.1"]
    again.answer([Ok("first"), frame.outcomes[1]])
    again.advance(lambda _: LATER)
    assert again.value == [{"ok": True, "value": "first"}, {"ok": True, "value": "second"}]


# --- refusals ---


def _code_of_error(call: Any) -> str:
    with pytest.raises(LangError) as caught:
        call()
    return caught.value.code


def test_frame_is_refused_by_name_when_key_version_or_code_differ() -> None:
    run = parked_at(LOOP, 1, values={"total": 3})
    data = Frame.of(run).to_bytes(b"right")
    plain = Frame.of(run).to_bytes()
    assert _code_of_error(lambda: Frame.from_bytes(data, b"wrong")) == "frame_key"
    assert _code_of_error(lambda: Frame.from_bytes(data)) == "frame_key"
    assert _code_of_error(lambda: Frame.from_bytes(plain, b"right")) == "frame_key"
    changed = data[:40] + bytes([data[40] ^ 1]) + data[41:]
    assert _code_of_error(lambda: Frame.from_bytes(changed, b"right")) == "frame_key"
    newer = plain[:5] + bytes([plain[5] + 1]) + plain[6:]
    assert _code_of_error(lambda: Frame.from_bytes(newer)) == "frame_version"
    assert _code_of_error(lambda: Frame.from_bytes(b"")) == "frame_codec"
    assert _code_of_error(lambda: Frame.from_bytes(plain[:-3])) == "frame_codec"
    other = code_of(LOOP.replace("* 2", "* 3"))
    assert _code_of_error(lambda: Frame.from_bytes(plain).resume(other)) == "frame_code_mismatch"


def test_layout_and_comments_do_not_change_the_code_that_a_frame_is_pinned_to() -> None:
    assert code_of(LOOP).code_ref == code_of("# note\n" + LOOP.replace("out = []", "out  =  [ ]")).code_ref
    assert code_of(LOOP).code_ref != code_of(LOOP.replace("out", "into")).code_ref


def test_run_that_is_not_waiting_has_no_frame() -> None:
    assert _code_of_error(lambda: Frame.of(Execution(code_of("submit 1")))) == "not_waiting"


def _changes(slots: Mapping[str, Any]) -> list[dict[str, Any]]:
    odd: list[Any] = [None, True, 7, "text", [1], {"k": 1}, range(3), 1.5]
    return [{**slots, name: value} for name in slots for value in odd]


def test_forged_slots_never_escape_as_python_errors() -> None:
    frame = Frame.of(parked_at(LOOP, 1, values={"total": 3}))
    seen: set[str] = set()
    for slots in _changes(frame.slots):
        forged = Frame(**{**{n: getattr(frame, n) for n in Frame.__struct_fields__}, "slots": slots})
        try:
            run = finished(Frame.from_bytes(forged.to_bytes()).resume(code_of(LOOP)))
        except LangError as error:
            seen.add(error.code)
        else:
            seen.add(run.error.code if run.error else run.state)
    assert "frame_stale" in seen
    assert seen <= {"frame_stale", "frame_codec", "finished", "type_error", "value_error", "internal_error"}


@given(st.binary(max_size=200))
def test_noise_is_never_a_frame(noise: bytes) -> None:
    for data in (noise, b"lashF\x01\x00" + noise):
        with pytest.raises(LangError) as caught:
            Frame.from_bytes(data)
        assert caught.value.code.startswith("frame_")


@given(st.data())
def test_changed_bytes_give_a_coded_refusal_or_another_frame(data: st.DataObject) -> None:
    whole = bytearray(Frame.of(parked_at(LOOP, 1, values={"total": 3})).to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        finished(Frame.from_bytes(bytes(whole)).resume(code_of(LOOP), limits=Limits(fuel=10_000)))
    except LangError as error:
        code = error.code
    else:
        code = "frame_accepted"
    assert code.startswith("frame_")


# --- values as bytes ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=5))
def test_values_come_back_as_they_were(values: list[Any]) -> None:
    data = encode_values(values)
    again = decode_values(data)
    assert again == values
    assert [repr(value) for value in again] == [repr(value) for value in values]
    assert encode_values(again) == data


def test_sharing_survives_and_keeps_the_bytes_small() -> None:
    value: Any = ["x"]
    for _ in range(40):
        value = [value, value]
    data = encode_values([value, {"again": value}])
    assert len(data) < 1_000
    first, second = decode_values(data)
    assert first[0] is first[1]
    assert second["again"] is first


def test_authorities_images_and_ranges_are_values_too() -> None:
    picture = Image(("id", None, 10, 20, 30))
    values = [Resource("Mail", "mail.work"), [picture, picture], range(1, 9, 2)]
    again = decode_values(encode_values(values))
    assert again == values
    assert type(again[0]) is Resource


@pytest.mark.parametrize("shared", [False, True])
def test_values_nested_too_deeply_are_refused_in_both_directions(shared: bool) -> None:
    value: Any = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert decode_values(encode_values([value, value] if shared else [value]))[0] == value
    deeper = [value]
    assert (
        _code_of_error(lambda: encode_values([deeper, deeper] if shared else [deeper])) == "value_too_large"
    )


def test_session_variables_are_kept_by_the_same_means() -> None:
    first = lashlang.run("a = [1, 2]\nb = { k: a, n: 0 / 0 }\nc = 9007199254740993")
    kept = lashlang.pack_values(first.globals, b"key")
    again = lashlang.unpack_values(kept, b"key")
    assert again["b"]["k"] is again["a"]
    second = lashlang.run("submit [a, b.k, b.n == b.n, c]", globals=again)
    assert second.value == [[1, 2], [1, 2], False, 9007199254740993]
    assert _code_of_error(lambda: lashlang.unpack_values(kept, b"other")) == "frame_key"
    assert _code_of_error(lambda: lashlang.unpack_values(kept[:-1], b"key")) == "frame_key"
