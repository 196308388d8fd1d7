"""Lowering an expression whatever its kind: the table of the ways, and the order among operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lashlang.machine import ir
from lashlang.machine.lowering.builder import Builder
from lashlang.syntax import ast

LOWER: dict[type, Callable[[Builder, Any], ir.Expr]] = {}  # Any: each entry takes the node class of its key
"""How each class of expression is lowered; filled by `expressions` and `effects`."""


def expr(b: Builder, node: ast.Expr, *, reading: bool = False) -> ir.Expr:
    """`node` as a pure expression over what has been emitted so far.

    A projected binding, or a part of one, becomes data here, unless its reader (`reading`) takes it as it is.
    """
    lowered = LOWER[type(node)](b, node)
    if not reading and b.is_part(lowered):
        lowered = ir.Whole(lowered, b.span(node))
    if id(node) in b.scan.cut:
        return b.pin(lowered, b.span(node))
    return lowered


def operands(b: Builder, nodes: Sequence[ast.Expr], *, reading: bool = False) -> list[ir.Expr]:
    """Several expressions in order: those before a statement-making one are pinned; `reading` goes for the first."""
    last = max((at for at, node in enumerate(nodes) if b.scan.heavy(node)), default=-1)
    lowered: list[ir.Expr] = []
    for at, node in enumerate(nodes):
        value = expr(b, node, reading=reading and at == 0)
        lowered.append(b.pin(value, b.span(node)) if at < last else value)
    return lowered
