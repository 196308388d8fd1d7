"""A typed final answer: how the model is asked for it, and how its answer is judged.

A model's schema must be of an object, at the vendor's output option as well as in a tool. Any other type
is asked for as the one field `value` of an object, and taken out again here.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from lash.errors import LashError
from lash.turn.config import OutputRule
from lash.values.canonical import canonical_json
from lash.values.effects import ToolRef
from lash.values.hashing import stable_hash
from lash.values.models import OutputSpec, ToolSpec
from lash.values.record import Json, Record

_WRAP = "value"


class Fits(Record, frozen=True):
    """The answer is good."""

    value: Json


class Misfits(Record, frozen=True):
    """The answer is not; `problem` is for the model to read."""

    problem: str


Verdict: TypeAlias = Fits | Misfits


def native_output_spec(rule: OutputRule) -> OutputSpec:
    """Return what a vendor is asked to hold the answer to."""
    return OutputSpec(name=rule.spec.name, schema=_object_schema(rule.spec.schema)[0])


def submit_tool_spec(rule: OutputRule) -> ToolSpec:
    """Return the tool that an answer is submitted with where the vendor cannot hold it to a schema."""
    return ToolSpec(
        name=rule.submit_tool,
        description="Submit the final answer. This ends the turn; call it once, when the answer is complete.",
        input_schema=_object_schema(rule.spec.schema)[0],
    )


def submit_tool_ref(rule: OutputRule) -> ToolRef:
    """Return the reference by which `AskModel` offers the submit tool."""
    return ToolRef(name=rule.submit_tool, digest=stable_hash(submit_tool_spec(rule)))


def judge_text(rule: OutputRule, text: str) -> Verdict:
    """Judge an answer that was given as text. A fence around the JSON is forgiven."""
    try:
        value = msgspec.json.decode(_unfenced(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        return Misfits(f"it is not JSON ({problem})")
    return judge_value(rule, value)


def judge_value(rule: OutputRule, value: Json) -> Verdict:
    """Judge an answer as the model gave it, which is an object."""
    if _object_schema(rule.spec.schema)[1]:
        if not isinstance(value, dict) or set(value) != {_WRAP}:
            return Misfits(f"it must be an object with the one field {_WRAP!r}")
        value = value[_WRAP]
    return judge_output(rule, value)


def judge_output(rule: OutputRule, value: Json) -> Verdict:
    """Judge a value of the type that the caller wants."""
    try:
        canonical_json(value)
    except LashError as problem:
        return Misfits(problem.message)
    problem_text = rule.validate_output(value)
    return Fits(value) if problem_text is None else Misfits(problem_text)


def _object_schema(schema: dict[str, Json]) -> tuple[dict[str, Json], bool]:
    """Return a schema of an object, and whether it had to be wrapped.

    Definitions stay at the top, where references look for them; a root that is nothing but a reference
    is replaced by what it refers to.
    """
    definitions: dict[str, Json] = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    root = _dereferenced(schema)
    if root.get("type") == "object":
        return {**root, **definitions}, False
    inner: dict[str, Json] = {key: value for key, value in schema.items() if key not in definitions}
    wrapped: dict[str, Json] = {
        "type": "object",
        "properties": {_WRAP: inner},
        "required": [_WRAP],
        "additionalProperties": False,
        **definitions,
    }
    return wrapped, True


def _dereferenced(schema: dict[str, Json]) -> dict[str, Json]:
    match str(schema.get("$ref", "")).split("/"):
        case ["#", ("$defs" | "definitions") as table, name]:
            target = schema.get(table, {}).get(name)
            return target if isinstance(target, dict) else schema
    return schema


def _unfenced(text: str) -> str:
    """Return the inside of a text that is one fenced block; any other text as it is."""
    lines = text.strip().split("\n")
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return text
