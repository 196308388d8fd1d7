"""The shape of a typed answer: a JSON Schema for the model, a check, and the way to the caller's type."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from lash.errors import LashError
from lash.values import Json, OutputSpec

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

_PROBLEMS_MAX = 5


class OutputShape:
    """What an answer must be.

    Args:
        name: What the model is told the answer is called.
        schema: Its JSON Schema.
        kind: The type that the caller wants, or None for plain JSON.
    """

    def __init__(self, name: str, schema: dict[str, Json], kind: Any = None) -> None:
        self.spec = OutputSpec(name=name, schema=schema)
        self._kind = kind

    @classmethod
    def of(cls, output: Any) -> OutputShape:
        """Return the shape of a type, or of a JSON Schema given as a dict.

        Raises:
            LashError: `output_type_invalid` when msgspec cannot describe the type.
        """
        if isinstance(output, dict):
            return cls.of_schema(output)
        try:
            schema = msgspec.json.schema(output)
        except (TypeError, RuntimeError) as problem:
            raise LashError(
                "output_type_invalid",
                f"an answer cannot be a {output!r}: {problem}. Use a msgspec Struct, a dataclass or a schema",
            ) from problem
        return cls(getattr(output, "__name__", "answer"), schema, output)

    @classmethod
    def of_schema(cls, schema: dict[str, Json]) -> OutputShape:
        """Return the shape that a JSON Schema describes.

        Raises:
            LashError: `output_type_invalid` when it is none, or refers to something outside itself.
        """
        title = schema.get("title")
        shape = cls(title if isinstance(title, str) and title else "answer", schema)
        _ = shape._validator  # a schema that is none is refused now, not in the middle of a turn
        return shape

    def problem_with(self, value: Json) -> str | None:
        """Return what is wrong with an answer, for the model to read; None if nothing is."""
        problems = list(itertools.islice(self._validator.iter_errors(value), _PROBLEMS_MAX))
        if problems:
            return "; ".join(
                f"at /{'/'.join(map(str, one.instance_path))}: {one.message}" for one in problems
            )
        if self._kind is None:
            return None
        try:
            self.convert(value)
        except msgspec.ValidationError as error:
            return str(error)
        return None

    def convert(self, value: Json) -> Any:
        """Return an answer that passed the check as the caller's type."""
        return value if self._kind is None else msgspec.convert(value, self._kind, strict=False)

    @functools.cached_property
    def _validator(self) -> Draft202012Validator:
        from jsonschema_rs import Draft202012Validator, ValidationError

        try:
            return Draft202012Validator(self.spec.schema, retriever=_refuse_to_fetch)
        except (ValidationError, ValueError) as problem:
            raise LashError(
                "output_type_invalid", f"the schema of the answer is no JSON Schema: {problem}"
            ) from problem


def _refuse_to_fetch(uri: str) -> NoReturn:
    """Keep a schema from reading files or addresses: it may come from a request."""
    raise ValueError(f"the schema may not refer to {uri!r}")
