"""Which name was probably meant, and what other languages' functions and methods are called here.

Consulted only when a name has not been found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_MAX_LENGTH: Final = 40
_SHORT: Final = 3

_FUNCTIONS: Final = {
    "str": "to_string(x)",
    "string": "to_string(x)",
    "toString": "to_string(x)",
    "int": "to_int(x)",
    "parseInt": "to_int(x)",
    "float": "to_float(x)",
    "number": "to_float(x)",
    "parseFloat": "to_float(x)",
    "length": "len(x)",
    "size": "len(x)",
    "count": "len(x)",
    "append": "push(list, item)",
    "add": "push(list, item)",
    "concat": "a + b",
    "extend": "a + b",
    "substring": "slice(text, start, end)",
    "lenght": "len(x)",
    "uppercase": "upper(text)",
    "lowercase": "lower(text)",
    "substr": "slice(text, start, end)",
    "slice": "slice(x, start, end)",
    "indexOf": "find(text, part)",
    "index": "find(text, part)",
    "includes": "contains(x, item)",
    "has": "contains(record, key)",
    "startsWith": "starts_with(text, prefix)",
    "startswith": "starts_with(text, prefix)",
    "endsWith": "ends_with(text, suffix)",
    "endswith": "ends_with(text, suffix)",
    "strip": "trim(text)",
    "toUpperCase": "upper(text)",
    "toLowerCase": "lower(text)",
    "sorted": "sort(list)",
    "reversed": "reverse(list)",
    "dumps": "to_json(x)",
    "stringify": "to_json(x)",
    "loads": "json_parse(text)",
    "parse": "json_parse(text)",
    "replaceAll": "replace(text, old, new)",
    "map": "[f(x) for x in xs]",
    "filter": "[x for x in xs if condition]",
    "forEach": "for x in xs { … }",
    "reduce": "total = 0, then for x in xs { total = total + x }",
    "items": "for key in keys(record) { … record[key] … }",
    "get": "record[key] ?? default",
    "pop": "slice(xs, 0, -1)",
    "print": "print value",
    "println": "print value",
    "log": "print value",
    "isinstance": "validate(x, Type { … })",
    "type": "validate(x, Type { … })",
    "list": "[…]",
    "dict": "{…}",
    "Promise": "await [first, second]",
    "gather": "await [first, second]",
    "all": "await [first, second]",
    "open": "an operation of the host, such as await files.read({ path: path })?",
    "sleep": "sleep for 5000",
}  # fmt: skip

_NAMES: Final = {
    "None": "null",
    "nil": "null",
    "undefined": "null",
    "True": "true",
    "False": "false",
    "NaN": "0 / 0",
    "Infinity": "1 / 0",
    "this": "a variable",
    "self": "a variable",
    "input": "the parameters by their names",
    "inputs": "the parameters by their names",
}


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that differs least from `name`, if it differs little enough to be a slip."""
    if len(name) > _MAX_LENGTH or len(name) < 2:
        return None
    best: str | None = None
    allowed = max(1, len(name) // 3)
    if len(name) == _SHORT:
        allowed = 2
        candidates = [candidate for candidate in candidates if candidate[:1] == name[:1]]
    for candidate in candidates:
        if abs(len(candidate) - len(name)) > allowed:
            continue
        distance = _distance(name.lower(), candidate.lower(), allowed)
        if candidate != name and (distance < allowed or (best is None and distance == allowed)):
            best, allowed = candidate, distance
    return best


def hint_for_name(name: str, candidates: Iterable[str]) -> str:
    """A repair for a name that is bound to nothing."""
    known = _NAMES.get(name)
    if known is not None:
        return f"write {known}"
    close = nearest(name, candidates)
    return f"did you mean `{close}`?" if close is not None else ""


def hint_for_function(name: str, candidates: Iterable[str]) -> str:
    """A repair for a call of a function that does not exist."""
    known = _FUNCTIONS.get(name)
    if known is not None:
        return f"write: {known}"
    close = nearest(name, candidates)
    return f"did you mean `{close}`?" if close is not None else ""


def hint_for_method(name: str, builtins: Iterable[str]) -> str:
    """A repair for `value.name(…)` on something that is no module."""
    known = _FUNCTIONS.get(name)
    if known is not None:
        return f"values have no methods; write: {known}"
    if name in builtins:
        return f"values have no methods; write: {name}(value, …)"
    return ""


def listed(names: Iterable[str], most: int = 8) -> str:
    """`a`, `b` and so on, cut when there are many."""
    texts = [f"`{name}`" for name in names]
    if len(texts) > most:
        return ", ".join(texts[:most]) + f" and {len(texts) - most} more"
    return ", ".join(texts)


def _distance(left: str, right: str, limit: int) -> int:
    """Edit distance with transpositions, or more than `limit`."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        following = [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            following.append(cost)
        if min(following) > limit:
            return limit + 1
        before, row = row, following
    return row[-1]
