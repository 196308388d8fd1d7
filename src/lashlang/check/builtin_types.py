"""The builtins as the checker knows them: how many arguments each takes and what type it gives.

Argument types are not checked here: builtins coerce, so only running shows whether a value fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from lashlang.check.relations import (
    ANY,
    BOOL,
    DICT,
    FLOAT,
    INT,
    LIST,
    NULL,
    STR,
    union,
)
from lashlang.syntax import TypeExpr, TypeField, TypeFloat, TypeInt, TypeList, TypeObject, object_type

Types = Sequence[TypeExpr]


class BuiltinType(msgspec.Struct, frozen=True):
    """One builtin: its fewest and most arguments (None: any number), and the type of its result."""

    fewest: int
    most: int | None
    result: Callable[[Types], TypeExpr]
    params: str


def _always(ty: TypeExpr) -> Callable[[Types], TypeExpr]:
    return lambda _args: ty


def _first(args: Types) -> TypeExpr:
    return args[0] if args else ANY


def _item(args: Types) -> TypeExpr:
    first = _first(args)
    return first.item if isinstance(first, TypeList) else ANY


def _same_list(args: Types) -> TypeExpr:
    first = _first(args)
    return first if isinstance(first, TypeList) else LIST


def _push(args: Types) -> TypeExpr:
    first = _first(args)
    if not isinstance(first, TypeList) or len(args) != 2:
        return LIST
    return TypeList(union((first.item, args[1])))


def _slice(args: Types) -> TypeExpr:
    first = _first(args)
    return first if isinstance(first, TypeList) or first == STR else ANY


def _number(args: Types) -> TypeExpr:
    first = _first(args)
    return first if isinstance(first, TypeInt | TypeFloat) else ANY


def _sum(args: Types) -> TypeExpr:
    item = _item(args)
    return item if isinstance(item, TypeInt | TypeFloat) else ANY


def _round(args: Types) -> TypeExpr:
    return INT if len(args) == 1 else FLOAT


def _merge(args: Types) -> TypeExpr:
    fields: dict[str, TypeField] = {}
    for arg in args:
        if not isinstance(arg, TypeObject):
            return DICT
        for field in arg.fields:
            present = fields.get(field.name)
            if field.optional and present is not None:
                ty = union((present.ty, field.ty))
                fields[field.name] = TypeField(field.name, ty, present.optional)
            else:
                fields[field.name] = field
    return TypeObject(tuple(fields.values()))


_MATCH: Final = object_type([("line", INT), ("text", STR), ("match", STR), ("start", INT), ("end", INT)])
_TEXTS: Final = TypeList(STR)

BUILTINS: Final[dict[str, BuiltinType]] = {
    "len": BuiltinType(1, 1, _always(INT), "x"),
    "empty": BuiltinType(1, 1, _always(BOOL), "x"),
    "keys": BuiltinType(1, 1, _always(_TEXTS), "record"),
    "values": BuiltinType(1, 1, _always(LIST), "record"),
    "contains": BuiltinType(2, 2, _always(BOOL), "x, item"),
    "find": BuiltinType(2, 3, _always(union((INT, NULL))), "text, part, start"),
    "grep_text": BuiltinType(2, 2, _always(TypeList(_MATCH)), "text, part"),
    "starts_with": BuiltinType(2, 2, _always(BOOL), "text, prefix"),
    "ends_with": BuiltinType(2, 2, _always(BOOL), "text, suffix"),
    "split": BuiltinType(2, 2, _always(_TEXTS), "text, separator"),
    "join": BuiltinType(2, 2, _always(STR), "list, separator"),
    "trim": BuiltinType(1, 1, _always(STR), "text"),
    "slice": BuiltinType(3, 3, _slice, "x, start, end"),
    "push": BuiltinType(2, 2, _push, "list, item"),
    "range": BuiltinType(1, 3, _always(TypeList(INT)), "start, end, step"),
    "ceil_div": BuiltinType(2, 2, _always(INT), "a, b"),
    "floor_div": BuiltinType(2, 2, _always(INT), "a, b"),
    "to_string": BuiltinType(1, 1, _always(STR), "x"),
    "to_int": BuiltinType(1, 1, _always(INT), "x"),
    "to_float": BuiltinType(1, 1, _always(FLOAT), "x"),
    "json_parse": BuiltinType(1, 1, _always(ANY), "text"),
    "format": BuiltinType(1, None, _always(STR), "template, …"),
    "validate": BuiltinType(2, 2, _always(ANY), "x, type"),
    "sort": BuiltinType(1, 1, _same_list, "list"),
    "sort_by": BuiltinType(2, 2, _same_list, 'list, "path"'),
    "sum": BuiltinType(1, 1, _sum, "list"),
    "min": BuiltinType(1, None, _always(ANY), "list"),
    "max": BuiltinType(1, None, _always(ANY), "list"),
    "replace": BuiltinType(3, 3, _always(STR), "text, old, new"),
    "lower": BuiltinType(1, 1, _always(STR), "text"),
    "upper": BuiltinType(1, 1, _always(STR), "text"),
    "unique": BuiltinType(1, 1, _same_list, "list"),
    "reverse": BuiltinType(1, 1, _same_list, "list"),
    "round": BuiltinType(1, 2, _round, "x, digits"),
    "abs": BuiltinType(1, 1, _number, "x"),
    "merge": BuiltinType(2, None, _merge, "a, b, …"),
    "remove": BuiltinType(2, 2, _always(ANY), "record, key"),
    "to_json": BuiltinType(1, 1, _always(STR), "x"),
}
"""Every builtin by name. `lashlang.machine` implements exactly these."""
