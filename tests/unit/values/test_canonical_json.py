"""Canonical JSON (rule R-1): one byte form a value, and no bytes for what is no value."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.values import canonical_json, stable_hash

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values, where 1, 1.0 and true are three."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return bool(a == b)


def _reversed_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_reversed_keys(item) for item in value]
    if isinstance(value, dict):
        return {key: _reversed_keys(value[key]) for key in reversed(value)}
    return value


@given(values)
def test_bytes_read_back_as_the_same_value(value: Any) -> None:
    assert _same(json.loads(canonical_json(value)), _folded(value))


def _folded(value: Any) -> Any:
    if isinstance(value, list):
        return [_folded(item) for item in value]
    if isinstance(value, dict):
        return {key: _folded(item) for key, item in value.items()}
    return 0.0 if isinstance(value, float) and value == 0 else value


@given(values, values)
def test_equal_bytes_mean_equal_values(a: Any, b: Any) -> None:
    assert (canonical_json(a) == canonical_json(b)) == _same(_folded(a), _folded(b))


@given(values)
def test_order_of_keys_does_not_matter_at_any_depth(value: Any) -> None:
    assert canonical_json(_reversed_keys(value)) == canonical_json(value)


def test_keys_are_sorted_by_code_point_and_not_by_utf_16() -> None:
    # U+FB33 sorts before U+1F600, whose UTF-16 form begins with the smaller D83D.
    assert canonical_json({"\U0001f600": 1, "\ufb33": 2}) == '{"\ufb33":2,"\U0001f600":1}'.encode()


def test_only_what_must_be_escaped_is() -> None:
    text = '"\\/\b\f\n\r\t\x00\x1f\x7fé\u2028😀'
    expected = '"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7fé\u2028😀"'
    assert canonical_json(text) == expected.encode()


def test_integer_float_and_bool_are_three_values() -> None:
    assert len({stable_hash(value) for value in (1, 1.0, True)}) == 3


@pytest.mark.parametrize("value", [2**63, -(2**63), 2**64 - 1, 10**18])
def test_large_integers_are_exact(value: int) -> None:
    assert canonical_json(value) == str(value).encode()


class _Colour(StrEnum):
    RED = "red"


def test_tuples_and_enums_count_as_the_json_that_they_are() -> None:
    assert canonical_json((1, _Colour.RED, {_Colour.RED.value: ()})) == b'[1,"red",{"red":[]}]'


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        2**64,
        -(2**63) - 1,
        "\ud800",
        {"\udfff": 1},
        {1: "a"},
        {None: "a"},
        {True: "a"},
        b"bytes",
        {1, 2},
        pytest.param(object(), id="object"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("depth", [0, 1])
def test_what_json_cannot_say_is_refused_at_any_depth(value: Any, depth: int) -> None:
    with pytest.raises(LashError) as problem:
        canonical_json([{"deep": value}] if depth else value)
    assert problem.value.code == "json_not_representable"


def test_bottomless_value_is_refused_and_not_a_crash() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(LashError) as problem:
        canonical_json(value)
    assert problem.value.code == "json_not_representable"
