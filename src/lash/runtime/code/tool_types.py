"""JSON Schemas as types of the language: what a program is checked against before it runs.

Typing is gradual: a part that the language cannot say is `any`, never an error, so a tool with an odd schema is
merely checked less. What a call must look like is checked again, exactly, when it is made.
"""

from __future__ import annotations

import re
from typing import Any, Final

from lash.values import Json
from lashlang import (
    TypeAny,
    TypeBool,
    TypeDict,
    TypeEnum,
    TypeExpr,
    TypeField,
    TypeFloat,
    TypeInt,
    TypeList,
    TypeNull,
    TypeObject,
    TypeStr,
    TypeUnion,
)

_MAX_DEPTH: Final = 6
_MAX_PARTS: Final = 12  # of a union or an enum
_PLAIN: Final[dict[str, TypeExpr]] = {
    "string": TypeStr(),
    "integer": TypeInt(),
    "number": TypeFloat(),
    "boolean": TypeBool(),
    "null": TypeNull(),
}
_ANY: Final = TypeAny()


def type_of_schema(schema: Json) -> TypeExpr:
    """Return the type of the values that a JSON Schema accepts, as far as the language can say it."""
    definitions = {
        f"#/{table}/{name}": part
        for table in ("$defs", "definitions")
        if isinstance(schema, dict) and isinstance(schema.get(table), dict)
        for name, part in schema[table].items()
    }
    return _Reader(definitions).read(schema, 0)


class _Reader:
    def __init__(self, definitions: dict[str, Json]) -> None:
        self._definitions = definitions

    def read(self, schema: Json, depth: int) -> TypeExpr:
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return _ANY
        if "$ref" in schema:
            return self.read(self._definitions.get(str(schema["$ref"])), depth + 1)
        if "const" in schema:
            return _literal([schema["const"]])
        if isinstance(schema.get("enum"), list):
            return _literal(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list):
                return self._union(schema[word], depth)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._union([{**schema, "type": one} for one in kind], depth)
        return self._of_kind(kind, schema, depth)

    def _of_kind(self, kind: Json, schema: dict[str, Any], depth: int) -> TypeExpr:
        if kind == "array":
            return TypeList(self.read(schema.get("items"), depth + 1))
        if kind == "object":
            properties = schema.get("properties")
            if not isinstance(properties, dict) or (
                not properties and schema.get("additionalProperties") is not False
            ):
                return TypeDict()
            required = schema.get("required") or ()
            return TypeObject(
                tuple(
                    TypeField(name, self.read(part, depth + 1), name not in required)
                    for name, part in properties.items()
                )
            )
        return _PLAIN.get(kind, _ANY) if isinstance(kind, str) else _ANY

    def _union(self, parts: list[Json], depth: int) -> TypeExpr:
        options = tuple(dict.fromkeys(self.read(part, depth + 1) for part in parts))
        if not options or len(options) > _MAX_PARTS or any(isinstance(one, TypeAny) for one in options):
            return _ANY
        return options[0] if len(options) == 1 else TypeUnion(options)


def _literal(values: list[Json]) -> TypeExpr:
    if values and len(values) <= _MAX_PARTS and all(type(one) is str for one in values):
        return TypeEnum(tuple(values))
    kinds = {type(one) for one in values}
    if kinds == {int}:
        return TypeInt()
    return TypeStr() if kinds == {str} else _ANY


def identifier(name: str) -> str:
    """Return a tool's name as a name of the language: letters, digits and underscores."""
    made = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return made if not made[:1].isdigit() else f"_{made}"
