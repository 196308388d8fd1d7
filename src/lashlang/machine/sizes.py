"""How large values are: an estimate in bytes that is the same on every machine.

A value has two sizes. `measure` is what is held, where a shared container counts once; `weigh` is what is written when
it leaves the program as a tree, which sharing can make exponentially larger. Both take time linear in what is held.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from lashlang.machine.values import Image, Resource, Value

TEXT_COST: Final = 56
LIST_COST: Final = 56
ITEM_COST: Final = 8
RECORD_COST: Final = 104
ENTRY_COST: Final = 40
NUMBER_COST: Final = 32
"""Weights of the memory meter in bytes, the same on every machine: a replay must stop at the same step."""


def measure(roots: Iterable[Value], enough: int) -> int:
    """Estimate the bytes held by `roots`, shared containers counted once; stop counting beyond `enough`."""
    total = 0
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        value = stack.pop()
        t = type(value)
        if t is str:
            total += TEXT_COST + len(value)
        elif t is list:
            if id(value) not in seen:
                seen.add(id(value))
                total += LIST_COST + ITEM_COST * len(value)
                stack.extend(value)
        elif t is dict:
            if id(value) not in seen:
                seen.add(id(value))
                total += RECORD_COST + ENTRY_COST * len(value) + sum(map(len, value))
                stack.extend(value.values())
        elif t is int or t is float:
            total += NUMBER_COST
        elif t is Image or t is Resource:
            total += scalar_bytes(value)
        if total > enough:
            break
    return total


def weigh(value: Value, known: dict[int, tuple[int, int, int]]) -> tuple[int, int, int]:
    """What `value` is when it is written out as a tree: its parts, an estimate of its bytes, and how deeply it nests.

    Takes time linear in what is really there. `known` are the containers that were weighed before; they have to stay
    alive as long as it is used.
    """
    if type(value) is not list and type(value) is not dict:
        return 1, scalar_bytes(value), 0
    stack = [value]
    while stack:
        node = stack[-1]
        if id(node) in known:
            stack.pop()
            continue
        items: Collection[Value] = node.values() if type(node) is dict else node
        inner = [item for item in items if type(item) is list or type(item) is dict]
        waiting = [item for item in inner if id(item) not in known]
        if waiting:
            stack += waiting
            continue
        parts, size, height = 1 + len(node), container_bytes(node), 0
        if len(inner) < len(node):
            size += sum([TEXT_COST + len(item) for item in items if type(item) is str])
            size += sum(
                [scalar_bytes(item) for item in items if type(item) is Image or type(item) is Resource]
            )
        for item in inner:
            below = known[id(item)]
            parts += below[0] - 1
            size += below[1]
            height = max(height, below[2])
        known[id(node)] = (parts, size, height + 1)
        stack.pop()
    return known[id(value)]


def container_bytes(value: Value) -> int:
    """The estimate for a list or record without its items: the weights of the memory meter, and the keys' texts."""
    if type(value) is list:
        return LIST_COST + ITEM_COST * len(value)
    return RECORD_COST + ENTRY_COST * len(value) + sum(map(len, value))


def scalar_bytes(value: Value) -> int:
    """The estimate for anything but a list or a record."""
    t = type(value)
    if t is str:
        return TEXT_COST + len(value)
    if t is Image:
        return RECORD_COST + sum([scalar_bytes(item) for item in value.fields().values()])
    if t is Resource:
        return RECORD_COST + len(value.type_name) + len(value.alias)
    return NUMBER_COST
