"""Whatever a model writes as arguments becomes a call that can be kept and answered."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.providers.tool_arguments import (
    clean_text,
    derived_call_id,
    distinct_call_ids,
    parsed_arguments,
    replayable_arguments,
    tool_call,
)
from lash.values import ToolCallPart, canonical_json, plain

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values))
def test_an_object_comes_through_as_it_is(value: dict[str, object]) -> None:
    assert parsed_arguments(json.dumps(value)) == value


@given(st.text())
def test_any_text_gives_a_call_that_can_be_kept(text: str) -> None:
    part = tool_call(call_id="c", name="t", arguments=text)

    canonical_json(plain(part))
    assert isinstance(replayable_arguments(part), dict)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '"x"',
        "null",
        "7",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": 99999999999999999999}',
        "[" * 5_000,
    ],
)
def test_what_is_no_object_is_kept_as_text(text: str) -> None:
    part = tool_call(call_id="c", name="t", arguments=text)

    assert (part.args, part.raw_args) == ({}, text)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert parsed_arguments(text) == {}


def test_missing_and_repeated_ids_are_derived_from_the_effect() -> None:
    calls = [ToolCallPart(call_id=call_id, name="t") for call_id in ("", "a", "a", "")]

    named = [part.call_id for part in distinct_call_ids(calls, "s:t:1")]

    assert named[1] == "a"
    assert len(set(named)) == 4
    assert named == [part.call_id for part in distinct_call_ids(calls, "s:t:1")]
    assert named[0] == derived_call_id("s:t:1", 0) != derived_call_id("s:t:2", 0)


def test_half_characters_are_replaced() -> None:
    assert clean_text("a\ud800b") == "a?b"
    assert clean_text("ä😀") == "ä😀"
