"""A projection is a copy: narrower or wider than the canonical schema, never wrong, and it says what it did."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.providers.schema_projection import (
    anthropic_output,
    bounded,
    inlined,
    openai_output,
    tool_parameters,
    unwrapped,
)

leaves = st.sampled_from(
    [
        {"type": "string", "minLength": 1},
        {"type": "string", "enum": ["a", "b"]},
        {"type": "integer", "minimum": 0, "default": 3},
        {"type": "boolean"},
        {"type": "null"},
    ]
)


def objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from("abcd"), children, min_size=1).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties))).map(
            lambda required: {"type": "object", "properties": properties, "required": sorted(required)}
        )
    )


schemas = st.recursive(
    leaves,
    lambda children: st.one_of(
        objects(children),
        children.map(lambda item: {"type": "array", "items": item, "maxItems": 3}),
        st.lists(children, min_size=1, max_size=3).map(lambda options: {"oneOf": options}),
    ),
    max_leaves=8,
)


@given(schema=objects(schemas))
def test_no_projection_touches_the_canonical_schema(schema: dict[str, Any]) -> None:
    before = copy.deepcopy(schema)

    for project in (openai_output, anthropic_output, tool_parameters, inlined):
        project(schema)
    bounded(schema, max_chars=10, max_items=3)

    assert schema == before


@given(schema=objects(schemas))
def test_every_object_of_a_strict_projection_is_closed(schema: dict[str, Any]) -> None:
    for projection in (openai_output(schema), anthropic_output(schema)):
        if projection.strict:
            for part in all_parts(projection.schema):
                if part.get("type") == "object":
                    assert part["additionalProperties"] is False
                assert not part.keys() & {"minLength", "default", "oneOf"}


def all_parts(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [part for item in schema for part in all_parts(item)]
    if not isinstance(schema, dict):
        return []
    nested = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), schema.get("items")]
    return [schema, *all_parts(nested)]


def test_openai_is_strict_only_where_everything_is_required() -> None:
    part = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}

    strict = openai_output(part | {"required": ["a", "b"]})
    loose = openai_output(part | {"required": ["a"]})

    assert strict.strict
    assert strict.changes == ("closed an object",)
    assert not loose.strict
    assert loose.schema == part | {"required": ["a"]}


def test_a_map_cannot_be_closed() -> None:
    counts = {
        "type": "object",
        "properties": {"by": {"type": "object", "additionalProperties": {"type": "integer"}}},
        "required": ["by"],
    }

    assert not openai_output(counts).strict
    assert not anthropic_output(counts).strict
    assert anthropic_output(counts).schema["properties"]["by"]["additionalProperties"] == {"type": "integer"}


def test_an_answer_that_is_no_object_travels_in_one() -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}

    projection = openai_output(schema)

    assert projection.wrapped
    assert projection.strict
    assert jsonschema_rs.validator_for(projection.schema).is_valid({"value": [1, 2]})
    assert not jsonschema_rs.validator_for(projection.schema).is_valid({"value": ["x"]})
    assert unwrapped('{"value": [1, 2]}') == "[1,2]"


@pytest.mark.parametrize("text", ["plain", '{"other": 1}', '{"value": 1, "more": 2}', "", "\ud800"])
def test_only_a_wrapped_answer_is_unwrapped(text: str) -> None:
    assert unwrapped(text) == text


def test_references_are_written_out_and_circles_end() -> None:
    schema = {
        "type": "object",
        "properties": {"point": {"$ref": "#/$defs/point"}, "tree": {"$ref": "#/$defs/tree"}},
        "$defs": {
            "point": {"type": "object", "properties": {"x": {"type": "number"}}},
            "tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}},
        },
    }

    assert inlined(schema) == {
        "type": "object",
        "properties": {
            "point": {"type": "object", "properties": {"x": {"type": "number"}}},
            "tree": {"type": "object", "properties": {"left": {}}},
        },
    }
    with pytest.raises(LashError, match="schema_reference_unknown"):
        inlined({"$ref": "#/$defs/none"})


def test_bounds_are_set_where_there_are_none() -> None:
    schema = {
        "type": "object",
        "properties": {
            "free": {"type": "string"},
            "short": {"type": "string", "maxLength": 3},
            "one": {"type": "string", "enum": ["a"]},
            "list": {"type": "array", "items": {"type": "string"}, "minItems": 9},
        },
    }

    properties = bounded(schema, max_chars=100, max_items=4).schema["properties"]

    assert properties["free"] == {"type": "string", "maxLength": 100}
    assert properties["short"] == {"type": "string", "maxLength": 3}
    assert properties["one"] == {"type": "string", "enum": ["a"]}
    assert properties["list"]["maxItems"] == 9
    assert properties["list"]["items"]["maxLength"] == 100


def test_a_tools_parameters_are_an_object() -> None:
    assert tool_parameters({"$schema": "x", "type": "object"}).schema == {"type": "object", "properties": {}}
