"""What a model sends against what a tool takes."""

from __future__ import annotations

import enum
import math
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.tools import ToolSet, tool
from lash.values import CompletedToolCall, PreparedToolCall, ToolCallPart


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Item(msgspec.Struct):
    sku: str
    count: Annotated[int, msgspec.Meta(ge=1, le=99)] = 1
    tags: list[str] = []


@tool
def order(
    items: list[Item],
    size: Size,
    ratio: float = 1.0,
    note: Annotated[str, msgspec.Meta(max_length=5)] | None = None,
    mode: Literal["a", "b", 3] = "a",
    flags: dict[str, bool] | None = None,
) -> None: ...


def prepare(args: dict[str, Any], raw: str | None = None, name: str = "order") -> Any:
    return ToolSet([order]).prepare(ToolCallPart(call_id="c", name=name, args=args, raw_args=raw))


def refusal(args: dict[str, Any], **more: Any) -> CompletedToolCall:
    answer = prepare(args, **more)
    assert isinstance(answer, CompletedToolCall)
    assert answer.error is not None
    assert answer.attempts == 0
    return answer


def test_right_arguments_are_frozen_as_they_came() -> None:
    args = {"items": [{"sku": "x"}], "size": "small"}
    assert prepare(args) == PreparedToolCall(call_id="c", tool_name="order", args=args, effect="at_most_once")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"size": "small"}, '"items" is a required property'),
        ({"items": [], "size": "huge"}, "$.size"),
        ({"items": [{"sku": "x"}, {"sku": 1}], "size": "small"}, "$.items[1].sku"),
        ({"items": [{"sku": "x", "count": 0}], "size": "small"}, "$.items[0].count"),
        ({"items": [], "size": "small", "extra": 1}, "'extra' was unexpected"),
        ({"items": [], "size": "small", "note": "abcdef"}, "$.note"),
        ({"items": [], "size": "small", "flags": {"a": "yes"}}, "$.flags"),
        ({"items": [], "size": "small", "ratio": True}, "$.ratio"),
    ],
)
def test_the_model_is_told_where_and_what(args: dict[str, Any], told: str) -> None:
    answer = refusal(args)
    assert answer.error is not None
    assert answer.error.code == "invalid_tool_args"
    assert told in answer.content


def test_text_that_was_no_object_is_told_as_such() -> None:
    answer = refusal({}, raw='{"items": [')
    assert "no JSON object" in answer.content


def test_an_unknown_tool_is_answered_with_the_near_names() -> None:
    answer = refusal({}, name="ordr")
    assert answer.error is not None
    assert answer.error.code == "tool_unavailable"
    assert "did you mean order" in answer.content
    assert answer.tool_name == "ordr"


def test_a_name_of_ten_thousand_characters_is_not_repeated_to_the_model() -> None:
    assert len(refusal({}, name="x" * 10_000).content) < 300


def test_a_long_list_of_mistakes_is_cut() -> None:
    answer = refusal({"items": [{"sku": n} for n in range(10_000)], "size": "x" * 100_000})
    assert "and more" in answer.content
    assert len(answer.content) < 4000


@pytest.mark.parametrize("text", ["\ud800", "a\x00b"])
def test_strange_text_never_raises(text: str) -> None:
    prepare({"items": [{"sku": text}], "size": text})


def test_whole_floats_are_integers_as_json_schema_says() -> None:
    args = {"items": [{"sku": "x", "count": 3.0}], "size": "small", "mode": 3.0, "ratio": 2}
    assert isinstance(prepare(args), PreparedToolCall)
    values = order.arguments.convert(args)
    assert values["items"] == [Item("x", 3)]
    assert type(values["items"][0].count) is int
    assert type(values["ratio"]) is float


@tool
def strange(when: dict[int, str], pick: set[int]) -> None: ...


def test_what_the_schema_cannot_say_is_checked_by_the_types() -> None:
    assert strange.arguments.convert({"when": {"1": "x"}, "pick": [1, 2]}) == {
        "when": {1: "x"},
        "pick": {1, 2},
    }
    assert strange.arguments.check({"when": {"a": "x"}, "pick": []}) != []


json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["a", "b", "small", "large", 3, 3.0, 1, 99, 100])
)
json_values = st.recursive(
    json_scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sku", "count", "tags", "zz"]), inner, max_size=4)
    ),
    max_leaves=8,
)
near_orders = st.fixed_dictionaries(
    {
        "items": st.lists(
            st.fixed_dictionaries(
                {"sku": st.text(max_size=3) | json_scalars},
                optional={"count": json_scalars, "tags": st.lists(json_scalars, max_size=2)},
            ),
            max_size=2,
        )
        | json_values,
        "size": st.sampled_from(["small", "large"]) | json_scalars,
    },
    optional={
        "ratio": json_scalars,
        "note": json_scalars,
        "mode": st.sampled_from(["a", "b", 3, 3.0]) | json_scalars,
        "flags": st.dictionaries(st.text(max_size=2), st.booleans() | json_scalars, max_size=2),
        "extra": json_scalars,
    },
)


@given(near_orders | st.dictionaries(st.text(max_size=3), json_values, max_size=3))
def test_the_schema_accepts_exactly_what_the_types_take(args: dict[str, Any]) -> None:
    from jsonschema_rs import Draft202012Validator

    by_schema = Draft202012Validator(order.spec.input_schema).is_valid(args)
    try:
        order.arguments.convert(args)
        by_types = True
    except msgspec.ValidationError:
        by_types = False
    assert by_schema == by_types


@given(st.floats())
def test_no_number_makes_the_check_raise(number: float) -> None:
    problems = order.arguments.check({"items": [], "size": "small", "ratio": number})
    assert (problems == []) or not math.isfinite(number)
