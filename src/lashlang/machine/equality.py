"""Equality of values, in time linear in what is really there.

Containers are shared under value semantics, so `x = [x, x]` makes few objects and a huge tree: whatever compares values
has to remember the pairs that it has seen. Python's own `==` on containers is never used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lashlang.machine.fault import Fault, value_error
from lashlang.machine.values import MAX_DEPTH, Value

if TYPE_CHECKING:
    from lashlang.machine.meter import Meter

# Texts up to this length are compared without a charge. Longer ones are charged, so that a loop of comparisons is seen
# to work: generated code may compare with a literal of this length or less by itself.
FREE_TEXT: Final = 4_096


def equal(h: Meter, a: Value, b: Value) -> bool:
    """`==`: no coercion, lists by element, records as maps, NaN unequal to itself (lashlang.md 2.3).

    The time is linear in what is really there, however often it is shared; the fuel is that of a comparison of the
    written-out trees, so that it does not depend on what happens to be shared.
    """
    t = type(a)
    u = type(b)
    if t is str and u is str:
        size = len(a)
        if size != len(b):
            return False
        if size > FREE_TEXT:
            h.work(size >> 6)
        return a == b  # type: ignore[no-any-return]  # two texts
    if t is not u:
        return (t is int or t is float) and (u is int or u is float) and a == b
    if t is not list and t is not dict:
        return a == b  # type: ignore[no-any-return]  # equal exact types of the closed set
    return _equal_trees(h, a, b, 0, {})[0] > 0


_UNEQUAL: Final = (0, 0)
_POLL_MASK: Final = 4_095  # items between two looks at a cancellation


def _equal_trees(
    h: Meter, a: Value, b: Value, depth: int, known: dict[tuple[int, int], tuple[int, int]]
) -> tuple[int, int]:
    """The cost of comparing two equal containers and how deeply they nest; `_UNEQUAL` when they differ.

    `known` are the pairs that were found equal; both containers stay alive while they are compared.
    """
    size = len(a)
    if size != len(b):
        return _UNEQUAL
    if depth >= MAX_DEPTH:
        raise _too_deep()
    h.work(1 + size)
    cost, height = 1 + size, 1
    is_record = type(a) is dict
    for count, step in enumerate(a if is_record else range(size), start=1):
        if not count & _POLL_MASK:
            h.poll()
        if is_record and step not in b:
            return _UNEQUAL
        x, y = a[step], b[step]
        t = type(x)
        if t is not type(y) or (t is not list and t is not dict):
            if not equal(h, x, y):
                return _UNEQUAL
            continue
        found = known.get((id(x), id(y)))
        if found is None:
            found = known[id(x), id(y)] = _equal_trees(h, x, y, depth + 1, known)
        else:
            h.work(found[0])
        if found is _UNEQUAL or found == _UNEQUAL:
            return _UNEQUAL
        if depth + 1 + found[1] > MAX_DEPTH:
            raise _too_deep()
        cost += found[0]
        height = max(height, 1 + found[1])
    return cost, height


def _too_deep() -> Fault:
    return value_error(f"the values are nested deeper than {MAX_DEPTH} levels")
