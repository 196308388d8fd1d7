"""What a model is told of variables: small ones whole, big ones by type, size and beginning."""

from __future__ import annotations

import pytest

from lash.runtime.code import variable_lines
from lash.runtime.code.variables import INLINE_CHARS, MAX_LINES
from lashlang import Image, Resource


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (None, "x: null = null"),
        (True, "x: bool = true"),
        (3, "x: int = 3"),
        (1.5, "x: float = 1.5"),
        ("Ada", 'x: str = "Ada"'),
        ("ä", 'x: str = "ä"'),
        ([1, 2], "x: list[int] = [1, 2]"),
        ([], "x: list[any] = []"),
        ([1, "a"], 'x: list[any] = [1, "a"]'),
        ({"a": 1, "b": [1]}, 'x: { a: int, b: list } = {"a": 1, "b": [1]}'),
        ([{"a": 1}], 'x: list[{ a: int }] = [{"a": 1}]'),
        (Resource("Tools", "tools"), 'x: Tools = {"module": "tools"}'),
    ],
)
def test_a_small_value_is_given_whole(value, line):
    assert variable_lines({"x": value}) == (line,)


def test_a_big_value_is_given_by_type_size_and_beginning():
    (line,) = variable_lines({"rows": [{"id": n, "name": "row"} for n in range(10_000)]})
    assert line.startswith('rows: list[{ id: int, name: str }], 10,000 items: [{"id": 0, "name": "row"}')
    assert len(line) < INLINE_CHARS
    (text,) = variable_lines({"text": "z" * 1_000_000})
    assert text.startswith('text: str, 1,000,000 characters: "zzz')


def test_an_image_is_named_and_not_shown():
    (line,) = variable_lines({"pic": Image(("id1", "label", 10, 2, 3))})
    assert line.startswith('pic: image = {"type": "image", "id": "id1"')


def test_lines_are_ordered_by_name_and_bounded_in_number():
    lines = variable_lines({f"v{n:03}": n for n in reversed(range(200))})
    assert lines[0] == "v000: int = 0"
    assert len(lines) == MAX_LINES + 1
    assert lines[-1].startswith(f"and {200 - MAX_LINES} more: v060, v061")
