"""Tools as operations of the language: names, types, signatures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

import lash
from lash.runtime.code import code_surface
from lash.runtime.code.prompt import execution_section, operations_text
from lash.runtime.code.tool_types import identifier, type_of_schema
from lash.tools import ToolSet
from lashlang import LangError, LinkError, check, parse
from lashlang.syntax import format_type


class Address(msgspec.Struct):
    street: str
    zip: str | None = None


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "str"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": "null"}, "null"),
        ({"enum": ["a", "b"]}, 'enum["a", "b"]'),
        ({"const": "a"}, '"a"'),
        ({"enum": [1, 2]}, "int"),
        ({"enum": [1, "a"]}, "any"),
        ({"type": "array", "items": {"type": "integer"}}, "list[int]"),
        ({"type": "array"}, "list[any]"),
        ({"type": "object"}, "dict"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, "{}"),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
                "required": ["a"],
            },
            "{ a: str, b: int? }",
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "str | null"),
        ({"type": ["integer", "null"]}, "int | null"),
        ({"$ref": "#/$defs/N", "$defs": {"N": {"type": "integer"}}}, "int"),
        ({"$ref": "#/$defs/missing"}, "any"),
        ({"oneOf": [{"type": "string"}, {}]}, "any"),
        ({}, "any"),
        (True, "any"),
        ({"type": "strange"}, "any"),
    ],
)
def test_a_schema_is_the_type_that_it_says_or_any(schema, text):
    assert format_type(type_of_schema(schema)) == text


def test_a_schema_that_refers_to_itself_ends_in_any():
    schema = {"$defs": {"T": {"type": "array", "items": {"$ref": "#/$defs/T"}}}, "$ref": "#/$defs/T"}
    assert format_type(type_of_schema(schema)).endswith(
        "any" + "]" * format_type(type_of_schema(schema)).count("[")
    )


@pytest.mark.parametrize(
    ("name", "made"), [("read", "read"), ("get-file", "get_file"), ("2nd", "_2nd"), ("a.b", "a_b")]
)
def test_names_become_names_of_the_language(name, made):
    assert identifier(name) == made


def send(to: str, address: Address, kind: Literal["sms", "mail"] = "mail") -> list[dict[str, int]]:
    """Send something.

    Args:
        to: Who gets it.
    """
    return []


def today() -> str:
    """Return the date."""
    return ""


def blob(data: Annotated[str, msgspec.Meta(max_length=3)]) -> Any:
    """Keep something."""


def test_signatures_tell_what_a_tool_takes_and_gives():
    text = operations_text(code_surface(ToolSet([send, today, blob])))
    assert text.splitlines() == [
        'tools.send({ to: str, address: { street: str, zip: str | null? }, kind: enum["mail", "sms"]? }) -> list[dict]',
        "    Send something.",
        "tools.today({}) -> str",
        "    Return the date.",
        "tools.blob({ data: str }) -> any",
        "    Keep something.",
    ]


def test_a_tool_of_an_mcp_server_is_an_operation_of_the_servers_module():
    tools = ToolSet([lash.tool(today, name="mcp__clock-1__today"), lash.tool(send, name="send")])
    surface = code_surface(tools)
    assert surface.tool_of("mcp.clock_1", "today") == "mcp__clock-1__today"
    check(parse("x = await mcp.clock_1.today({})?"), surface.host)


def test_two_tools_of_one_name_are_refused_with_both():
    with pytest.raises(lash.LashError) as caught:
        code_surface(ToolSet([lash.tool(today, name="get-it"), lash.tool(send, name="get_it")]))
    assert caught.value.code == "tool_definition_invalid"
    assert caught.value.names == ["get-it", "get_it"]


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ('await tools.send({ to: "x" })?', "incompatible_operation_input"),
        ("await tools.blob({ data: 3 })?", "incompatible_operation_input"),
        ("await tools.nope({})?", None),
        ("start tools.today()", None),
    ],
)
def test_wrong_calls_are_found_before_anything_runs(program, code):
    surface = code_surface(ToolSet([send, today, blob]))
    with pytest.raises((LinkError, LangError)) as caught:
        check(parse(program), surface.host)
    assert code is None or caught.value.code == code


@pytest.mark.parametrize("word", ["if", "for", "await", "type", "print", "in", "call", "start", "process"])
def test_a_tool_may_be_called_like_a_word_of_the_language(word):
    surface = code_surface(ToolSet([lash.tool(today, name=word)]))
    check(parse(f"x = await tools.{word}({{}})?"), surface.host)


def test_the_section_is_a_function_of_the_definition():
    tools = ToolSet([send, today])
    assert execution_section(code_surface(tools), {}) == execution_section(
        code_surface(ToolSet([send, today])), {}
    )
    assert "tools.today({}) -> str" in execution_section(code_surface(tools), {})
