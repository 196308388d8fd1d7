"""Arguments of operations as JSON, and back: plain JSON, records by their name in `lash.values`, bytes, artifacts."""

from __future__ import annotations

import base64
from enum import Enum
from typing import Any

import msgspec

import lash.values
from lash.values import decode_record, encode_record
from lashlang import ModuleArtifact

Tagged = tuple[str, Any]  # what kind it is, and it


def packed(arguments: tuple[Any, ...], options: dict[str, Any]) -> msgspec.Raw:
    """Return the arguments of a call as JSON."""
    named = {name: _pack(value) for name, value in options.items()}
    return msgspec.Raw(msgspec.json.encode(([_pack(value) for value in arguments], named)))


def unpacked(stored: msgspec.Raw) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call."""
    arguments, options = msgspec.json.decode(stored, type=tuple[list[Tagged], dict[str, Tagged]])
    return [_unpack(value) for value in arguments], {name: _unpack(value) for name, value in options.items()}


def _pack(value: Any) -> Tagged:
    match value:
        case ModuleArtifact():
            return "artifact", base64.b64encode(value.to_store_bytes()).decode()
        case msgspec.Struct():
            return type(value).__name__, msgspec.Raw(encode_record(value))
        case Enum():
            return type(value).__name__, value.value
        case bytes():
            return "bytes", base64.b64encode(value).decode()
        case list() | tuple():
            return "list", [_pack(item) for item in value]
        case _:
            return "json", value


def _unpack(tagged: Tagged) -> Any:
    kind, value = tagged
    match kind:
        case "artifact":
            return ModuleArtifact.from_store_bytes(base64.b64decode(value))
        case "bytes":
            return base64.b64decode(value)
        case "list":
            return tuple(_unpack(tuple(item)) for item in value)
        case "json":
            return value
    record = getattr(lash.values, kind)
    if issubclass(record, Enum):
        return record(value)
    return decode_record(record, msgspec.json.encode(value), what=f"{kind} in a logbook")
