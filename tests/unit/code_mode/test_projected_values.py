"""Values that stay with the host: read part by part, equal to the same program on the value itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.runtime.code.projected_values import ProjectedValues, StoredText
from lashlang import Execution, Frame, Limits, Ok, Projected, compile_program, run
from lashlang.machine.drivers import park_all

ROWS = [{"id": n, "tags": [f"t{n}", "x" * 10], "text": "é" * (n * 100)} for n in range(300)]


def of(value: Any, fetched: dict[str, str] | None = None) -> tuple[ProjectedValues, object]:
    values = ProjectedValues((fetched or {}).__getitem__)
    return values, values.bind("rows:1", value)


@pytest.mark.parametrize("value", [None, 3, "short", [1, 2, 3], {"a": [1]}, [], ""])
def test_a_small_value_is_handed_over(value):
    assert of(value)[1] == value


@pytest.mark.parametrize(
    ("value", "kind", "length"),
    [(ROWS, "list", 300), ({str(n): n for n in range(100)}, "record", 100), ("y" * 5000, "string", 5000)],
)
def test_a_large_value_stays(value, kind, length):
    bound = of(value)[1]
    assert isinstance(bound, Projected)
    assert (bound.kind, bound.length) == (kind, length)


PROGRAMS = [
    "submit len(data)",
    "submit data[7].id",
    "submit data[-1].tags[0]",
    "submit [r.id for r in slice(data, 3, 6)]",
    "n = 0\nfor r in data { n = n + len(r.text) }\nsubmit n",
    "submit data[250].text",
    "submit slice(data[299].text, 5, 9)",
    "submit keys(data[0])",
    "submit data[999]",
    "submit data[1].nope",
    'submit contains(data[0], "tags")',
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_reads_the_same_by_reference_and_by_value(program):
    values, bound = of(ROWS)
    by_reference = run(program, projected={"data": bound}, resolver=values.resolve)
    by_value = run(program, projected={"data": ROWS})
    assert by_reference.error is None
    assert by_reference.value == by_value.value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~0", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text("ab/~01", max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=4))
def test_every_part_of_any_value_is_found_by_its_name(some):
    value = some * 70
    values, bound = of(value)
    result = run(
        "all = []\nfor x in data { all = push(all, x) }\nsubmit all",
        projected={"data": bound},
        resolver=values.resolve,
    )
    assert result.value == run("submit data", projected={"data": value}).value


def test_only_what_is_read_is_charged():
    values, bound = of(ROWS * 100)
    limits = Limits(memory_bytes=50_000)
    result = run("submit data[29999].id", projected={"data": bound}, resolver=values.resolve, limits=limits)
    assert result.value == 299


def test_stored_texts_are_fetched_when_they_are_read_and_kept_a_while():
    asked: list[str] = []

    def fetch(attachment_id: str) -> str:
        asked.append(attachment_id)
        return attachment_id * 1000

    values = ProjectedValues(fetch)
    bound = values.bind("history:2", [{"output": ["a", StoredText("bc", 2000)]}] * 2)
    program = """
whole = history[1].output[1]
again = slice(history[0].output[1], 0, 4)
submit [len(whole), again, history[1].output[0]]
"""
    result = run(program, projected={"history": bound}, resolver=values.resolve)
    assert result.value == [2000, "bcbc", "a"]
    assert asked == ["bc"]


def test_a_program_that_is_resumed_elsewhere_reads_on():
    code = compile_program("a = data[5].id\nsleep for 5\nsubmit [a, data[6].id]", projected=["data"])
    values, bound = of(ROWS)
    execution = Execution(code, projected={"data": bound}, resolver=values.resolve)
    assert execution.advance(park_all) == "waiting"
    frame = Frame.of(execution).to_bytes()
    assert len(frame) < 1_000
    again, same = of(ROWS)
    resumed = Frame.from_bytes(frame).resume(code, projected={"data": same}, resolver=again.resolve)
    resumed.answer(Ok())
    resumed.advance(park_all)
    assert resumed.value == [5, 6]
