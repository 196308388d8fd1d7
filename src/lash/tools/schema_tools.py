"""Tools whose arguments are described by a JSON Schema instead of a signature: those of other programs.

The schema may come from anywhere: it is checked before it is shown to a model, and never fetches anything.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

from lash.errors import LashError
from lash.tools.arguments import Arguments
from lash.tools.context import ToolContext
from lash.tools.definition import Approval, Tool
from lash.tools.retry import ONCE, Effect
from lash.tools.signature import Signature
from lash.values import Json, ToolSpec, canonical_json

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

_PROBLEMS_MAX = 5

SchemaFunction = Callable[[ToolContext, dict[str, Json]], Awaitable[object]]


class SchemaArguments(Arguments):
    """Arguments that fit a schema; the function gets them as one dict.

    Raises:
        LashError: `tool_definition_invalid` for what is no JSON Schema of an object.
    """

    def __init__(self, label: str, schema: dict[str, Json]) -> None:
        self._label = label
        self.schema = {"properties": {}, **schema}
        if self.schema.get("type") != "object":
            raise LashError(
                "tool_definition_invalid", f"the arguments of {label} must be an object", tool=label
            )
        _ = self._schema_validator  # a schema that is none is refused now

    def check(self, args: dict[str, Json]) -> list[str]:
        """Return what is wrong with arguments; nothing when they fit."""
        problems = itertools.islice(self._schema_validator.iter_errors(args), _PROBLEMS_MAX)
        return [f"at /{'/'.join(map(str, one.instance_path))}: {one.message}" for one in problems]

    def convert(self, args: dict[str, Json]) -> dict[str, Any]:
        """Return the arguments as the function's one parameter."""
        return {"arguments": args}

    @functools.cached_property
    def _schema_validator(self) -> Draft202012Validator:
        from jsonschema_rs import Draft202012Validator, ValidationError

        try:
            canonical_json(self.schema)
            return Draft202012Validator(self.schema, retriever=_refuse_to_fetch)
        except (ValidationError, ValueError, LashError) as problem:
            raise LashError(
                "tool_definition_invalid",
                f"the schema of {self._label} is no JSON Schema: {problem}",
                tool=self._label,
            ) from problem


def tool_of_schema(
    name: str,
    description: str,
    input_schema: dict[str, Json],
    function: SchemaFunction,
    *,
    effect: Effect = "at_most_once",
    approval: Approval = False,
    timeout: float | None = None,
) -> Tool[..., Any]:
    """Return a tool of a schema and a function of the context and the arguments.

    Args:
        name: 1 to 64 letters, digits, `_` or `-`.
        description: What the model is told.
        input_schema: The JSON Schema of an object.
        function: Async; is called as `function(ctx, arguments)`.
        effect, approval, timeout: As for `lash.tool`.

    Raises:
        LashError: `tool_definition_invalid`.
    """
    arguments = SchemaArguments(name, input_schema)

    async def run(ctx: ToolContext, arguments: dict[str, Json]) -> object:
        return await function(ctx, arguments)

    return Tool(
        function=run,
        spec=ToolSpec(name=name, description=description, input_schema=arguments.schema),
        effect=effect,
        approval=approval,
        timeout_s=timeout,
        retry=ONCE,
        serial_key=None,
        arguments=arguments,
        signature=Signature(receiver=None, arguments=(), contexts=("ctx",), resources=()),
        is_async=True,
    )


def _refuse_to_fetch(uri: str) -> NoReturn:
    """Keep a schema from reading files or addresses."""
    raise ValueError(f"the schema may not refer to {uri!r}")
