"""Walks over any tree without knowing its node kinds.

Recursion is safe here because the parser bounds how deep a tree can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from lashlang.syntax.ast import Program
from lashlang.syntax.node import Node

_OFFSETS: Final = frozenset(("start", "end", "name_at"))
_N = TypeVar("_N", bound=Node)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly under `node`, in written order."""
    for name in node.__struct_fields__:
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Node):
                    yield item


def walk(node: Node) -> Iterator[Node]:
    """`node` and everything under it, parents first, in written order."""
    yield node
    for child in children(node):
        yield from walk(child)


def without_offsets(node: _N) -> _N:
    """The same tree as if it had not come from a source: no offsets, no comments, no text.

    Two programs mean the same to the printer exactly when their trees without offsets are equal.
    """
    fields: dict[str, object] = {}
    for name in node.__struct_fields__:
        if name in _OFFSETS:
            continue
        value = getattr(node, name)
        if isinstance(value, Node):
            value = without_offsets(value)
        elif isinstance(value, tuple):
            value = tuple([without_offsets(item) if isinstance(item, Node) else item for item in value])
        fields[name] = value
    if isinstance(node, Program):
        fields["comments"], fields["source"] = (), ""
    make: Callable[..., _N] = type(node)
    return make(**fields)
