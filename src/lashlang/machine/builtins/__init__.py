"""The builtin functions, by name, with how many arguments each takes.

Every one is called as `fn(meter, *args)` after its arguments were counted; `FRESH` names those whose result is a new
container that nobody else holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lashlang.machine.builtins import containers, numbers, text
from lashlang.machine.fault import type_error
from lashlang.machine.meter import Meter
from lashlang.machine.values import Value
from lashlang.validate import validate

ANY_NUMBER: Final = 255

TABLE: Final[dict[str, tuple[Callable[..., Value], int, int]]] = {
    "len": (containers.length, 1, 1),
    "empty": (containers.empty, 1, 1),
    "keys": (containers.keys, 1, 1),
    "values": (containers.values, 1, 1),
    "contains": (containers.contains, 2, 2),
    "find": (text.find, 2, 3),
    "grep_text": (text.grep_text, 2, 2),
    "starts_with": (text.starts_with, 2, 2),
    "ends_with": (text.ends_with, 2, 2),
    "split": (text.split, 2, 2),
    "join": (text.join, 2, 2),
    "trim": (text.trim, 1, 1),
    "slice": (containers.cut, 3, 3),
    "push": (containers.push, 2, 2),
    "range": (numbers.range_list, 1, 3),
    "ceil_div": (numbers.ceil_div, 2, 2),
    "floor_div": (numbers.floor_div, 2, 2),
    "to_string": (containers.to_string, 1, 1),
    "to_int": (numbers.to_int, 1, 1),
    "to_float": (numbers.to_float, 1, 1),
    "json_parse": (containers.json_parse, 1, 1),
    "format": (text.format_text, 1, ANY_NUMBER),
    "validate": (validate, 2, 2),
    "sort": (containers.sort, 1, 1),
    "sort_by": (containers.sort_by, 2, 2),
    "sum": (numbers.total, 1, 1),
    "min": (containers.least, 1, ANY_NUMBER),
    "max": (containers.most, 1, ANY_NUMBER),
    "replace": (text.replace, 3, 3),
    "lower": (text.lower, 1, 1),
    "upper": (text.upper, 1, 1),
    "unique": (containers.unique, 1, 1),
    "reverse": (containers.reverse, 1, 1),
    "round": (numbers.round_number, 1, 2),
    "abs": (numbers.absolute, 1, 1),
    "merge": (containers.merge, 2, ANY_NUMBER),
    "remove": (containers.remove, 2, 2),
    "to_json": (containers.to_json, 1, 1),
}

FRESH: Final = frozenset(
    {
        "keys",
        "values",
        "grep_text",
        "split",
        "slice",
        "push",
        "range",
        "sort",
        "sort_by",
        "unique",
        "reverse",
        "merge",
        "remove",
        "json_parse",
    }
)

ESCAPES: Final[dict[str, int]] = {"push": 1, "validate": 0}
"""Builtins whose result holds (or is) one of their arguments: its position. Every other result is new at its root."""


def bad_arity(name: str, count: int) -> Value:
    """Raise the `type_error` of a builtin that was given `count` arguments."""
    _, least, most = TABLE[name]
    if least == most:
        wanted = f"{least} argument{'s' if least != 1 else ''}"
    else:
        wanted = (
            f"{least} to {most} arguments"
            if most != ANY_NUMBER
            else f"at least {least} argument{'s' if least != 1 else ''}"
        )
    raise type_error(f"`{name}` takes {wanted}, got {count}")


def arity_error(h: Meter, name: str, *args: Value) -> Value:
    """`bad_arity` in the form in which bodies call builtins: the arguments are evaluated first."""
    return bad_arity(name, len(args))
