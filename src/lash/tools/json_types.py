"""JSON Schemas from Python types, and values of those types from JSON: msgspec, with paths added."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import msgspec

_REF = "#/$defs/{name}"


def json_schema_of(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the JSON Schema of a type form, and the definitions that it refers to.

    Raises:
        TypeError: for types that JSON cannot carry.
    """
    (schema,), definitions = msgspec.json.schema_components(
        [kind], schema_hook=_path_schema, ref_template=_REF
    )
    return schema, definitions


def from_json(value: Any, kind: Any) -> Any:
    """Return a JSON value as a `kind`.

    Strict, but for what JSON itself cannot tell apart: `3.0` is an integer (JSON Schema 2020-12, 6.1.1),
    and the keys of an object are strings.

    Raises:
        msgspec.ValidationError: when the value is no `kind`.
    """
    try:
        return msgspec.convert(value, kind, str_keys=True, dec_hook=_to_path)
    except msgspec.ValidationError:
        folded = _whole_floats_as_ints(value)
        if folded is value:
            raise
        return msgspec.convert(folded, kind, str_keys=True, dec_hook=_to_path)


def to_json(value: Any) -> Any:
    """Return the JSON form of a default or an argument.

    Raises:
        TypeError: when there is none.
    """
    return msgspec.to_builtins(value, str_keys=True, order="deterministic", enc_hook=_from_path)


_NO_SCHEMA = NotImplementedError("no JSON form")  # msgspec wants this answer, and turns it into its TypeError


def _path_schema(kind: Any) -> dict[str, Any]:
    if kind in (Path, PurePath):
        return {"type": "string", "format": "path"}
    raise _NO_SCHEMA


def _to_path(kind: type, value: Any) -> Any:
    if kind in (Path, PurePath) and isinstance(value, str):
        return kind(value)
    raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")


def _from_path(value: Any) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _whole_floats_as_ints(value: Any) -> Any:
    """Return `value` with every integral float as an int; the very same object when there is none."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case list():
            items = [_whole_floats_as_ints(item) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        case dict():
            table = {key: _whole_floats_as_ints(item) for key, item in value.items()}
            return table if any(table[key] is not value[key] for key in value) else value
        case _:
            return value
