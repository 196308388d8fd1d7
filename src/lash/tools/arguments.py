"""The arguments of a tool: their schema for the model, and the check of what the model sends.

Two gates, in this order: the JSON Schema that the model was shown (ruling 5), then the conversion to the
annotated types, which also knows what a schema cannot say. `jsonschema_rs` is imported by the first check.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Union

import msgspec

from lash.errors import LashError
from lash.tools.json_types import from_json, json_schema_of, to_json
from lash.tools.signature import Argument, invalid
from lash.values import Json, canonical_json

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

_PROBLEMS_MAX = 5
_PROBLEM_CHARS_MAX = 300


class Arguments:
    """The arguments that a tool takes from the model."""

    def __init__(self, label: str, arguments: Iterable[Argument], descriptions: dict[str, str]) -> None:
        """Build the schema.

        Args:
            label: The tool, for messages.
            arguments: Its parameters, without context and resources.
            descriptions: What the docstring says of them; a `Meta(description=…)` wins.

        Raises:
            LashError: `tool_definition_invalid` when a `pattern` is no regular expression of JSON Schema.
        """
        self._label = label
        self._arguments = tuple(arguments)
        # Absent arguments stay absent, so that Python applies its own default, the very object.
        self._record = msgspec.defstruct(
            f"{re.sub(r'[^0-9a-zA-Z]', '_', label)}_arguments",
            [
                (one.name, one.annotation)
                if one.required
                else (one.name, Union[one.annotation, msgspec.UnsetType], msgspec.UNSET)  # noqa: UP007  # not every type form has an `|`
                for one in self._arguments
            ],
            kw_only=True,
            forbid_unknown_fields=True,
        )
        self.schema = self._build_schema(descriptions)
        if _has_pattern(self.schema):  # only then, for it costs the import of the schema library
            self._check_patterns()

    def check(self, args: dict[str, Json]) -> list[str]:
        """Return what is wrong with arguments, each with its JSON path; nothing when they are right."""
        try:
            # One more than is shown, to know that there are more: a wrong list can be wrong a million times.
            problems = list(itertools.islice(self._validator.iter_errors(args), _PROBLEMS_MAX + 1))
            if not problems:
                from_json(args, self._record)
        except (ValueError, TypeError, OverflowError, RecursionError) as problem:
            return [_cut(str(problem))]  # no value of the type, or text and numbers that JSON cannot carry
        return [_told(problem) for problem in problems]

    def convert(self, args: dict[str, Json]) -> dict[str, Any]:
        """Return the Python values of arguments that `check` accepts; absent ones are left out.

        Raises:
            msgspec.ValidationError: when they do not fit, because the tool has changed since.
        """
        record = from_json(args, self._record)
        values = ((one.name, getattr(record, one.name)) for one in self._arguments)
        return {name: value for name, value in values if value is not msgspec.UNSET}

    @functools.cached_property
    def _validator(self) -> Draft202012Validator:
        from jsonschema_rs import Draft202012Validator

        return Draft202012Validator(self.schema)

    def _build_schema(self, descriptions: dict[str, str]) -> dict[str, Json]:
        ref, definitions = json_schema_of(self._record)
        schema = definitions.pop(ref["$ref"].removeprefix("#/$defs/"))
        del schema["title"]
        if not schema.get("required"):
            schema.pop("required", None)
        for one in self._arguments:
            shown = schema["properties"][one.name]
            if one.name in descriptions:
                shown.setdefault("description", descriptions[one.name])
            if not one.required:
                _show_default(shown, one)
        if definitions:
            schema["$defs"] = definitions
        return schema  # type: ignore[no-any-return]  # a schema is JSON

    def _check_patterns(self) -> None:
        from jsonschema_rs import ValidationError

        try:
            _ = self._validator
        except ValidationError as problem:
            raise invalid(
                self._label, f"the schema of its arguments is not valid: {problem.message}"
            ) from problem


def _has_pattern(schema: Json) -> bool:
    """Whether a schema uses the keyword `pattern`; a property of that name holds a schema, not a string."""
    match schema:
        case dict():
            return isinstance(schema.get("pattern"), str) or any(map(_has_pattern, schema.values()))
        case list():
            return any(map(_has_pattern, schema))
        case _:
            return False


def _show_default(shown: dict[str, Any], one: Argument) -> None:
    """Tell the model the default, when it is a value that the model could send itself."""
    try:
        default = to_json(one.default)
        canonical_json(default)
        from_json(default, one.annotation)
    except (TypeError, ValueError, OverflowError, LashError, msgspec.MsgspecError):
        return  # a sentinel, or None beside a type that is not optional: Python's own affair
    shown["default"] = default


def _told(problem: ValidationError) -> str:
    path = "$" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.instance_path
    )
    return f"{path}: {_cut(problem.message)}"


def _cut(text: str) -> str:
    """Shorten a message: it quotes the value, which may be long."""
    if len(text) <= _PROBLEM_CHARS_MAX:
        return text
    return f"{text[: _PROBLEM_CHARS_MAX // 2]} … {text[-_PROBLEM_CHARS_MAX // 2 :]}"


def problems_text(problems: list[str]) -> str:
    """Return a list of problems as the model reads it, the first few of many."""
    shown = problems[:_PROBLEMS_MAX]
    if len(problems) > len(shown):
        shown.append("and more of the kind")
    return "; ".join(shown)
