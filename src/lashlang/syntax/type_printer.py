"""Type expressions as canonical source, also used wherever a message names a type."""

from __future__ import annotations

from typing import assert_never

from lashlang.syntax import type_expr as types
from lashlang.syntax.spelling import spell_key
from lashlang.syntax.type_expr import TypeExpr


def format_type(ty: TypeExpr) -> str:
    """`ty` on one line."""
    match ty:
        case types.TypeStr():
            return "str"
        case types.TypeInt():
            return "int"
        case types.TypeFloat():
            return "float"
        case types.TypeBool():
            return "bool"
        case types.TypeDict():
            return "dict"
        case types.TypeAny():
            return "any"
        case types.TypeNull():
            return "null"
        case types.TypeRef(name=name):
            return name
        case types.TypeEnum(values=values):
            return _enum(values)
        case types.TypeList(item=item):
            return f"list[{format_type(item)}]"
        case types.TypeObject(fields=fields):
            return format_object(fields)
        case types.TypeUnion(options=options):
            return " | ".join(format_type(option) for option in options)
        case types.TypeProcess(input=taken, output=output):
            return f"Process<{format_type(taken)}, {format_type(output)}>"
        case types.TypeTriggerHandle(event=event):
            return f"TriggerHandle<{format_type(event)}>"
        case types.TypeRun(process=process):
            return f"a handle of `{process}`"
        case _:
            assert_never(ty)


def format_object(fields: tuple[types.TypeField, ...]) -> str:
    """`{ a: str, b: int? }`."""
    if not fields:
        return "{}"
    return "{ " + ", ".join(format_field(field) for field in fields) + " }"


def format_field(field: types.TypeField) -> str:
    """`name: type`, with `?` when the field may be absent."""
    optional = "?" if field.optional else ""
    return f"{spell_key(field.name)}: {format_type(field.ty)}{optional}"


def _enum(values: tuple[str, ...]) -> str:
    if len(values) == 1:
        return _one_line(values[0])
    texts = ", ".join(_one_line(value) for value in values)
    return f"enum[{texts}]"


def _one_line(value: str) -> str:
    return spell_key(value) if spell_key(value).startswith('"') else f'"{value}"'
