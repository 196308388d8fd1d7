"""Type expressions as Type values: the JSON Schema form of lashlang.md 3.6."""

from __future__ import annotations

from collections.abc import Mapping

from lashlang.machine.fault import type_error
from lashlang.machine.meter import Meter
from lashlang.machine.values import Value, kind
from lashlang.syntax import type_expr as types
from lashlang.validate import TYPE_KEY

_PLAIN: dict[type, dict[str, Value]] = {
    types.TypeStr: {"type": "string"},
    types.TypeInt: {"type": "integer"},
    types.TypeFloat: {"type": "number"},
    types.TypeBool: {"type": "boolean"},
    types.TypeDict: {"type": "object"},
    types.TypeNull: {"type": "null"},
}


def schema_of(ty: object, bound: Mapping[str, Value]) -> dict[str, Value]:
    """The schema of `ty`, where a name stands for the schema that `bound` gives it."""
    if type(ty) in _PLAIN:
        return _PLAIN[type(ty)].copy()
    match ty:
        case types.TypeEnum():
            return {"type": "string", "enum": list(ty.values)}
        case types.TypeList():
            return {"type": "array", "items": schema_of(ty.item, bound)}
        case types.TypeObject():
            return {
                "type": "object",
                "properties": {field.name: schema_of(field.ty, bound) for field in ty.fields},
                "required": [field.name for field in ty.fields if not field.optional],
                "additionalProperties": False,
            }
        case types.TypeUnion():
            return {"anyOf": [schema_of(option, bound) for option in ty.options]}
        case types.TypeRef() if ty.name in bound:
            return bound[ty.name]  # type: ignore[no-any-return]  # a schema, as checked by `schema`
        case _:
            return {}


def type_names(ty: object) -> list[str]:
    """The variables that `ty` names, each once, in order of appearance."""
    found: dict[str, None] = {}
    stack = [ty]
    while stack:
        match stack.pop():
            case types.TypeRef() as ref if "." not in ref.name:
                found[ref.name] = None
            case types.TypeList() as node:
                stack.append(node.item)
            case types.TypeObject() as node:
                stack.extend(field.ty for field in reversed(node.fields))
            case types.TypeUnion() as node:
                stack.extend(reversed(node.options))
            case _:
                pass
    return list(found)


def schema(h: Meter, ty: object, names: list[str], *values: Value) -> Value:
    """A Type literal whose `names` are variables with `values`, each of which must be a Type value."""
    bound: dict[str, Value] = {}
    for name, value in zip(names, values, strict=True):
        if type(value) is not dict or len(value) != 1 or type(value.get(TYPE_KEY)) is not dict:
            raise type_error(f"`{name}` is used as a type but holds {kind(value)}")
        bound[name] = value[TYPE_KEY]
    h.entries(4 * _parts(ty))
    return {TYPE_KEY: schema_of(ty, bound)}


def _parts(ty: object) -> int:
    """How many types `ty` is written with."""
    match ty:
        case types.TypeList():
            return 1 + _parts(ty.item)
        case types.TypeObject():
            return 2 + sum([_parts(field.ty) for field in ty.fields])
        case types.TypeUnion():
            return 1 + sum([_parts(option) for option in ty.options])
        case types.TypeEnum():
            return 1 + len(ty.values)
        case _:
            return 1
