"""An agent's tools as what a program may call.

Each tool is an operation of the module `tools`; one of an MCP server (`mcp__server__tool`) is an operation of
`mcp.server`. Names become names of the language, and the way back is kept here: a program's operation is looked
up, never guessed.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lash.errors import LashError
from lash.runtime.code.tool_types import identifier, type_of_schema
from lash.tools import Tool
from lashlang import HostSurface, SurfaceBuilder, TypeAny, TypeExpr

TOOLS_MODULE: Final = "tools"


@dataclass(frozen=True, slots=True)
class Operation:
    """A tool as a program sees it."""

    path: str  # the module
    name: str
    tool: str
    description: str
    input_type: TypeExpr
    output_type: TypeExpr


@dataclass(frozen=True, slots=True)
class CodeSurface:
    """What the programs of an agent may name.

    Attributes:
        host: What they are linked against.
        operations: The tools among it, by `module.operation`, in the order in which the agent lists them.
    """

    host: HostSurface
    operations: dict[str, Operation]

    def tool_of(self, path: str, name: str) -> str | None:
        """Return the tool behind an operation, or None."""
        found = self.operations.get(f"{path}.{name}")
        return None if found is None else found.tool


def code_surface(
    tools: Iterable[Tool[..., Any]],  # of every signature
    *,
    abilities: Iterable[str] = ("sleep",),
    extra: HostSurface | None = None,
) -> CodeSurface:
    """Return the surface of some tools.

    Args:
        tools: The agent's tools.
        abilities: What else programs may do.
        extra: More modules and types: triggers, say.

    Raises:
        LashError: `tool_definition_invalid` when two tools come to have one name in programs.
    """
    operations: dict[str, Operation] = {}
    builder = SurfaceBuilder().ability(*abilities, "label_annotations")
    for tool in tools:
        made = _operation(tool)
        taken = operations.get(f"{made.path}.{made.name}")
        if taken is not None:
            raise LashError(
                "tool_definition_invalid",
                f"the tools {taken.tool!r} and {made.tool!r} are both `{made.path}.{made.name}` in a program: "
                "rename one with @tool(name=…)",
                names=[taken.tool, made.tool],
            )
        operations[f"{made.path}.{made.name}"] = made
        builder.operation(
            made.path,
            made.name,
            input_type=made.input_type,
            output_type=made.output_type,
            resource_type=_authority(made.path),
        )
    if extra is not None:
        builder.include(extra)
    return CodeSurface(builder.build(), operations)


def _operation(tool: Tool[..., Any]) -> Operation:
    path, name = TOOLS_MODULE, tool.name
    match tool.name.split("__", 2):
        case ["mcp", server, rest] if server and rest:
            path, name = f"mcp.{identifier(server)}", rest
    return Operation(
        path=path,
        name=identifier(name),
        tool=tool.name,
        description=tool.description,
        input_type=type_of_schema(tool.spec.input_schema),
        output_type=_output_type(tool),
    )


def _authority(path: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in path.replace(".", "_").split("_"))


def _output_type(tool: Tool[..., Any]) -> TypeExpr:
    """Return the type of a tool's result, where its annotation tells one that JSON can carry."""
    function = getattr(tool.function, "__func__", tool.function)
    try:
        returned = typing.get_type_hints(function).get("return", Any)
        if returned is Any or returned is object:
            return TypeAny()
        (schema,), definitions = msgspec.json.schema_components([returned], ref_template="#/$defs/{name}")
    except (TypeError, NameError, AttributeError, msgspec.MsgspecError):
        return (
            TypeAny()
        )  # no annotation, one that means something here only, or a type that JSON does not have
    return type_of_schema({**schema, "$defs": definitions})
