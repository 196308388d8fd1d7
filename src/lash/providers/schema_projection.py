"""One schema, said in the words that each vendor takes.

The canonical schema is never changed: a projection is a copy, and names what it left out or narrowed. The
answer is checked against the canonical schema afterwards, so a projection may be wider, never wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lash.errors import LashError
from lash.values import Json

WRAPPER = "value"  # the one property of an object around an answer that is no object

_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions", "patternProperties")
_SINGLES = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")

# What the strict mode of OpenAI refuses and an answer can be checked for afterwards.
_OPENAI_DROPPED = frozenset(
    {
        *("$schema", "$id", "default", "examples", "minLength", "maxLength", "uniqueItems"),
        *("minProperties", "maxProperties", "contains", "minContains", "maxContains", "propertyNames"),
        *("unevaluatedProperties", "unevaluatedItems"),
    }
)
# What the strict mode of OpenAI refuses and that cannot be left out without meaning something else.
_OPENAI_NEVER = frozenset(
    {"allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"}
)
_ANTHROPIC_DROPPED = _OPENAI_DROPPED | {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minItems", "maxItems", "pattern"),
}
_ANTHROPIC_NEVER = frozenset({"not", "if", "then", "else", "patternProperties", "dependentRequired"})
_SAYS_ITS_TEXT = frozenset({"enum", "const", "maxLength", "pattern", "format"})


@dataclass(frozen=True, slots=True)
class Projection:
    """A schema for one vendor.

    Attributes:
        schema: What to send.
        strict: Whether the vendor can be held to it.
        wrapped: Whether the answer sits in an object under `WRAPPER`.
        changes: What differs from the canonical schema, for people.
    """

    schema: dict[str, Json]
    strict: bool = True
    wrapped: bool = False
    changes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Walk:
    """One pass over a schema: `visit` edits a copy of each object schema and notes what it did."""

    visit: Callable[[dict[str, Json], _Walk], None]
    strict: bool = True
    changes: list[str] = field(default_factory=list)

    def over(self, schema: Json) -> Json:
        if not isinstance(schema, dict):
            return schema
        result = dict(schema)
        for key in _MAPS:
            if isinstance(result.get(key), dict):
                result[key] = {name: self.over(value) for name, value in result[key].items()}
        for key in _LISTS:
            if isinstance(result.get(key), list):
                result[key] = [self.over(value) for value in result[key]]
        for key in _SINGLES:
            if key in result:
                result[key] = self.over(result[key])
        self.visit(result, self)
        return result

    def drop(self, schema: dict[str, Json], keys: frozenset[str]) -> None:
        for key in sorted(keys & schema.keys()):
            del schema[key]
            self.changes.append(f"left out {key}")


def tool_parameters(schema: dict[str, Json]) -> Projection:
    """Return the parameters of a tool: every vendor wants an object with properties at the root."""
    result = {key: value for key, value in schema.items() if key not in ("$schema", "$id")}
    if result.get("type") == "object" and "properties" in result:
        return Projection(result, strict=False)
    return Projection(
        {**result, "type": "object", "properties": result.get("properties", {})},
        strict=False,
        changes=("made the root an object with properties",),
    )


def openai_output(schema: dict[str, Json]) -> Projection:
    """Return the schema of an answer for OpenAI: strict where every property is required."""
    wrapped = schema.get("type") != "object"
    walk = _Walk(_visit_openai)
    result = walk.over(_wrapped(schema) if wrapped else schema)
    if not walk.strict:
        # Without strictness anything may be said, so nothing needs to be left out.
        result = _wrapped(schema) if wrapped else dict(schema)
        return Projection(result, strict=False, wrapped=wrapped, changes=("not strict",))
    return Projection(result, wrapped=wrapped, changes=tuple(walk.changes))


def _visit_openai(schema: dict[str, Json], walk: _Walk) -> None:
    if _OPENAI_NEVER & schema.keys():
        walk.strict = False
    walk.drop(schema, _OPENAI_DROPPED)
    if "oneOf" in schema:
        schema["anyOf"] = schema.pop("oneOf")
        walk.changes.append("oneOf became anyOf")
    if schema.get("type") == "object":
        _close(schema, walk)
        if set(schema.get("properties", {})) != set(schema.get("required", [])):
            walk.strict = False
    elif not schema.keys() & {"type", "anyOf", "enum", "const", "$ref"}:
        walk.strict = False  # it takes any value, which strict mode cannot say


def anthropic_output(schema: dict[str, Json]) -> Projection:
    """Return the schema of an answer for Anthropic: objects closed, bounds left out.

    `strict` is False where the schema has maps or conditions: then it can only be asked for in words.
    """
    walk = _Walk(_visit_anthropic)
    wrapped = schema.get("type") != "object"
    result = walk.over(_wrapped(schema) if wrapped else schema)
    return Projection(result, strict=walk.strict, wrapped=wrapped, changes=tuple(walk.changes))


def _visit_anthropic(schema: dict[str, Json], walk: _Walk) -> None:
    if schema.keys() & _ANTHROPIC_NEVER:
        walk.strict = False
    walk.drop(schema, _ANTHROPIC_DROPPED)
    if "oneOf" in schema:
        schema["anyOf"] = schema.pop("oneOf")
        walk.changes.append("oneOf became anyOf")
    if schema.get("type") == "object":
        _close(schema, walk)


def _close(schema: dict[str, Json], walk: _Walk) -> None:
    """Allow no further properties. A map of any keys cannot be closed without emptying it."""
    extra = schema.get("additionalProperties")
    if extra is False:
        return
    if isinstance(extra, dict) or (extra is True and not schema.get("properties")):
        walk.strict = False
        return
    if not schema.get("properties") and extra is None:
        walk.strict = False  # an object of anything
        return
    schema["additionalProperties"] = False
    walk.changes.append("closed an object")


def bounded(schema: dict[str, Json], *, max_chars: int, max_items: int) -> Projection:
    """Return a schema that a small model cannot go on filling for ever: texts and lists get a limit."""

    def visit(part: dict[str, Json], walk: _Walk) -> None:
        if part.get("type") == "string" and not part.keys() & {
            "enum",
            "const",
            "maxLength",
            "pattern",
            "format",
        }:
            part["maxLength"] = max_chars
            walk.changes.append(f"limited a text to {max_chars} characters")
        if part.get("type") == "array" and "maxItems" not in part:
            part["maxItems"] = max(max_items, part.get("minItems", 0))
            walk.changes.append(f"limited a list to {max_items} items")
        walk.drop(part, frozenset({"$schema", "$id", "default", "examples"}))

    walk = _Walk(visit)
    return Projection(walk.over(schema), changes=tuple(walk.changes))


def inlined(schema: dict[str, Json]) -> dict[str, Json]:
    """Return the schema with its `#/$defs/…` references written out, so that it can be put into another.

    A reference to something that it is itself part of becomes "anything".
    """

    def over(part: Any, inside: tuple[str, ...]) -> Any:  # any piece of JSON
        if isinstance(part, list):
            return [over(item, inside) for item in part]
        if not isinstance(part, dict):
            return part
        ref = part.get("$ref")
        if isinstance(ref, str):
            rest = {key: over(value, inside) for key, value in part.items() if key != "$ref"}
            return rest if ref in inside else {**over(_resolved(schema, ref), (*inside, ref)), **rest}
        return {
            key: over(value, inside)
            for key, value in part.items()
            if key not in ("$defs", "definitions", "$schema", "$id")
        }

    result: dict[str, Json] = over(schema, ())
    return result


def _resolved(root: dict[str, Json], ref: str) -> dict[str, Json]:
    found: Json = root
    for step in ref.removeprefix("#").strip("/").split("/") if ref != "#" else ():
        step = step.replace("~1", "/").replace("~0", "~")
        found = found.get(step) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise LashError(
            "schema_reference_unknown", f"the schema refers to {ref}, which it does not hold", ref=ref
        )
    return found


def _wrapped(schema: dict[str, Json]) -> dict[str, Json]:
    """Return an object schema around `schema`; definitions stay at the root, where they are referred to."""
    inner = {key: value for key, value in schema.items() if key not in ("$defs", "definitions")}
    outer: dict[str, Json] = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return {
        "type": "object",
        "properties": {WRAPPER: inner},
        "required": [WRAPPER],
        "additionalProperties": False,
        **outer,
    }


def unwrapped(text: str) -> str:
    """Return the JSON text that an answer carries under `WRAPPER`; the text itself when it carries none."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
    if isinstance(value, dict) and set(value) == {WRAPPER}:
        return msgspec.json.encode(value[WRAPPER]).decode()
    return text
